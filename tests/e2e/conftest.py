"""Tiny models, a video whose frames can be told apart, and real daemons."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import grpc
import numpy as np
import onnx
import pytest
from infilink.protos import edge_pb2, edge_pb2_grpc
from onnx import TensorProto, helper

TIMEOUT_S = 30.0
FPS = 25
TOKEN = "open sesame"


def wait_until(condition, what, timeout_s=TIMEOUT_S):
    """Waits for a condition that only another process can make true."""
    pause, ends = threading.Event(), time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < ends, f"{what}: not in {timeout_s:g} s"
        pause.wait(0.01)
    return value


def write_model(path: Path, *, scale: float = 1.0, repeat: int = 0) -> None:
    """A model that says how bright a frame is, times `scale`; `repeat` makes it slow."""
    nodes = [helper.make_node("ReduceMean", ["image"], ["bright"], axes=[1, 2, 3], keepdims=0)]
    last = "image"
    for i in range(repeat):
        nodes.append(helper.make_node("Sin", [last], [f"slow{i}"]))
        last = f"slow{i}"
    nodes.append(helper.make_node("Mul", ["bright", "scale"], ["scaled"]))
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("scaled", TensorProto.FLOAT, [1])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    path.with_suffix(".toml").write_text(
        f'name = "{path.stem}"\n[input]\nsize = [32, 32]\nstd = [1.0]\n[output]\nkind = "scalar"\ntolerance = 50.0\n'
    )


def brightness(index: int) -> int:
    """How bright frame `index` of the test video is: no two neighbours are alike."""
    return 20 + (index * 37) % 200


def write_video(path: Path, images: Iterable[np.ndarray]) -> Path:
    """Frames of 160 x 120, uint8 BGR."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (160, 120))
    for image in images:
        writer.write(image)
    writer.release()
    return path


def grey(level: int) -> np.ndarray:
    return np.full((120, 160, 3), level, np.uint8)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "bright.onnx")
    write_model(folder / "double.onnx", scale=2.0)
    write_model(folder / "third.onnx", scale=1 / 3)
    return folder


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "steps.avi"
    return write_video(path, (grey(brightness(index)) for index in range(120)))


class Daemon:
    """A coordinator in a process of its own, ready when the constructor returns."""

    def __init__(self, config: Path, *arguments: str) -> None:
        self.log = config.with_suffix(".log")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infilink.cli", "cloud", "--config", str(config), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        timer = threading.Timer(TIMEOUT_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        assert line.startswith("ready on "), f"{line!r}\n{self.log.read_text()}"
        self.address = line.removeprefix("ready on ").strip()

    def status(self) -> edge_pb2.StatusReply:
        with grpc.insecure_channel(self.address) as channel:
            return edge_pb2_grpc.EdgeStub(channel).GetStatus(edge_pb2.StatusRequest(), timeout=10)

    def worker_pids(self) -> list[int]:
        """The models' processes: the children of its fork server."""
        import psutil

        own = psutil.Process(self.process.pid)
        grandchildren = {p.pid for p in own.children(recursive=True)} - {p.pid for p in own.children()}
        return sorted(grandchildren)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT_S)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(TIMEOUT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start_daemon(tmp_path, models):
    """Starts coordinators over the tiny models; all are gone at the end."""
    daemons = []

    def start(*arguments: str, **settings) -> Daemon:
        config = tmp_path / "cloud.toml"
        values = {"listen": "127.0.0.1:0", "models": str(models), "ledger": str(tmp_path / "ledger.sqlite"), **settings}
        config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
        daemons.append(Daemon(config, *arguments))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.close()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory, models):
    """One coordinator for all the tests that do it no harm."""
    config = tmp_path_factory.mktemp("cloud") / "cloud.toml"
    config.write_text(
        f'listen = "127.0.0.1:0"\nmodels = {json.dumps(str(models))}\ntoken = "{TOKEN}"\nledger = "ledger.sqlite"\n'
    )
    started = Daemon(config)
    yield started
    started.close()


@pytest.fixture
def start_agent(tmp_path, video):
    """Starts an agent's process over the test video; `finish` gives its summary."""
    processes = []

    def start(address: str, **settings) -> "subprocess.Popen[str]":
        config = tmp_path / f"device{len(processes)}.toml"
        values = {
            "name": f"camera-{len(processes)}",
            "source": str(video),
            "pace": "max",
            "queue": "all",
            "quality": 100,
            "coordinator": address,
            "token": TOKEN,
            "results": str(tmp_path / f"results{len(processes)}.sqlite"),
            **settings,
        }
        config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
        command = [sys.executable, "-m", "infilink.cli", "device", "--config", str(config), "--json"]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> dict:
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    return json.loads(out)

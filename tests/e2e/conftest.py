"""Tiny models, a video whose frames can be told apart, and real daemons.

A test here waits until something has happened, however long that takes, and then says what must be true. None of them
says that something happens, or does not happen, within a time.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import cv2
import grpc
import numpy as np
import onnx
import psutil
import pytest
from infilink.protos import edge_pb2, edge_pb2_grpc
from onnx import TensorProto, helper

from ..forked import Forked

TIMEOUT_S = 300.0
"""What takes this long hangs: no outcome depends on how much sooner it happens."""
FPS = 25
TOKEN = "open sesame"
METADATA = [("authorization", f"Bearer {TOKEN}")]
# Log lines are not to be broken where a terminal would end.
ENVIRONMENT = {**os.environ, "COLUMNS": "1000"}
FROM_NOTHING = ("-m", "infilink.cli")
"""How a user starts it."""
STARTED = () if sys.platform == "linux" else FROM_NOTHING
"""How commands start where nothing else is said; nothing: they are forked (tests/forked.py)."""

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], what: str) -> Value:
    """Waits for a condition that only another process can make true."""
    pause, ends = threading.Event(), time.monotonic() + TIMEOUT_S
    while not (value := condition()):
        assert time.monotonic() < ends, f"{what}: not in {TIMEOUT_S:g} s"
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


def infilink(*arguments: object, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, here or in a folder."""
    words = [str(argument) for argument in arguments]
    if STARTED:
        command = [sys.executable, *STARTED, *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=ENVIRONMENT, cwd=folder
        )
    with tempfile.TemporaryFile("w+") as log:
        process = Forked(words, environment=ENVIRONMENT, stderr=log, folder=folder)
        printed, _ = process.communicate(timeout=TIMEOUT_S)
        log.seek(0)
        return subprocess.CompletedProcess(process.args, process.wait(), printed, log.read())


class Program:
    """A command in a process of its own, in a folder or here; its log goes to a file.

    `python` says what runs it, nothing: it is forked.
    """

    def __init__(
        self, log: Path, *arguments: object, python: Sequence[str] = STARTED, folder: Path | None = None
    ) -> None:
        self.log = log
        words = [str(argument) for argument in arguments]
        self.process: Forked | subprocess.Popen[str]
        with log.open("a") as file:
            if python:
                command = [sys.executable, *python, *words]
                self.process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=file, text=True, env=ENVIRONMENT, cwd=folder
                )
            else:
                self.process = Forked(words, environment=ENVIRONMENT, stderr=file, folder=folder)

    def said(self) -> str:
        """What it has logged so far."""
        return self.log.read_text()

    def ready(self) -> str:
        """Waits until it says where it is ready; returns that address."""
        timer = threading.Timer(TIMEOUT_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        assert line.startswith("ready on "), f"{line!r}\n{self.said()}"
        return line.removeprefix("ready on ").strip()

    def model_processes(self) -> list[psutil.Process]:
        """Those of the models that are loaded: the children of its fork server."""
        own = psutil.Process(self.process.pid)
        children = own.children()
        return [process for process in own.children(recursive=True) if process not in children]

    def terminate(self) -> None:
        self.process.terminate()

    def wait(self) -> str:
        """Waits for its end; returns what it printed."""
        return self.process.communicate(timeout=TIMEOUT_S)[0]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone; who is to take note of its end may not have done so yet."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


class Daemon(Program):
    """A coordinator, ready when the constructor returns."""

    def __init__(self, config: Path, *arguments: object, python: Sequence[str] = STARTED) -> None:
        super().__init__(config.with_suffix(".log"), "cloud", "--config", config, *arguments, python=python)
        self.address = self.ready()

    def status(self) -> edge_pb2.StatusReply:
        with grpc.insecure_channel(self.address) as channel:
            status = edge_pb2_grpc.EdgeStub(channel).GetStatus
            return status(edge_pb2.StatusRequest(), metadata=METADATA, timeout=TIMEOUT_S)

    def executions(self) -> Counter[str]:
        """How often each model ran."""
        return Counter({model.name: model.executions for model in self.status().models})

    def answered(self, least: int) -> int:
        """Waits until it has answered so many inputs; returns how many it has."""

        def enough() -> int:
            inputs = int(self.status().inputs)
            return inputs if inputs >= least else 0

        return wait_until(enough, f"{least} answers")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT_S)

    def stop(self) -> int:
        self.terminate()
        return self.process.wait(TIMEOUT_S)


def write_toml(path: Path, values: dict[str, Any]) -> Path:
    """Settings as TOML, of which JSON's plain values are a part."""
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in values.items()))
    return path


def _toml(value: Any) -> str:
    """A value, or an inline table of values."""
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"


@pytest.fixture
def start_daemon(tmp_path, models) -> Iterator[Callable[..., Daemon]]:
    """Starts coordinators over the tiny models; all are gone at the end."""
    daemons = []

    def start(*arguments: str, python: Sequence[str] = STARTED, **settings: Any) -> Daemon:
        values = {"listen": "127.0.0.1:0", "models": str(models), "ledger": str(tmp_path / "ledger.sqlite"), **settings}
        daemons.append(Daemon(write_toml(tmp_path / "cloud.toml", values), *arguments, python=python))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.close()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory, models) -> Iterator[Daemon]:
    """One coordinator for all the tests that do it no harm."""
    values = {"listen": "127.0.0.1:0", "models": str(models), "token": TOKEN, "ledger": "ledger.sqlite"}
    started = Daemon(write_toml(tmp_path_factory.mktemp("cloud") / "cloud.toml", values))
    yield started
    started.close()


class Agent(Program):
    """An agent."""

    def __init__(self, config: Path, **options: Any) -> None:
        super().__init__(config.with_suffix(".log"), "device", "--config", config, "--json", **options)

    def finish(self) -> dict[str, Any]:
        """Waits for its source's end; returns its summary."""
        printed = self.wait()
        assert self.process.returncode == 0, self.said()
        return json.loads(printed)

    def refusal(self) -> str:
        """Waits until it gives up; returns why."""
        assert self.wait() == ""
        assert self.process.returncode == 2, self.said()
        return self.said()


@pytest.fixture
def start_agent(tmp_path, video) -> Iterator[Callable[..., Agent]]:
    """Starts agents over the test video; all are gone at the end."""
    agents = []

    def start(address: str, python: Sequence[str] = STARTED, **settings: Any) -> Agent:
        number = len(agents)
        values = {
            "name": f"camera-{number}",
            "source": str(video),
            "pace": "max",
            "queue": "all",
            "quality": 100,
            "coordinator": address,
            "token": TOKEN,
            "results": str(tmp_path / f"results{number}.sqlite"),
            "connect_timeout_s": TIMEOUT_S,
            "answer_timeout_s": TIMEOUT_S,
            **settings,
        }
        agents.append(Agent(write_toml(tmp_path / f"device{number}.toml", values), python=python))
        return agents[-1]

    yield start
    for agent in agents:
        agent.close()

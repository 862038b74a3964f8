"""One run of the demo: a coordinator process and an agent process, over gRPC, on one stretch of a source."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from ...device.sources.base import Frame
from ...device.sources.open import open_source
from ...errors import InfilinkError, InvalidInput, Unavailable
from ...protos import edge_pb2, edge_pb2_grpc

# A daemon that does not answer for so long hangs.
_HANGS_S = 120.0
_STOP_TIMEOUT_S = 20.0
_SAMPLE_EVERY_S = 0.1


@dataclass(frozen=True)
class Setting:
    """What differs between the runs.

    Attributes:
        name: the run's name in the report.
        gate: the agent's gate, as `device.toml` has it.
        answers: how the coordinator answers for models: "links", "hold" or "full"; only "links" uses trained links.
        budget: the coordinator's budget, as `cloud.toml` has it; "none" without.
        input_every_s: the mean time between two inputs that the gate is expected to keep.
    """

    name: str
    gate: str
    answers: str
    budget: str
    input_every_s: float = 0.0


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes:
        setting: the run's own settings.
        results: the agent's results file.
        agent: the agent's own summary.
        status: the coordinator's status when the stream had ended.
        memory: (seconds since the start, bytes of all model processes), sampled while it ran.
    """

    setting: Setting
    results: Path
    agent: dict[str, Any]
    status: dict[str, Any]
    memory: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Stretch:
    """The part of a source that every run is given.

    Attributes:
        source: a file.
        start_s: where in it the part begins.
        seconds: how long it is.
        frames: how many frames the source has in it.
        every: one of how many of them is looked at.
    """

    source: str
    start_s: float
    seconds: float
    frames: int
    every: int

    @property
    def fps(self) -> float:
        """How many frames are looked at in a second."""
        return self.frames / self.seconds / self.every

    def read(self) -> Iterator[Frame]:
        """The frames that are looked at."""
        with open_source(self.source, start_s=self.start_s, seconds=self.seconds) as source:
            yield from (frame for frame in source if frame.sequence % self.every == 0)


def run(setting: Setting, stretch: Stretch, models: Path, links: Path, folder: Path) -> Run:
    """Starts both daemons, streams the stretch as fast as they take it, and stops them.

    Raises:
        InfilinkError: a daemon failed; the message is the last line of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cloud_toml, device_toml = folder / "cloud.toml", folder / "device.toml"
    results = folder / "results.sqlite"
    results.unlink(missing_ok=True)
    cloud_toml.write_text(_cloud_toml(setting, models, links, folder), encoding="utf-8")
    with _coordinator(cloud_toml, folder) as address:
        device_toml.write_text(_device_toml(setting, stretch, address, results), encoding="utf-8")
        with grpc.insecure_channel(address) as channel:
            status = edge_pb2_grpc.EdgeStub(channel).GetStatus  # type: ignore[no-untyped-call]
            memory: list[tuple[float, int]] = []
            with _sampling(status, memory):
                agent = _agent(device_toml, folder)
            final = _status(status(edge_pb2.StatusRequest(), timeout=_HANGS_S))
    return Run(setting, results, agent, final, memory)


def _cloud_toml(setting: Setting, models: Path, links: Path, folder: Path) -> str:
    values = {
        "listen": "127.0.0.1:0",
        "models": str(models.absolute()),
        "budget": setting.budget,
        "answers": setting.answers,
        "input_every_s": setting.input_every_s,
        # With "hold" only the costs in it are used, which would be measured else.
        "links": str(links.absolute()),
        "ledger": str((folder / "ledger.sqlite").absolute()),
    }
    (folder / "ledger.sqlite").unlink(missing_ok=True)
    return _toml(values)


def _device_toml(setting: Setting, stretch: Stretch, address: str, results: Path) -> str:
    return _toml(
        {
            "name": f"demo-{setting.name}",
            # Relative paths in a configuration start at its own folder.
            "source": str(Path(stretch.source).absolute()) if Path(stretch.source).is_file() else stretch.source,
            "start_s": stretch.start_s,
            "seconds": stretch.seconds,
            "every": stretch.every,
            "pace": "max",
            "coordinator": address,
            "gate": setting.gate,
            # The full run tells what the filter loses, and the free gates are not audited either.
            "audit": 0.0,
            "queue": "all",
            "results": str(results.absolute()),
            "connect_timeout_s": _HANGS_S,
            "answer_timeout_s": _HANGS_S,
        }
    )


def _toml(values: dict[str, Any]) -> str:
    # JSON's strings and numbers are TOML's too.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


@contextmanager
def _coordinator(config: Path, folder: Path) -> Iterator[str]:
    """A coordinator that is ready; yields its address and stops it at the end."""
    with (folder / "cloud.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infilink.cli", "cloud", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield _wait_ready(process, folder / "cloud.log")
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _wait_ready(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout is not None
    timer = threading.Timer(_HANGS_S, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            if line.startswith("ready on "):
                return line.removeprefix("ready on ").strip()
    finally:
        timer.cancel()
    raise _failed("the coordinator", process.wait(), log)


def _agent(config: Path, folder: Path) -> dict[str, Any]:
    log = folder / "device.log"
    with log.open("w", encoding="utf-8") as stderr:
        done = subprocess.run(
            [sys.executable, "-m", "infilink.cli", "device", "--config", str(config), "--json"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise _failed("the agent", done.returncode, log)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def _failed(who: str, code: int, log: Path) -> InfilinkError:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1].removeprefix("error: ") if lines else f"ended with code {code}"
    return (InvalidInput if code == 2 else Unavailable)(f"{who}: {last} (its log: {log})")


@contextmanager
def _sampling(status: Any, memory: list[tuple[float, int]]) -> Iterator[None]:
    """Samples in the background what the coordinator's models take, until the body is done."""
    stopped = threading.Event()
    started = time.perf_counter()

    def sample() -> None:
        while not stopped.wait(_SAMPLE_EVERY_S):
            try:
                reply = status(edge_pb2.StatusRequest(), timeout=5)
            except grpc.RpcError:
                return
            memory.append((time.perf_counter() - started, int(reply.memory_bytes)))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _status(reply: Any) -> dict[str, Any]:
    return {
        "budget_bytes": int(reply.budget_bytes),
        "peak_bytes": int(reply.peak_bytes),
        "budget_violations": int(reply.budget_violations),
        "models": {
            model.name: {
                "executions": int(model.executions),
                "cpu_s": float(model.cpu_s),
                "loads": int(model.loads),
            }
            for model in reply.models
        },
    }

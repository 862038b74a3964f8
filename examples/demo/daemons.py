"""Serving the site for real: one coordinator process and an agent process for each camera, over gRPC, in real time."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from ...device.results_read import Results
from ...errors import InfilinkError, InvalidInput, Unavailable
from ...protos import edge_pb2, edge_pb2_grpc
from .recorded import Site
from .replaying import AUDIT, FRAME_LOSS
from .served import ORIGINS, Served, Stream

# A daemon that does not answer for so long hangs.
_HANGS_S = 120.0
_STOP_TIMEOUT_S = 20.0
_SAMPLE_EVERY_S = 0.25


@dataclass(frozen=True)
class Setting:
    """What one run over daemons is given.

    Attributes:
        folder: for all that the run writes.
        models: the folder of models.
        gate: every agent's gate, as `device.toml` has it.
        answers: how the coordinator answers for models: "links" or "hold".
        stem: the stem whose features travel, and frames where they are asked for; None: frames travel.
        seconds: how much of what is to be served; None: all of it.
    """

    folder: Path
    models: Path
    gate: str
    answers: str
    stem: Path | None = None
    seconds: float | None = None


@dataclass
class Watched:
    """What is seen while the daemons run.

    Attributes:
        seconds: since the first agent was started.
        status: the coordinator's last status.
        memory: (second, bytes) so far.
        compute: (second, seconds that models took by then) so far.
        held: when each model was in memory: from and to, in seconds.
    """

    seconds: float = 0.0
    status: Any = None
    memory: list[tuple[float, int]] = field(default_factory=list)
    compute: list[tuple[float, float]] = field(default_factory=list)
    held: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, seconds: float, status: Any) -> None:
        """Takes note of a status."""
        before_s, self.seconds, self.status = self.seconds, seconds, status
        self.memory.append((seconds, int(status.memory_bytes)))
        self.compute.append((seconds, sum(float(model.cpu_s) for model in status.models)))
        for model in status.models:
            if model.state == "loaded":
                held = self.held.setdefault(model.name, [])
                if held and held[-1][1] == before_s:
                    held[-1] = (held[-1][0], seconds)
                else:
                    held.append((seconds, seconds))


Watch = Callable[[Watched], None]


def run_site(setting: Setting, site: Site, watch: Watch = lambda watched: None) -> Served:
    """Starts the daemons, streams what the site's cameras saw as fast as it was filmed, and stops them.

    Raises:
        InfilinkError: a daemon failed; the message is the last line of its log.
    """
    setting.folder.mkdir(parents=True, exist_ok=True)
    config = setting.folder / "cloud.toml"
    config.write_text(_cloud_toml(setting, site), encoding="utf-8")
    watched = Watched()
    with _coordinator(config, setting.folder) as address, grpc.insecure_channel(address) as channel:
        status = edge_pb2_grpc.EdgeStub(channel).GetStatus  # type: ignore[no-untyped-call]

        def look(seconds: float) -> None:
            watched.add(seconds, status(edge_pb2.StatusRequest(), timeout=_HANGS_S))
            watch(watched)

        _agents(setting, site, address, look)
        final = status(edge_pb2.StatusRequest(), timeout=_HANGS_S)
    streams = read_streams(setting.folder, site)
    if silent := sorted(set(site.cameras) - set(streams)):
        raise Unavailable(f"no answers for {', '.join(silent)} (logs: {setting.folder})")
    return Served(
        streams,
        {model.name: int(model.executions) for model in final.models},
        {model.name: float(model.cpu_s) for model in final.models},
        int(final.peak_bytes),
        int(final.budget_violations),
        watched.memory,
        watched.compute,
        sum(int(model.loads) for model in final.models),
        watched.held,
        tuple(final.resident),
    )


def read_streams(folder: Path, site: Site) -> dict[str, Stream]:
    """What the agents have written so far, of each camera that has answers."""
    found = {}
    for name in site.cameras:
        path = folder / f"{name}.sqlite"
        if not path.exists():
            continue
        with ExitStack() as stack:
            try:
                results = stack.enter_context(Results(path))
                values = {model: results.served(model) for model in site.specs}
            except InvalidInput:
                # It is just being made, or some model has not answered yet.
                continue
            origins = [results.origins(model) for model in site.specs]
            found[name] = Stream(
                values,
                np.asarray([[ORIGINS.index(each) for each in row] for row in origins], np.int8),
                np.asarray(results.sent_bytes) > 0,
                np.asarray(results.sent_bytes),
            )
    return found


def _cloud_toml(setting: Setting, site: Site) -> str:
    ledger = setting.folder / "ledger.sqlite"
    ledger.unlink(missing_ok=True)
    return _toml(
        {
            "listen": "127.0.0.1:0",
            "models": str(setting.models.absolute()),
            "budget": f"{site.budget_bytes}B",
            "compute": f"{site.compute_cores:.4f} cores",
            "answers": setting.answers,
            # With "hold" only the costs in it are used, which would be measured else.
            "links": str(site.links.absolute()),
            "ask_loss": FRAME_LOSS,
            "audit": AUDIT,
            "ledger": str(ledger.absolute()),
        }
    )


def _device_toml(setting: Setting, site: Site, name: str, address: str) -> str:
    camera = site.cameras[name].camera
    results = setting.folder / f"{name}.sqlite"
    results.unlink(missing_ok=True)
    left_s = camera.seconds - camera.cut_s
    values = {
        "name": name,
        # Relative paths in a configuration start at its own folder.
        "source": str(Path(camera.path).absolute()) if Path(camera.path).is_file() else camera.path,
        "start_s": camera.cut_s,
        "seconds": left_s if setting.seconds is None else min(left_s, setting.seconds),
        "every": camera.every,
        "pace": "source",
        "coordinator": address,
        "gate": setting.gate,
        # The recording tells what the filter loses, and the free gates are not audited either.
        "audit": 0.0,
        "queue": "all",
        "results": str(results.absolute()),
        "connect_timeout_s": _HANGS_S,
        "answer_timeout_s": _HANGS_S,
    }
    if setting.stem is not None:
        values |= {"send": "ask", "stem": str(setting.stem.absolute())}
    return _toml(values)


def _toml(values: Mapping[str, Any]) -> str:
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
            _stop(process)
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


def _agents(setting: Setting, site: Site, address: str, look: Callable[[float], None]) -> None:
    """One agent for each camera, until all have ended."""
    with ExitStack() as stack:
        agents: dict[str, subprocess.Popen[bytes]] = {}
        for name in site.cameras:
            config = setting.folder / f"{name}.toml"
            config.write_text(_device_toml(setting, site, name, address), encoding="utf-8")
            log = stack.enter_context((setting.folder / f"{name}.log").open("wb"))
            command = [sys.executable, "-m", "infilink.cli", "device", "--config", str(config), "--json"]
            agents[name] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
            stack.callback(_stop, agents[name])
        started_s = time.perf_counter()
        limit_s = started_s + site.seconds + _HANGS_S
        while any(agent.poll() is None for agent in agents.values()):
            _check(agents, setting.folder)
            if time.perf_counter() > limit_s:
                raise Unavailable(
                    f"the agents have not ended {_HANGS_S:.0f} s after their sources (logs: {setting.folder})"
                )
            look(time.perf_counter() - started_s)
            time.sleep(_SAMPLE_EVERY_S)
        _check(agents, setting.folder)
        look(time.perf_counter() - started_s)


def _check(agents: "Mapping[str, subprocess.Popen[bytes]]", folder: Path) -> None:
    for name, agent in agents.items():
        if agent.returncode:
            raise _failed(f"the agent of {name}", agent.returncode, folder / f"{name}.log")


def _stop(process: "subprocess.Popen[Any]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _failed(who: str, code: int, log: Path) -> InfilinkError:
    lines: Sequence[str] = log.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line for line in lines if line.strip()]
    last = told[-1].removeprefix("error: ") if told else f"ended with code {code}"
    return (InvalidInput if code == 2 else Unavailable)(f"{who}: {last} (its log: {log})")

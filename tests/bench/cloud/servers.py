"""Each server as a process of its own, and what it takes of memory with all that it started."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        kind: edge, plain or mosec.
        address: HOST:PORT.
        process: what was started.
    """

    kind: str
    address: str
    process: subprocess.Popen[str]

    def memory_bytes(self) -> int:
        """What it and all its processes take, each shared page counted once (PSS)."""
        total = 0
        for each in (own := psutil.Process(self.process.pid), *own.children(recursive=True)):
            with suppress(psutil.Error):
                total += each.memory_full_info().pss
        return total

    def cpu_s(self) -> float:
        """The processors' time that it and all its processes took so far."""
        total = 0.0
        for each in (own := psutil.Process(self.process.pid), *own.children(recursive=True)):
            with suppress(psutil.Error):
                times = each.cpu_times()
                total += times.user + times.system
        return total


@contextmanager
def edge(models: Path, folder: Path, *, status: Path | None = None, **settings: object) -> Iterator[Running]:
    """The coordinator, as a user starts it."""
    config = folder / "cloud.toml"
    values = {"listen": "127.0.0.1:0", "models": str(models), "ledger": str(folder / "ledger.sqlite"), **settings}
    config.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in values.items()))
    command = [sys.executable, "-m", "infilink.cli", "cloud", "--config", str(config)]
    if status is not None:
        command += ["--status", str(status)]
    with _started("edge", command) as running:
        yield running


@contextmanager
def plain(model: Path, threads: int) -> Iterator[Running]:
    """The plain server."""
    with _started("plain", [sys.executable, str(FOLDER / "plain_server.py"), str(model), str(threads)]) as running:
        yield running


@contextmanager
def mosec(python: str, model: Path, workers: int) -> Iterator[Running]:
    """mosec in its own environment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "MODEL": str(model), "WORKERS": str(workers), "PYTHONPATH": _import_root()}
    process = subprocess.Popen(
        [python, str(FOLDER / "mosec_server.py"), "--port", str(port), "--timeout", "60000", "--log-level", "error"],
        env=environment,
        text=True,
        start_new_session=True,
    )
    try:
        _wait_for_http(port, process)
        yield Running("mosec", f"127.0.0.1:{port}", process)
    finally:
        _end(process)


def _import_root() -> str:
    """A folder in which `infilink` is this repository."""
    link = Path(os.environ.get("TMPDIR", "/tmp")) / "infilink-bench-root" / "infilink"
    link.parent.mkdir(exist_ok=True)
    # That of another checkout may be left over.
    link.unlink(missing_ok=True)
    link.symlink_to(ROOT)
    return str(link.parent)


@contextmanager
def _started(kind: str, command: list[str]) -> Iterator[Running]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready on "), f"{kind}: said {line!r}"
        yield Running(kind, line.removeprefix("ready on ").strip(), process)
    finally:
        _end(process)


def _wait_for_http(port: int, process: subprocess.Popen[str]) -> None:
    ends = monotonic() + 60
    while monotonic() < ends and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/"):
            return
        sleep(0.1)
    raise AssertionError("mosec did not get ready")


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)

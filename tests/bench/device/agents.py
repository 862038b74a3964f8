"""A coordinator and an agent as real processes, and what the agent's processes take of memory and processors."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from infilink.device.footprint import family, proportional_bytes
from real.data import find_data, link_models

__all__ = ["Memory", "agent", "cpu_s", "find_data", "memory", "settle", "site", "summaries"]

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_CLI = [sys.executable, "-m", "infilink.cli"]


@contextmanager
def site(data: Path, models: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of a coordinator that serves these models."""
    folder = Path(tempfile.mkdtemp(prefix="infilink-agent-"))
    link_models(data, folder / "models", models)
    (folder / "cloud.toml").write_text('listen = "127.0.0.1:0"\nmodels = "models"\nledger = "ledger.sqlite"\n')
    process = subprocess.Popen(
        [*_CLI, "cloud", "--config", str(folder / "cloud.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield folder, process.stdout.readline().removeprefix("ready on ").strip()
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
        shutil.rmtree(folder)


@contextmanager
def agent(
    folder: Path, address: str, streams: dict[str, dict[str, Any]], *, cores: int | None = None, **top: Any
) -> Iterator["subprocess.Popen[str]"]:
    """An agent with such streams, on so many cores; it prints its summary as JSON at its end."""
    values = {"name": "bench", "coordinator": address, "connect_timeout_s": 60.0, **top}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    for name, settings in streams.items():
        lines += [f"[streams.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    (folder / "device.toml").write_text("\n".join(lines) + "\n")
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    pinned = [] if cores is None else ["taskset", "--cpu-list", allowed]
    process = subprocess.Popen(
        [*pinned, *_CLI, "device", "--config", str(folder / "device.toml"), "--json"],
        stdout=subprocess.PIPE,
        stderr=(folder / "device.log").open("w"),
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def summaries(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What an agent prints at its end, by stream."""
    text, _ = process.communicate(timeout=600)
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])["streams"]
    return found


def cpu_s(pid: int) -> float:
    """The seconds of processors that a process and all that it started took so far, ended ones included."""
    total = 0.0
    for each in family(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) * _TICK_S
    return total


@dataclass(frozen=True)
class Memory:
    """What an agent's processes take together.

    Attributes:
        proportional_bytes: the proportional set size, with what else runs on this machine.
        own_bytes: the part of it that is no file's: what a program makes of memory itself.
        alone_bytes: what it would be if nothing else had the same libraries open: each file's pages once.
        processes: how many there are.
    """

    proportional_bytes: int
    own_bytes: int
    alone_bytes: int
    processes: int


def memory(pid: int) -> Memory:
    """Of a process and all that it started."""
    pids = [*family(pid)]
    files: dict[str, int] = defaultdict(int)
    own_bytes = 0
    for each in pids:
        mapped, own = _mapped(each)
        own_bytes += own
        for path, size in mapped.items():
            files[path] = max(files[path], size)
    alone_bytes = own_bytes + sum(files.values())
    return Memory(sum(map(proportional_bytes, pids)), own_bytes, alone_bytes, len(pids))


def _mapped(pid: int) -> tuple[dict[str, int], int]:
    """A process's resident bytes of each file, and its part of all that is no file's."""
    mapped: dict[str, int] = defaultdict(int)
    own = resident = proportional = 0
    path = ""
    for line in Path(f"/proc/{pid}/smaps").read_text(errors="replace").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            path = words[5] if len(words) > 5 else ""
        elif words[0] == "Rss:":
            resident = int(words[1]) * 1024
        elif words[0] == "Pss:":
            proportional = int(words[1]) * 1024
        elif words[0] == "Anonymous:":
            anonymous = int(words[1]) * 1024
            if path.startswith("/") and "memfd" not in path and not line.endswith("(deleted)"):
                mapped[path] += resident - anonymous
                own += min(proportional, anonymous)
            else:
                own += proportional
    return mapped, own


def settle(seconds: float) -> None:
    """Waits: what is measured is an agent at work, not one that starts."""
    time.sleep(seconds)

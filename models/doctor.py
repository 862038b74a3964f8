"""What there is on a machine to run models with, and what is wrong with it, each with what to do next."""

import ctypes
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import onnxruntime as ort
import psutil

from ..errors import InfilinkError
from ..units import format_bytes
from .providers import NAMES, UNTESTED

State = Literal["ok", "note", "wrong"]

_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "opencv-python-headless",
    "av",
    "grpcio",
    "protobuf",
    "tokenizers",
)
_LEAST_MEMORY_BYTES = 256 * 2**20
_LEAST_DISK_BYTES = 512 * 2**20
# What onnxruntime's and OpenCV's fast paths are built for.
_INSTRUCTIONS = {
    "x86_64": ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    "aarch64": ("asimddp", "i8mm", "sve"),
}
_LEAST = {"x86_64": "avx2", "aarch64": "asimddp"}
_FIRST_YEAR = 2025


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what it is of: "providers", "memory".
        state: "ok"; "note": worth knowing; "wrong": something will not work.
        text: what there is.
        advice: what to do next; empty: nothing.
    """

    topic: str
    state: State
    text: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return asdict(self)


def check_machine(folder: Path = Path()) -> Iterator[Finding]:
    """Looks at versions, processors, providers, cards, memory, disk and clock.

    Args:
        folder: whose disk is looked at.
    """
    for check in (_versions, _processors, _providers, _cards, _memory):
        yield from guarded(check.__name__.strip("_"), check)
    yield from guarded("disk", lambda: disk(folder))
    yield from guarded("clock", _clock)


def guarded(topic: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; what it raises is a finding, too."""
    try:
        yield from check()
    except InfilinkError as error:
        yield Finding(topic, "wrong", str(error))
    except Exception as error:
        yield Finding(topic, "note", f"can't be looked at: {type(error).__name__}: {error}")


def disk(folder: Path, least_bytes: int = _LEAST_DISK_BYTES, *, topic: str = "disk") -> Iterator[Finding]:
    """Looks at the room on a folder's disk.

    Args:
        folder: it, or what it will lie in, is there.
        least_bytes: how much is needed.
        topic: what it is for.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        yield Finding(topic, "wrong", f"{there}: is a file, and {folder} is to be a folder", "give another")
        return
    free_bytes = shutil.disk_usage(there).free
    short = free_bytes < least_bytes
    text = f"{format_bytes(free_bytes)} free for {folder.absolute()}"
    advice = f"make room: {format_bytes(least_bytes)} should be free" if short else ""
    yield Finding(topic, "wrong" if short else "ok", text, advice)
    if not os.access(there, os.W_OK):
        yield Finding(topic, "wrong", f"{there}: can't be written", "run it as who owns that folder, or give another")


def _versions() -> Iterator[Finding]:
    from .. import __version__

    found = {name: version for name in _PACKAGES if (version := _version(name))}
    python = platform.python_version()
    yield Finding(
        "versions",
        "ok",
        f"infilink {__version__}, Python {python}, {platform.system()} {platform.release()} {platform.machine()}; "
        + ", ".join(f"{name} {version}" for name, version in found.items()),
    )
    if "onnxruntime" in found and "onnxruntime-gpu" in found:
        yield Finding(
            "versions",
            "wrong",
            "onnxruntime and onnxruntime-gpu are both installed: each overwrites files of the other",
            "pip uninstall -y onnxruntime onnxruntime-gpu; then install one of them",
        )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processors() -> Iterator[Finding]:
    affinity = getattr(os, "sched_getaffinity", None)
    usable, there = len(affinity(0)) if affinity else os.cpu_count() or 1, os.cpu_count() or 1
    machine, flags = platform.machine(), _instruction_sets()
    known = [each for each in _INSTRUCTIONS.get(machine, ()) if each in flags]
    text = f"{usable} of {there} processors may be used" + (f"; {', '.join(known)}" if known else "")
    lacks = _LEAST.get(machine, "") if flags and _LEAST.get(machine) not in flags else ""
    if lacks:
        yield Finding("processors", "note", f"{text}; no {lacks}", "models run several times slower here: prefer int8")
    else:
        yield Finding("processors", "ok", text)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 1.5 * there:
        yield Finding("processors", "note", f"other programs are at work: load {load:.1f} on {there} processors")


def _instruction_sets() -> frozenset[str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return frozenset()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return frozenset(found.partition(":")[2].split())


def _providers() -> Iterator[Finding]:
    short = {full: name for name, full in NAMES.items()}
    there = [short.get(name, name) for name in ort.get_available_providers()]
    untested = [name for name in there if name in UNTESTED]
    yield Finding("providers", "ok", f"onnxruntime has {', '.join(there)}")
    if untested:
        yield Finding("providers", "note", f"{', '.join(untested)}: handed on by name, never tried by infilink")


def _cards() -> Iterator[Finding]:
    has_provider = NAMES["cuda"] in ort.get_available_providers()
    names = cards()
    if names is None:
        nvidia = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
        if nvidia or has_provider:
            yield Finding(
                "cards",
                "wrong",
                "an NVIDIA driver or onnxruntime-gpu is here, and cards can't be measured",
                "pip install 'infilink[gpu]'; then see whether nvidia-smi works",
            )
        else:
            yield Finding("cards", "ok", "none: models run on the processors")
        return
    for at, (name, total_bytes, free_bytes) in enumerate(names):
        yield Finding(
            "cards", "ok", f"cuda:{at}: {name}, {format_bytes(free_bytes)} of {format_bytes(total_bytes)} free"
        )
    if names and not has_provider:
        yield Finding(
            "cards",
            "note",
            "there is a card, and the installed onnxruntime can't use it",
            "pip uninstall -y onnxruntime; pip install onnxruntime-gpu",
        )
    if has_provider and not names:
        yield Finding(
            "cards", "wrong", "onnxruntime-gpu is installed, and the driver shows no card", "see what nvidia-smi says"
        )


def cards() -> list[tuple[str, int, int]] | None:
    """Each card's name, memory and free memory; None: NVIDIA's driver or nvidia-ml-py is not there."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:
        return None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
        read = [(pynvml.nvmlDeviceGetName(each), pynvml.nvmlDeviceGetMemoryInfo(each)) for each in handles]
        return [(str(name), int(memory.total), int(memory.free)) for name, memory in read]
    finally:
        pynvml.nvmlShutdown()


def _memory() -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    limit_bytes = _container_limit()
    total_bytes = memory.total if limit_bytes is None else min(memory.total, limit_bytes)
    text = f"{format_bytes(memory.available)} of {format_bytes(memory.total)} free"
    if limit_bytes is not None and limit_bytes < memory.total:
        text += f"; this container may take {format_bytes(limit_bytes)}"
    short = min(memory.available, total_bytes) < _LEAST_MEMORY_BYTES
    advice = f"make room: {format_bytes(_LEAST_MEMORY_BYTES)} should be free" if short else ""
    yield Finding("memory", "wrong" if short else "ok", text, advice)


def _container_limit() -> int | None:
    path = Path("/sys/fs/cgroup/memory.max")
    text = path.read_text(encoding="ascii").strip() if path.is_file() else "max"
    return int(text) if text.isdigit() else None


def _clock() -> Iterator[Finding]:
    now = datetime.now(UTC)
    if now.year < _FIRST_YEAR:
        yield Finding(
            "clock",
            "wrong",
            f"it is {now:%Y-%m-%d %H:%M} UTC here",
            "set the clock: deadlines and certificates need it",
        )
        return
    synchronized = _is_synchronized()
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if synchronized is False:
        yield Finding(
            "clock", "note", f"{text}, not synchronized", "run chrony or systemd-timesyncd, if frames have deadlines"
        )
    else:
        yield Finding("clock", "ok", text + (", synchronized" if synchronized else ""))


def _is_synchronized() -> bool | None:
    """What the kernel says of its clock; None: it does not."""
    if sys.platform != "linux":
        return None
    # A `struct timex` with no mode set only asks; 5 is TIME_ERROR. It is smaller than this on every system.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    return None if state < 0 else bool(state != 5)


def port(listen: str, *, topic: str = "port") -> Iterator[Finding]:
    """Looks whether something could listen there.

    Args:
        listen: HOST:PORT.
        topic: what it is for.
    """
    host, _, number = listen.rpartition(":")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(number), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        in_use = "in use" in str(error).lower()
        yield Finding(
            topic,
            "note" if in_use else "wrong",
            f"{listen}: {error.strerror or error}",
            "a coordinator that runs already is fine (`infilink status`); else stop what listens there, or give another"
            if in_use
            else "give an address of this machine",
        )
        return
    yield Finding(topic, "ok", f"{listen} is free")

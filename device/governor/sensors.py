"""What the device says of itself: heat, throttling, processors, memory, battery, disk; what it does not say is None."""

import logging
import os
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import TypeVar

import psutil

logger = logging.getLogger(__name__)

Reading = TypeVar("Reading")

_CPU_OVER_S = 60.0
_ASK_FIRMWARE_EVERY_S = 10.0
_ASKS_WITHIN_S = 2.0
_MOST_C = 150.0
_FULL = 100.0
# A board has zones of its charger and its radio, too: where there are the processor's own, these count alone.
_OF_PROCESSOR = ("cpu", "soc", "pkg", "core", "x86", "tsens", "bigcore", "little")
_FLAGS = {1: "frequency capped", 2: "throttled", 3: "soft temperature limit", 0: "voltage too low"}


@dataclass(frozen=True)
class Readings:
    """What is known at a moment; None: nobody says.

    Attributes:
        temperature_c: of the processor's hottest zone.
        throttled: what the firmware slows it down for now; empty: it does not.
        cpu_share: how busy the processors that the agent may use were over the last minute, from 0 to 1.
        memory_free_share: of the device's memory, or its container's if that is nearer to its end.
        battery_share: what is left of the battery while it is discharged; None as well while it is charged.
        disk_free_bytes: where the agent writes.
        round_trip_s: from sending an input to its answer, the slowest stream's.
        lost_share: of what was kept lately, what the link could not take.
        send_bytes_per_s: what all streams send lately.
    """

    temperature_c: float | None = None
    throttled: tuple[str, ...] = ()
    cpu_share: float | None = None
    memory_free_share: float | None = None
    battery_share: float | None = None
    disk_free_bytes: int | None = None
    round_trip_s: float | None = None
    lost_share: float | None = None
    send_bytes_per_s: float | None = None


class Sensors:
    """Reads the device.

    Args:
        folders: where the agent writes; the fullest disk counts.
        sysfs: the system's own figures: `class/thermal`, `class/power_supply`, `devices/platform/soc`, `fs/cgroup`.
        cpu_times: busy and whole seconds of the processors that the agent may use, so far.
        memory: free and whole bytes of memory.
    """

    def __init__(
        self,
        folders: Iterable[Path] = (),
        *,
        sysfs: Path = Path("/sys"),
        cpu_times: Callable[[], tuple[float, float]] | None = None,
        memory: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self.folders = tuple(folders)
        self.sysfs = sysfs
        self.cpu_times = cpu_times or _cpu_times
        self.memory = memory or _memory
        self._zones = [zone / "temp" for zone in _zones(sysfs / "class" / "thermal")]
        self._batteries = [*_batteries(sysfs / "class" / "power_supply")]
        self._firmware = sysfs / "devices" / "platform" / "soc" / "soc:firmware" / "get_throttled"
        # The command where the file is not: older systems of a Raspberry Pi, and never where /sys is a test's.
        self._command = None if self._firmware.exists() or sysfs != Path("/sys") else which("vcgencmd")
        self._asked_s = -_ASK_FIRMWARE_EVERY_S
        self._throttled: tuple[str, ...] = ()
        self._cpu: deque[tuple[float, float, float]] = deque()

    def read(self, now_s: float) -> Readings:
        """All that can be read now; `now_s` are seconds that never go back."""
        return Readings(
            temperature_c=_given(self._temperature_c),
            throttled=_given(lambda: self._flags(now_s)) or (),
            cpu_share=_given(lambda: self._cpu_share(now_s)),
            memory_free_share=_given(self._memory_free_share),
            battery_share=_given(self._battery_share),
            disk_free_bytes=_given(self._disk_free_bytes),
        )

    def _temperature_c(self) -> float | None:
        read = [value / 1000.0 for value in map(_number, self._zones) if value is not None]
        return max((value for value in read if 0.0 < value < _MOST_C), default=None)

    def _flags(self, now_s: float) -> tuple[str, ...]:
        text = _text(self._firmware)
        if text is None and self._command is not None:
            if now_s - self._asked_s < _ASK_FIRMWARE_EVERY_S:
                return self._throttled
            self._asked_s = now_s
            text = _said(self._command)
        self._throttled = _flags_of(text or "")
        return self._throttled

    def _cpu_share(self, now_s: float) -> float | None:
        """None in the first minute: a start is busy."""
        busy_s, whole_s = self.cpu_times()
        self._cpu.append((now_s, busy_s, whole_s))
        while len(self._cpu) > 2 and self._cpu[1][0] <= now_s - _CPU_OVER_S:
            self._cpu.popleft()
        since_s, busy_then_s, whole_then_s = self._cpu[0]
        if now_s - since_s < _CPU_OVER_S or whole_s <= whole_then_s:
            return None
        return (busy_s - busy_then_s) / (whole_s - whole_then_s)

    def _memory_free_share(self) -> float | None:
        free, whole = self.memory()
        shares = [free / whole] if whole else []
        group = self.sysfs / "fs" / "cgroup"
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit and used is not None:
            # What was read from files and is not in use is given back when it is asked for.
            stat = dict(line.split(maxsplit=1) for line in (_text(group / "memory.stat") or "").splitlines())
            cached = float(stat.get("inactive_file", 0.0))
            shares.append(max(0.0, 1.0 - (used - cached) / limit))
        return min(shares, default=None)

    def _battery_share(self) -> float | None:
        found = []
        for battery in self._batteries:
            left = _number(battery / "capacity")
            # A gauge that was never calibrated says -1, or more than there can be.
            if left is not None and 0.0 <= left <= _FULL and _text(battery / "status") == "Discharging":
                found.append(left / _FULL)
        return min(found, default=None)

    def _disk_free_bytes(self) -> int | None:
        found = []
        for folder in self.folders:
            there = next((each for each in (folder, *folder.parents) if each.is_dir()), None)
            if there is not None:
                with suppress(OSError):
                    stat = os.statvfs(there)
                    found.append(stat.f_bavail * stat.f_frsize)
        return min(found, default=None)


def _given(read: Callable[[], Reading]) -> Reading | None:
    """What the device says; None where it does not let us ask (Android hides /proc/stat), or says nonsense."""
    try:
        return read()
    except Exception as error:  # Whatever stands in a device's files, the other readings count.
        logger.debug("a reading: %s", error)
        return None


def _zones(folder: Path) -> list[Path]:
    zones = sorted(folder.glob("thermal_zone*"))
    own = [zone for zone in zones if any(word in (_text(zone / "type") or "").lower() for word in _OF_PROCESSOR)]
    return own or zones


def _batteries(folder: Path) -> Iterator[Path]:
    for supply in sorted(folder.glob("*")):
        # A mouse's or a keyboard's has the scope "Device".
        if _text(supply / "type") == "Battery" and _text(supply / "scope") != "Device":
            yield supply


def _flags_of(text: str) -> tuple[str, ...]:
    """What is so now of `50005` or `throttled=0x50005`; what once was so, in the upper bits, does not count."""
    try:
        bits = int(text.rpartition("=")[2].strip() or "0", 16)
    except ValueError:
        return ()
    return tuple(name for bit, name in _FLAGS.items() if bits >> bit & 1)


def _said(command: str) -> str:
    try:
        done = subprocess.run(
            [command, "get_throttled"], capture_output=True, text=True, timeout=_ASKS_WITHIN_S, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout


def _cpu_times() -> tuple[float, float]:
    times = psutil.cpu_times(percpu=True)
    affinity = getattr(os, "sched_getaffinity", None)
    if affinity is not None:
        times = [times[number] for number in affinity(0) if number < len(times)]
    # Guests' seconds are counted among the user's already.
    whole_s = sum(sum(each) - getattr(each, "guest", 0.0) - getattr(each, "guest_nice", 0.0) for each in times)
    idle_s = sum(each.idle + getattr(each, "iowait", 0.0) for each in times)
    return whole_s - idle_s, whole_s


def _memory() -> tuple[int, int]:
    found = psutil.virtual_memory()
    return found.available, found.total


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None

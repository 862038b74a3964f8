"""What an agent takes of the device's memory: all of its processes together, shared pages counted once."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_AGAIN_AFTER_S = 10.0


class Footprint:
    """Measures this process and all that it started: decoders, models. From any thread.

    Args:
        clock: seconds that never go back.
        again_after_s: how old a measurement may be: each walks through the processes' page tables.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, again_after_s: float = _AGAIN_AFTER_S) -> None:
        self.clock = clock
        self.again_after_s = again_after_s
        self._lock = threading.Lock()
        self._measured_s: float | None = None
        self._size_bytes = 0

    def size_bytes(self) -> int:
        """The proportional set size of all processes; the resident one where the system knows no other."""
        with self._lock:
            now_s = self.clock()
            if self._measured_s is None or now_s - self._measured_s >= self.again_after_s:
                self._measured_s = now_s
                self._size_bytes = sum(map(proportional_bytes, family(os.getpid())))
            return self._size_bytes


def family(pid: int) -> Iterator[int]:
    """A process and all that it started, by the children of its threads; those that end meanwhile are left out."""
    yield pid
    try:
        tasks = [*Path(f"/proc/{pid}/task").iterdir()]
        # Not every kernel says: then all processes are looked through.
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (OSError, ValueError):
        with suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        return
    for child in children:
        yield from family(child)


def proportional_bytes(pid: int) -> int:
    """A process's proportional set size: a page that several share counts for each by its part. 0: it has ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0

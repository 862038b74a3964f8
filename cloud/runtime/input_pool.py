"""Shared memory for inputs on their way to models: decoded pictures and tensors, with one limit in bytes for them all.

A picture is decoded into it once, and every model's process reads it there. What is given back is used again, so that
no page is made anew for each picture. An input that waits for its turn has room, but no memory yet: as many pieces are
in use as inputs are worked on, not as many as wait.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ...errors import QueueFull
from ...models.process_child import FRAME, SMALL_BYTES, Sent, share_into
from ...models.shared_memory import SharedMemory
from ...outputs import Array

# What is smaller never waits for what is large: large ones together leave a quarter of the limit to small ones.
_LARGE_SHARE, _LARGE_TOGETHER = 1 / 16, 3 / 4
# Free memory that is kept to be used again.
_KEPT_SHARE, _MOST_KEPT_BYTES = 1 / 4, 2**26


class Held:
    """Room for an input, and the memory that it lies in once it is there; given back when this is dropped.

    Attributes:
        size_bytes: how much of the limit it takes.
        sent: the input's arrays, as a process is given them.
        arrays: the same, to be read here.
    """

    def __init__(self, pool: "InputPool", size_bytes: int) -> None:
        self._pool = pool
        self._memory: SharedMemory | None = None
        self.size_bytes = size_bytes
        self.sent: Mapping[str, Sent] = {}
        self.arrays: Mapping[str, Array] = {}

    def make(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Memory for an input, to be decoded into; there is room enough for it."""
        self._memory = self._pool.memory_for(self.size_bytes)
        if self._memory is None:
            array = np.empty(shape, dtype)
            self.sent = self.arrays = {FRAME: array}
        else:
            place, array = self._memory.at(0, dtype, shape)
            self.sent, self.arrays = {FRAME: place}, {FRAME: array}
        return array

    def copy(self, arrays: Mapping[str, Array]) -> None:
        """Copies an input in."""
        self._memory = self._pool.memory_for(self.size_bytes)
        self.sent = arrays if self._memory is None else share_into(self._memory, arrays)
        self.arrays = arrays

    @property
    def frame(self) -> Array:
        """The picture, or whatever else the input is."""
        return self.arrays[FRAME]

    def __del__(self) -> None:
        """Gives the memory back."""
        self._pool._dropped(self._memory, self.size_bytes)


@dataclass(frozen=True)
class PoolStats:
    """What inputs take now, what is kept to be used again, how many wait for room, and the most that was ever taken."""

    held_bytes: int
    kept_bytes: int
    waiting: int
    peak_bytes: int


@dataclass(eq=False)
class _Place:
    """Who waits for memory."""

    size_bytes: int
    freed: asyncio.Event = field(default_factory=asyncio.Event)


class InputPool:
    """Gives memory to inputs, first come, first served, as far as the limit allows; one that is larger goes alone.

    Args:
        limit_bytes: what all inputs may take together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._large = WeakValueDictionary[frozenset[str], asyncio.Lock]()
        self._held_bytes = self._large_bytes = self._peak_bytes = 0
        self._kept: dict[int, list[SharedMemory]] = {}
        self._kept_bytes = 0
        self._waiting: deque[_Place] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def large(self, models: Collection[str]) -> asyncio.Lock:
        """Held while a large input for these models waits for its turn and is decoded: one at a time."""
        return self._large.setdefault(frozenset(models), asyncio.Lock())

    async def hold(self, size_bytes: int, *, within_s: float | None = None) -> Held:
        """Room for an input, once there is some.

        Args:
            size_bytes: how much.
            within_s: how long to wait for it; None: as long as it takes.

        Raises:
            QueueFull: there was no room in time.
        """
        size_bytes = _rounded(size_bytes)
        before = any(self._is_large(each.size_bytes) == self._is_large(size_bytes) for each in self._waiting)
        if not before and self._fits(size_bytes):
            return self.hold_now(size_bytes)
        place = _Place(size_bytes)
        self._waiting.append(place)
        try:
            async with asyncio.timeout(within_s):
                while not self._fits(size_bytes):
                    place.freed.clear()
                    await place.freed.wait()
                return self.hold_now(size_bytes)
        except TimeoutError:
            raise QueueFull(
                f"the inputs that wait for models take {self._held_bytes / 2**20:.0f} MiB of "
                f"{self.limit_bytes / 2**20:.0f} MiB (`max_waiting_bytes`)",
                retry_after_s=within_s or 1.0,
            ) from None
        finally:
            self._waiting.remove(place)
            self._wake()

    def hold_now(self, size_bytes: int) -> Held:
        """Room for an input that can't wait, as others wait for it: it counts, whatever the limit."""
        if self._loop is None:
            with suppress(RuntimeError):
                self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        size_bytes = _rounded(size_bytes)
        self._held_bytes += size_bytes
        self._large_bytes += size_bytes if self._is_large(size_bytes) else 0
        self._peak_bytes = max(self._peak_bytes, self._held_bytes)
        return Held(self, size_bytes)

    def memory_for(self, size_bytes: int) -> SharedMemory | None:
        """Memory for an input that has room: what was given back last, or else new; None: it is too small for any."""
        if kept := self._kept.get(size_bytes):
            self._kept_bytes -= size_bytes
            return kept.pop()
        if size_bytes <= SMALL_BYTES:
            return None
        self._shrink(self.limit_bytes - self._held_bytes)
        return SharedMemory(size_bytes)

    def copy(self, arrays: Mapping[str, Array]) -> Held:
        """An input that is in memory already, copied to where processes see it."""
        held = self.hold_now(sum(array.nbytes + 64 for array in arrays.values()))
        held.copy(arrays)
        return held

    @property
    def taken_bytes(self) -> int:
        """What inputs take now, and what is kept for the next ones."""
        return self._held_bytes + self._kept_bytes

    def stats(self) -> PoolStats:
        """The figures now."""
        return PoolStats(self._held_bytes, self._kept_bytes, len(self._waiting), self._peak_bytes)

    def close(self) -> None:
        """Gives up what is kept."""
        self._shrink(0)

    def _dropped(self, memory: SharedMemory | None, size_bytes: int) -> None:
        """Takes memory back; from any thread, as whoever decodes may be the last to hold it."""
        if self._loop is None or self._thread == threading.get_ident():
            self._take_back(memory, size_bytes)
        else:
            with suppress(RuntimeError):  # the loop is closed: so is this
                self._loop.call_soon_threadsafe(self._take_back, memory, size_bytes)

    def _take_back(self, memory: SharedMemory | None, size_bytes: int) -> None:
        self._held_bytes -= size_bytes
        self._large_bytes -= size_bytes if self._is_large(size_bytes) else 0
        if memory is not None:
            self._shrink(min(_KEPT_SHARE * self.limit_bytes, _MOST_KEPT_BYTES) - size_bytes)
            self._kept.setdefault(size_bytes, []).append(memory)
            self._kept_bytes += size_bytes
            self._shrink(min(_KEPT_SHARE * self.limit_bytes, _MOST_KEPT_BYTES))
        self._wake()

    def _wake(self) -> None:
        """Has the first look whether there is room for it now, and of the small ones the first."""
        for is_large in (True, False):
            first = next((each for each in self._waiting if is_large or not self._is_large(each.size_bytes)), None)
            if first is not None and self._fits(first.size_bytes):
                first.freed.set()

    def _shrink(self, most_bytes: float) -> None:
        while self._kept and self._kept_bytes > most_bytes:
            size_bytes, kept = next(iter(self._kept.items()))
            if kept:
                kept.pop(0).close()
                self._kept_bytes -= size_bytes
            else:
                # What comes next of this size is the last to be given up.
                del self._kept[size_bytes]

    def _fits(self, size_bytes: int) -> bool:
        if not self._held_bytes:
            return True
        large_bytes = self._large_bytes + size_bytes
        if self._is_large(size_bytes) and self._large_bytes and large_bytes > _LARGE_TOGETHER * self.limit_bytes:
            return False
        return self._held_bytes + size_bytes <= self.limit_bytes

    def _is_large(self, size_bytes: int) -> bool:
        return size_bytes > _LARGE_SHARE * self.limit_bytes


def _rounded(size_bytes: int) -> int:
    """To one of few sizes, so that memory fits the next input, too: at most a quarter more."""
    if size_bytes <= SMALL_BYTES:
        return size_bytes
    step = 1 << (size_bytes.bit_length() - 3)
    return -(-size_bytes // step) * step

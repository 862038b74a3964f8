"""What was read from devices and is not answered: one limit in bytes for all streams, and when more may come."""

import asyncio
import time
from collections.abc import Callable

# How much of the time between two answers is believed of the last one: groups are answered at once.
_BELIEVED = 0.05
# Nobody is told to wait longer: by then things are otherwise.
_LONGEST_S = 10.0


class Backlog:
    """Whoever reads waits here until there is room for what it has read; gRPC's flow control then stops its device.

    Args:
        limit_bytes: what all streams together may have read and not answered; one input alone may be larger.
        clock: seconds that never go back.

    Attributes:
        size_bytes: what they have.
    """

    def __init__(self, limit_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_bytes = limit_bytes
        self.clock = clock
        self.size_bytes = 0
        self._freed = asyncio.Event()
        # First come, first served: beside small inputs, which fit at any time, a large one would never find room.
        self._first = asyncio.Lock()
        # How far apart inputs are answered while others wait; when the last one was, and when the next stream may come.
        self._apart_s = 0.0
        self._answered_s: float | None = None
        self._again_s = 0.0

    async def add(self, size_bytes: int) -> None:
        """Counts an input, once there is room for it."""
        async with self._first:
            while self.size_bytes and self.size_bytes + size_bytes > self.limit_bytes:
                self._freed.clear()
                await self._freed.wait()
            self.size_bytes += size_bytes

    def remove(self, size_bytes: int) -> None:
        """An input is answered, or given up."""
        self.size_bytes -= size_bytes
        self._freed.set()
        now_s = self.clock()
        if self._answered_s is not None:
            self._apart_s += _BELIEVED * (now_s - self._answered_s - self._apart_s)
        self._answered_s = now_s if self.size_bytes else None

    def again_after_s(self, first_s: float) -> float:
        """How long a stream that was refused is to wait: those that are come one after another, as answers do.

        Args:
            first_s: how long it would be if it was the only one.
        """
        now_s = self.clock()
        self._again_s = min(max(now_s + first_s, self._again_s + self._apart_s), now_s + _LONGEST_S)
        return self._again_s - now_s

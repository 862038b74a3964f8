"""How much may be sent: bytes a second, and bytes and calls a day."""

import json
import time
from collections.abc import Callable
from contextlib import suppress

_DAY_S = 86400
_SAVED_S = 10.0


class Budget:
    """What one stream may send. A day is one of UTC, by the machine's clock; where that goes back, the day goes on.

    Args:
        bytes_per_s: the rate, on average over a second; 0: any.
        bytes_a_day: bytes of inputs; 0: any.
        calls_a_day: inputs; 0: any.
        saved: what `save` gave, in this run or an earlier one; empty: nothing.
        clock: seconds that do not go back.
        unix_ns: the machine's clock.
    """

    def __init__(
        self,
        bytes_per_s: int,
        bytes_a_day: int,
        calls_a_day: int,
        *,
        saved: bytes = b"",
        clock: Callable[[], float] = time.monotonic,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self.bytes_a_day = bytes_a_day
        self.calls_a_day = calls_a_day
        self._clock = clock
        self._unix_ns = unix_ns
        self._day = self._bytes = self._calls = 0
        with suppress(ValueError, KeyError, TypeError):
            data = json.loads(saved)
            self._day, self._bytes, self._calls = int(data["day"]), int(data["bytes"]), int(data["calls"])
        self._free_s = clock()
        self._saved_s = clock()

    def wait_s(self) -> float:
        """For how long nothing may be sent; 0: something may."""
        self._begin_day()
        if self.is_spent:
            return _DAY_S - self._unix_ns() / 1e9 % _DAY_S
        return max(0.0, self._free_s - self._clock())

    @property
    def is_spent(self) -> bool:
        """Whether the day's budget is."""
        bytes_spent = 0 < self.bytes_a_day <= self._bytes
        return bytes_spent or 0 < self.calls_a_day <= self._calls

    def spend(self, size_bytes: int) -> bytes:
        """Takes note of an input that is sent; returns what is to be kept of that now, empty: nothing."""
        self._begin_day()
        self._bytes += size_bytes
        self._calls += 1
        if self.bytes_per_s:
            self._free_s = max(self._free_s, self._clock()) + size_bytes / self.bytes_per_s
        if not (self.bytes_a_day or self.calls_a_day):
            return b""
        if self._clock() - self._saved_s < _SAVED_S and not self.is_spent:
            return b""
        self._saved_s = self._clock()
        return self.save()

    def save(self) -> bytes:
        """The day's sums."""
        return json.dumps({"day": self._day, "bytes": self._bytes, "calls": self._calls}).encode()

    def _begin_day(self) -> None:
        day = self._unix_ns() // 10**9 // _DAY_S
        if day > self._day:
            self._day, self._bytes, self._calls = day, 0, 0

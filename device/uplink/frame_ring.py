"""The last frames that were sent as features, as JPEGs: the coordinator may ask for one of them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class _Kept:
    jpeg: bytes
    kept_s: float
    deadline_ns: int


class FrameRing:
    """Keeps frames until they are answered, within bounds on bytes and seconds: the oldest are gone first.

    Args:
        most_bytes: what all of them may take.
        most_s: how long each is kept.
        clock: seconds that do not go back.
        clock_ns: Unix time, for the deadlines.
    """

    def __init__(
        self,
        most_bytes: int,
        most_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.most_bytes = most_bytes
        self.most_s = most_s
        self.clock = clock
        self.clock_ns = clock_ns
        self.size_bytes = 0
        self._frames: OrderedDict[int, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, sequence: int, jpeg: bytes, deadline_ns: int = 0) -> bool:
        """Keeps a frame; returns False for one that is too large to be kept at all.

        Args:
            sequence: the input's.
            jpeg: the frame.
            deadline_ns: Unix time after which nobody wants it; 0: none.
        """
        if len(jpeg) > self.most_bytes:
            return False
        with self._lock:
            self._frames[sequence] = _Kept(jpeg, self.clock(), deadline_ns)
            self.size_bytes += len(jpeg)
            self._forget()
        return True

    def get(self, sequence: int) -> bytes:
        """A frame; empty if it is gone, or its deadline is over."""
        with self._lock:
            self._forget()
            kept = self._frames.get(sequence)
            if kept is None or (kept.deadline_ns and self.clock_ns() > kept.deadline_ns):
                return b""
            return kept.jpeg

    def drop(self, sequence: int) -> None:
        """Forgets a frame that nobody will ask for any more."""
        with self._lock:
            if sequence in self._frames:
                self.size_bytes -= len(self._frames.pop(sequence).jpeg)

    def _forget(self) -> None:
        oldest_s = self.clock() - self.most_s
        while self._frames:
            first = next(iter(self._frames))
            if self.size_bytes <= self.most_bytes and self._frames[first].kept_s >= oldest_s:
                return
            self.size_bytes -= len(self._frames.pop(first).jpeg)

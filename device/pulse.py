"""Whether a stream's capture loop gets on: since when it is at work on one input."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pulse:
    """The capture loop says when it takes up an input and when it is done with it; whoever watches asks how long ago.

    A loop that waits is not stuck: for an input, however long a quiet source gives none, or for room, where the
    settings say that it shall wait.

    Args:
        clock: seconds that never go back.

    Attributes:
        capturing: whether the source is open and the loop asks it for inputs.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.capturing = False
        self._since_s: float | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The body is the work on one input."""
        self._since_s = self.clock()
        try:
            yield
        finally:
            self._since_s = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The body waits for room; what comes after it is work again."""
        self._since_s = None
        try:
            yield
        finally:
            self._since_s = self.clock()

    def busy_s(self) -> float:
        """How long the loop has been at work on one input; 0: it is not. From any thread."""
        since_s = self._since_s
        return 0.0 if since_s is None else self.clock() - since_s

"""What every sink is, and the thread that feeds one: nobody waits for it; what it can't take in time is left out."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ...units import format_bytes
from .delivered import Delivered, EventPicture, Item

logger = logging.getLogger(__name__)

QUEUE_BYTES = 32 * 2**20
_TELL_EVERY_S = 60.0
_CLOSES_WITHIN_S = 5.0


class Sink(Protocol):
    """Takes results as they come; all of its methods are called from one thread, one after another.

    Of one stream inputs come in order of their sequence; late ones, marked so, when their results have come.

    Attributes:
        wants_pictures: whether `take` is given the pictures, too.
    """

    wants_pictures: bool

    def take(self, delivered: Delivered, /) -> None:
        """Takes one input and what is known of it. An exception is logged, and the next input is tried."""

    def take_event(self, event: EventPicture, /) -> None:
        """Takes the best picture of an event that has ended."""

    def close(self) -> None:
        """No more comes."""


class SinkRunner:
    """Feeds a sink in a thread of its own; when more waits than may, the oldest are left out, counted and told.

    Args:
        name: how the sink is called in what is logged.
        sink: what is fed; closed at the end.
        most_bytes: what may wait.
        clock: seconds that do not go back, for what is told now and then.

    Attributes:
        taken: how many items the sink took.
        left_out: how many came too fast for it.
        failed: how many it raised an exception for.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        *,
        most_bytes: int = QUEUE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.sink = sink
        self.most_bytes = most_bytes
        self.clock = clock
        self.taken = self.left_out = self.failed = 0
        self._waiting: deque[tuple[Item, int]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._told_s: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}"[:15], daemon=True)
        self._thread.start()

    @property
    def wants_pictures(self) -> bool:
        """Whether the sink looks at pictures."""
        return self.sink.wants_pictures

    def put(self, item: Item) -> None:
        """Hands an item over; never waits."""
        if not self.wants_pictures:
            item = item.without_picture()
        size_bytes = item.size_bytes
        with self._changed:
            if self._ending:
                return
            self._waiting.append((item, size_bytes))
            self._waiting_bytes += size_bytes
            before = self.left_out
            while self._waiting_bytes > self.most_bytes:
                self._waiting_bytes -= self._waiting.popleft()[1]
                self.left_out += 1
            more = self.left_out > before
            self._changed.notify()
        if more:
            self._tell(
                "slow",
                "is slower than its inputs come: %d were left out so far, so that no more than %s wait",
                self.left_out,
                format_bytes(self.most_bytes),
            )

    def close(self, timeout_s: float = _CLOSES_WITHIN_S) -> None:
        """Lets the sink take what waits, for so long at most, and closes it; closing twice is fine."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._changed:
                left, self._waiting_bytes = len(self._waiting), 0
                self._waiting.clear()
                self.left_out += left
            logger.warning("sink %s: still at work after %.0f s: %d inputs were left out", self.name, timeout_s, left)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                if not self._waiting:
                    break
                item, size_bytes = self._waiting.popleft()
                self._waiting_bytes -= size_bytes
            self._give(item)
        try:
            self.sink.close()
        except Exception as error:
            logger.warning("sink %s: %s", self.name, _text(error))

    def _give(self, item: Item) -> None:
        try:
            if isinstance(item, EventPicture):
                self.sink.take_event(item)
            else:
                self.sink.take(item)
            self.taken += 1
        except Exception as error:  # A sink may be anybody's code, and must not end the others.
            self.failed += 1
            self._tell(_text(error), "%s (so far it failed %d times)", _text(error), self.failed)

    def _tell(self, what: str, text: str, *values: object) -> None:
        """Logs something once, and again after a while if it still holds."""
        now_s = self.clock()
        if now_s - self._told_s.get(what, -_TELL_EVERY_S) < _TELL_EVERY_S:
            return
        self._told_s = {each: at_s for each, at_s in self._told_s.items() if now_s - at_s < _TELL_EVERY_S}
        self._told_s[what] = now_s
        logger.warning(f"sink %s: {text}", self.name, *values)  # noqa: G004


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__

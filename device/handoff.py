"""Between the capture loop and a slower thread: few items wait, and the loop itself only if it is told to."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import InfilinkError
from .stream_log import thread_name

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


class Handoff(Generic[Item]):
    """Does work on items in a thread of its own, one after another, in their order.

    Args:
        work: what is done with each item.
        waits: whether `put` waits while another item does (queue "all"); otherwise the newest item replaces the oldest.
        most_bytes: so much may wait where `put` does not, and a single item always.
        size_bytes: what an item takes.
        stream: whose items they are; empty: those of a device's only stream.
    """

    def __init__(
        self,
        work: Callable[[Item], None],
        *,
        waits: bool,
        most_bytes: int = 0,
        size_bytes: Callable[[Item], int] = lambda item: 1,
        stream: str = "",
    ) -> None:
        self.work = work
        self.waits = waits
        self.most_bytes = most_bytes
        self.size_bytes = size_bytes
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._waiting_bytes = 0
        self._ending = False
        self._failure: InfilinkError | None = None
        self._thread = threading.Thread(target=self._run, name=thread_name("handoff", stream), daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, item: Item, stopped: threading.Event) -> list[Item]:
        """Hands an item over; returns those that it replaced.

        Args:
            item: the item.
            stopped: ends the wait for room; the item is taken all the same.

        Raises:
            InfilinkError: the error that the work raised.
        """
        with self._changed:
            while self.waits and self._waiting and self._failure is None and not stopped.is_set():
                # Woken now and then: `stopped` is set by a signal handler, which may not take this lock.
                self._changed.wait(0.5)
            if self._failure is not None:
                raise self._failure
            size_bytes, replaced = self.size_bytes(item), []
            while self._waiting and not self.waits and self._waiting_bytes + size_bytes > self.most_bytes:
                replaced.append(self._next())
            self._waiting.append(item)
            self._waiting_bytes += size_bytes
            self._changed.notify_all()
            return replaced

    def finish(self) -> None:
        """Waits until the work on every item is done.

        Raises:
            InfilinkError: the error that the work raised.
        """
        self._end()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Ends the thread once its present item is done; items that wait are dropped. Closing twice is fine."""
        with self._changed:
            self._waiting.clear()
            self._waiting_bytes = 0
        self._end()

    def _end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                if not self._waiting:
                    return
                item = self._next()
                self._changed.notify_all()
            try:
                self.work(item)
            except Exception as error:
                self._fail(error)
                return

    def _next(self) -> Item:
        item = self._waiting.popleft()
        self._waiting_bytes -= self.size_bytes(item)
        return item

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, InfilinkError):
            logger.exception("the thread behind the capture loop failed")
            error = InfilinkError(f"the thread behind the capture loop failed: {error!r}")
        with self._changed:
            self._failure = error
            self._changed.notify_all()

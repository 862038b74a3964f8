"""The inputs that have no answer yet, in memory: in order and within a bound, and sent again on the next connection."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ...errors import Unavailable
from ...protos import edge_pb2
from .connection_window import ConnectionWindow
from .outbox import Outbox, Taken


class MemoryOutbox(Outbox):
    """Keeps what is unanswered in memory alone: with the agent it is gone.

    Args:
        window: the most inputs that may be unanswered.
        waits: whether `offer` waits for room in the window (queue "all"); otherwise one input more is held back, and
            the newest replaces it.
        slow_s: an answer that takes longer says that too much is on its way.
        clock: seconds that never go back.
    """

    def __init__(
        self, window: int, *, waits: bool, slow_s: float = float("inf"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(window, slow_s=slow_s, clock=clock)
        self.waits = waits
        self._unanswered: OrderedDict[int, edge_pb2.Input] = OrderedDict()
        self._held_back: edge_pb2.Input | None = None
        self._answers = 0

    def offer(self, message: edge_pb2.Input, stopped: threading.Event) -> list[int]:
        """Adds an input; returns the sequences of those that it replaced.

        Args:
            message: the input.
            stopped: ends the wait for room; the input is added all the same.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        with self._changed:
            self._raise_failure()
            if self.waits:
                while len(self._unanswered) >= self.window and not stopped.is_set():
                    # Woken now and then: `stopped` is set by a signal handler, which may not take this lock.
                    self._changed.wait(0.5)
                    self._raise_failure()
            elif not self._may_admit():
                replaced = [] if self._held_back is None else [int(self._held_back.sequence)]
                self._held_back = message
                return replaced
            self._admit(message)
            return []

    def open_connection(self) -> ConnectionWindow:
        """Begins a connection, on which everything unanswered is to be sent."""
        with self._changed:
            self._admit_held_back()
            return self._begin(ConnectionWindow([*self._unanswered], slow_s=self.slow_s))

    def take(self, connection: ConnectionWindow, timeout_s: float) -> Taken:
        """What to send next on a connection; None: nothing in time, at the end, or once it is closed."""
        with self._changed:
            until_s = self.clock() + timeout_s
            while not (connection.frames or connection.closed or self._finishing):
                left_s, pause_s = until_s - self.clock(), self._pause_s()
                if pause_s <= 0:
                    self._admit_held_back()
                if left_s <= 0 or (pause_s <= 0 and self._is_ready(connection)):
                    break
                self._changed.wait(min(left_s, pause_s) if pause_s > 0 else left_s)
            if connection.frames and not connection.closed:
                return connection.frames.popleft()
            while self._is_ready(connection) and self._pause_s() <= 0:
                message = self._unanswered.get(connection.to_send.popleft())
                if message is not None:
                    connection.send(message.sequence, message.ByteSize(), self.clock())
                    return message
            return None

    def is_unanswered(self, sequence: int) -> bool:
        """Whether an input is still to be answered."""
        with self._changed:
            return sequence in self._unanswered

    def postpone(self, connection: ConnectionWindow, sequence: int, after_s: float = 0.0) -> None:
        """Has an input sent again on the same connection, before those that were not sent yet, after a while."""
        with self._changed:
            connection.answer(sequence, self.clock(), counts=False)
            connection.pause(after_s, self.clock())
            if sequence in self._unanswered:
                connection.to_send.appendleft(sequence)
            self._changed.notify_all()

    def drain(self, timeout_s: float, stopped: threading.Event | None = None) -> None:
        """Waits until everything is answered, also once it is stopped.

        Raises:
            Unavailable: no answer came for `timeout_s`.
            InfilinkError: nothing more can be sent.
        """
        with self._changed:
            answers, since = self._answers, time.monotonic()
            while self._unanswered or self._held_back is not None:
                self._raise_failure()
                if self._answers > answers:
                    answers, since = self._answers, time.monotonic()
                left_s = since + timeout_s - time.monotonic()
                if left_s <= 0:
                    count = len(self._unanswered) + (self._held_back is not None)
                    raise Unavailable(f"{count} inputs got no answer in {timeout_s:g} s (`answer_timeout_s`)")
                self._changed.wait(left_s)

    def _is_ready(self, connection: ConnectionWindow) -> bool:
        return bool(connection.to_send) and connection.has_room and not self.held

    def _may_admit(self) -> bool:
        """Whether an input need not be one that the next one replaces."""
        if len(self._unanswered) >= self.window or self._pause_s() > 0 or self.held:
            return False
        # What a slow line can't take yet stays replaceable.
        connection = self._connection
        return connection is None or connection.has_bytes

    def _settle(self, sequence: int) -> None:
        self._answers += 1
        self._unanswered.pop(sequence, None)
        if self._pause_s() <= 0:
            self._admit_held_back()

    def _admit_held_back(self) -> None:
        if self._held_back is not None and (self.waits or self._may_admit()):
            message, self._held_back = self._held_back, None
            self._admit(message)

    def _admit(self, message: edge_pb2.Input) -> None:
        self._unanswered[message.sequence] = message
        if self._connection is not None:
            self._connection.to_send.append(message.sequence)
        self._changed.notify_all()

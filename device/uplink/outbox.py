"""The inputs that have no answer yet: kept in order and within a bound, and sent again on the next connection."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from ...errors import InfilinkError, Unavailable
from ...protos import edge_pb2

_MOST_FRAMES = 16
# An overloaded coordinator is believed no longer than this.
_LONGEST_PAUSE_S = 10.0


class ConnectionWindow:
    """What may be sent on one connection.

    Args:
        to_send: the sequences that are to be sent on it, in order.

    Attributes:
        frames: the frames that the coordinator asked for on it, and that are to be sent before anything else.
        in_flight: how many were sent on it and have no answer yet.
        limit: the most that may be in flight; 0 until the coordinator has said how many it takes.
        again_s: no input is sent before, as an overloaded coordinator has asked for; by the outbox's clock.
        closed: whether the connection has ended.
    """

    def __init__(self, to_send: list[int]) -> None:
        self.to_send = deque(to_send)
        # It waits for one at a time; more than a few are none that it waits for.
        self.frames: deque[edge_pb2.Frame] = deque(maxlen=_MOST_FRAMES)
        self.in_flight = 0
        self.limit = 0
        self.again_s = 0.0
        self.closed = False

    @property
    def ready(self) -> bool:
        """Whether an input may be sent, once `again_s` has come."""
        return bool(self.to_send) and self.in_flight < self.limit and not self.closed


class Outbox:
    """Stands between the capture loop, which adds inputs, and the uplink's threads, which send and answer them.

    Args:
        window: the most inputs that may be unanswered.
        waits: whether `offer` waits for room in the window (queue "all"); otherwise one input more is held back, and
            the newest replaces it.
        clock: seconds that never go back.
    """

    def __init__(self, window: int, *, waits: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = window
        self.waits = waits
        self.clock = clock
        self._changed = threading.Condition()
        self._unanswered: OrderedDict[int, edge_pb2.Input] = OrderedDict()
        self._held_back: edge_pb2.Input | None = None
        self._answers = 0
        self._connection: ConnectionWindow | None = None
        self._failure: InfilinkError | None = None
        self._finishing = False

    @property
    def failure(self) -> InfilinkError | None:
        """Why nothing more can be sent; None while sending is possible."""
        return self._failure

    @property
    def finishing(self) -> bool:
        """Whether nothing more will be offered."""
        return self._finishing

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
            elif len(self._unanswered) >= self.window or self._pause_s() > 0:
                replaced = [] if self._held_back is None else [int(self._held_back.sequence)]
                self._held_back = message
                return replaced
            self._admit(message)
            return []

    def open_connection(self) -> ConnectionWindow:
        """Begins a connection, on which everything unanswered is to be sent."""
        with self._changed:
            self._admit_held_back()
            self._connection = ConnectionWindow(list(self._unanswered))
            return self._connection

    def allow(self, connection: ConnectionWindow, limit: int) -> None:
        """Lets sending begin on a connection: the coordinator takes `limit` inputs at a time."""
        with self._changed:
            connection.limit = max(1, min(self.window, limit))
            self._changed.notify_all()

    def close_connection(self, connection: ConnectionWindow) -> None:
        """Takes note that a connection has ended."""
        with self._changed:
            connection.closed = True
            self._connection = None
            self._changed.notify_all()

    def give_frame(self, connection: ConnectionWindow, frame: edge_pb2.Frame) -> None:
        """Has a frame sent that the coordinator asked for on a connection."""
        with self._changed:
            connection.frames.append(frame)
            self._changed.notify_all()

    def take(self, connection: ConnectionWindow, timeout_s: float) -> edge_pb2.Input | edge_pb2.Frame | None:
        """What to send next on a connection; None: nothing in time, at the end, or once it is closed."""
        with self._changed:
            until_s = self.clock() + timeout_s
            while not (connection.frames or connection.closed or self._finishing):
                left_s, pause_s = until_s - self.clock(), self._pause_s()
                if pause_s <= 0:
                    self._admit_held_back()
                if left_s <= 0 or (pause_s <= 0 and connection.ready):
                    break
                self._changed.wait(min(left_s, pause_s) if pause_s > 0 else left_s)
            if connection.frames and not connection.closed:
                return connection.frames.popleft()
            while connection.ready and self._pause_s() <= 0:
                message = self._unanswered.get(connection.to_send.popleft())
                if message is not None:
                    connection.in_flight += 1
                    return message
            return None

    def is_unanswered(self, sequence: int) -> bool:
        """Whether an input is still to be answered."""
        with self._changed:
            return sequence in self._unanswered

    def pause(self, connection: ConnectionWindow, retry_after_s: float) -> None:
        """Takes note that the coordinator is overloaded, and how long it asks not to be sent more."""
        with self._changed:
            connection.again_s = self.clock() + min(max(0.0, retry_after_s), _LONGEST_PAUSE_S)
            self._changed.notify_all()

    def answered(self, connection: ConnectionWindow, sequence: int) -> None:
        """Takes note that an input has its answer, which makes room for the next one."""
        with self._changed:
            connection.in_flight -= 1
            self._answers += 1
            self._unanswered.pop(sequence, None)
            if self._pause_s() <= 0:
                self._admit_held_back()
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> None:
        """Waits until everything is answered.

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

    def finish(self) -> None:
        """Takes note that nothing more will be offered."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def fail(self, error: InfilinkError) -> None:
        """Takes note that nothing more can be sent: `offer` and `drain` raise this error, also where they wait."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _pause_s(self) -> float:
        """For how long no input is to be sent yet."""
        return 0.0 if self._connection is None else self._connection.again_s - self.clock()

    def _admit_held_back(self) -> None:
        if self._held_back is not None and len(self._unanswered) < self.window:
            message, self._held_back = self._held_back, None
            self._admit(message)

    def _admit(self, message: edge_pb2.Input) -> None:
        self._unanswered[message.sequence] = message
        if self._connection is not None:
            self._connection.to_send.append(message.sequence)
        self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

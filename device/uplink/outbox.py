"""Between whoever adds inputs and the uplink's threads, which send them and take their answers."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from ...errors import InfilinkError
from ...protos import edge_pb2
from .connection_window import ConnectionWindow

Taken = edge_pb2.Input | edge_pb2.Frame | None


class Outbox(ABC):
    """What every outbox has: connections, one at a time, and the end of sending.

    Args:
        window: the most inputs that may be in flight.
        slow_s: an answer that takes longer says that too much is on its way.
        clock: seconds that never go back.

    Attributes:
        held: whether no input is sent for now, as the device has reasons of its own.
    """

    def __init__(self, window: int, *, slow_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = window
        self.slow_s = slow_s
        self.clock = clock
        self.held = False
        self._changed = threading.Condition()
        self._connection: ConnectionWindow | None = None
        self._failure: InfilinkError | None = None
        self._finishing = False

    @property
    def failure(self) -> InfilinkError | None:
        """Why nothing more can be sent; None while sending is possible."""
        return self._failure

    @property
    def connected(self) -> bool:
        """Whether there is a connection on which the coordinator takes inputs."""
        connection = self._connection
        return connection is not None and connection.limit > 0

    @property
    def finishing(self) -> bool:
        """Whether nothing more will be added."""
        return self._finishing

    @property
    def round_trip_s(self) -> float:
        """How long answers took lately on the present connection; 0: not known."""
        connection = self._connection
        return 0.0 if connection is None else connection.round_trip_s

    @abstractmethod
    def open_connection(self) -> ConnectionWindow:
        """Begins a connection, on which everything unanswered is to be sent."""

    @abstractmethod
    def take(self, connection: ConnectionWindow, timeout_s: float) -> Taken:
        """What to send next on a connection; None: nothing in time, at the end, or once it is closed."""

    @abstractmethod
    def is_unanswered(self, sequence: int) -> bool:
        """Whether an input that was sent is still to be answered."""

    @abstractmethod
    def postpone(self, connection: ConnectionWindow, sequence: int, after_s: float = 0.0) -> None:
        """Has an input sent again on the same connection, after a while."""

    @abstractmethod
    def drain(self, timeout_s: float, stopped: threading.Event | None = None) -> None:
        """Waits until everything is answered.

        Args:
            timeout_s: the longest without an answer.
            stopped: whether the run was stopped; what can wait then does. None: it can't be.

        Raises:
            Unavailable: no answer came for `timeout_s`, and what is left is lost.
            InfilinkError: nothing more can be sent.
        """

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

    def pause(self, connection: ConnectionWindow, retry_after_s: float) -> None:
        """Takes note that the coordinator is overloaded, and how long it asks not to be sent more."""
        with self._changed:
            connection.pause(retry_after_s, self.clock())
            self._changed.notify_all()

    def answered(self, connection: ConnectionWindow, sequence: int) -> None:
        """Takes note that an input has its answer, which makes room for the next one."""
        with self._changed:
            connection.answer(sequence, self.clock())
            self._settle(sequence)
            self._changed.notify_all()

    def finish(self) -> None:
        """Takes note that nothing more will be added."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def fail(self, error: InfilinkError) -> None:
        """Takes note that nothing more can be sent: whoever adds or waits has this error raised."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def wake(self) -> None:
        """Has it looked again whether something may be sent."""
        with self._changed:
            self._changed.notify_all()

    @abstractmethod
    def _settle(self, sequence: int) -> None:
        """An input has its answer; called with the lock."""

    def _begin(self, connection: ConnectionWindow) -> ConnectionWindow:
        self._connection = connection
        return connection

    def _pause_s(self) -> float:
        """For how long no input is to be sent yet."""
        return 0.0 if self._connection is None else self._connection.again_s - self.clock()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

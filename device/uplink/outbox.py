"""What is sent and not answered yet: bounded, kept in order, and sent again on the next connection."""

import threading
import time
from collections import OrderedDict, deque

from ...errors import InfilinkError, Unavailable
from ...protos import edge_pb2


class Lane:
    """One connection's share: what is still to be sent on it. `limit` is 0 until the coordinator says how many."""

    def __init__(self, waiting: list[int]) -> None:
        self.to_send = deque(waiting)
        self.in_flight = 0
        self.limit = 0
        self.ended = False


class Outbox:
    """The inputs between the capture loop, which adds them, and the uplink's threads, which send and answer them.

    Args:
        window: how many may be unanswered.
        waits: `offer` waits for room (policy "all"); else the newest takes the place of the one that waits.
    """

    def __init__(self, window: int, *, waits: bool) -> None:
        self.window = window
        self.waits = waits
        self._changed = threading.Condition()
        self._unanswered: OrderedDict[int, edge_pb2.Input] = OrderedDict()
        self._waiting: edge_pb2.Input | None = None
        self._lane: Lane | None = None
        self._failure: InfilinkError | None = None
        self._finishing = False

    @property
    def failure(self) -> InfilinkError | None:
        """Why nothing more can be sent, if so."""
        return self._failure

    @property
    def finishing(self) -> bool:
        """Whether nothing more will be offered."""
        return self._finishing

    def offer(self, message: edge_pb2.Input, stopped: threading.Event) -> list[int]:
        """Takes an input to be sent; returns the sequences it takes the place of.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        with self._changed:
            self._raise_failure()
            if self.waits:
                while len(self._unanswered) >= self.window and not stopped.is_set():
                    # Woken now and then: `stopped` is set by a signal, which may not take this lock.
                    self._changed.wait(0.5)
                    self._raise_failure()
            elif len(self._unanswered) >= self.window:
                replaced = [] if self._waiting is None else [int(self._waiting.sequence)]
                self._waiting = message
                return replaced
            self._admit(message)
            return []

    def open_lane(self) -> Lane:
        """A new connection's lane: everything unanswered is to be sent on it."""
        with self._changed:
            self._lane = Lane(list(self._unanswered))
            return self._lane

    def open_window(self, lane: Lane, limit: int) -> None:
        """The coordinator takes so many at once: sending may begin."""
        with self._changed:
            lane.limit = max(1, min(self.window, limit))
            self._changed.notify_all()

    def close_lane(self, lane: Lane) -> None:
        """The connection is over."""
        with self._changed:
            lane.ended = True
            self._lane = None
            self._changed.notify_all()

    def take(self, lane: Lane, timeout_s: float) -> edge_pb2.Input | None:
        """The next input to send on a lane; None after a time without one, at the end, or when the lane is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: lane.ended or self._finishing or (lane.to_send and lane.in_flight < lane.limit), timeout_s
            )
            while lane.to_send and lane.in_flight < lane.limit and not lane.ended:
                message = self._unanswered.get(lane.to_send.popleft())
                if message is not None:
                    lane.in_flight += 1
                    return message
            return None

    def is_open(self, sequence: int) -> bool:
        """Whether an input still waits for its answer."""
        with self._changed:
            return sequence in self._unanswered

    def answered(self, lane: Lane, sequence: int) -> None:
        """An input has its answer; the next one may go."""
        with self._changed:
            lane.in_flight -= 1
            self._unanswered.pop(sequence, None)
            if self._waiting is not None and len(self._unanswered) < self.window:
                message, self._waiting = self._waiting, None
                self._admit(message)
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> None:
        """Waits until everything is answered.

        Raises:
            Unavailable: no answer came for `timeout_s`.
            InfilinkError: nothing more can be sent.
        """
        with self._changed:
            least, since = len(self._unanswered), time.monotonic()
            while self._unanswered:
                self._raise_failure()
                if len(self._unanswered) < least:
                    least, since = len(self._unanswered), time.monotonic()
                left_s = since + timeout_s - time.monotonic()
                if left_s <= 0:
                    raise Unavailable(f"{least} inputs got no answer in {timeout_s:g} s (`answer_timeout_s`)")
                self._changed.wait(left_s)

    def finish(self) -> None:
        """Says that nothing more will be offered."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def fail(self, error: InfilinkError) -> None:
        """Says that nothing more can be sent; whoever waits is told."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _admit(self, message: edge_pb2.Input) -> None:
        self._unanswered[message.sequence] = message
        if self._lane is not None:
            self._lane.to_send.append(message.sequence)
        self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

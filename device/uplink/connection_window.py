"""What may be sent on one connection: as many inputs, and as many bytes, as are answered soon."""

from collections import deque

from ...protos import edge_pb2

_MOST_FRAMES = 16
# An overloaded coordinator is believed no longer than this.
_LONGEST_PAUSE_S = 10.0
_FIRST_BYTES = 16 * 2**10
_SLOW_S, _FAST_S, _LESS = 2.0, 1.0, 0.7
_SMOOTH = 0.2


class ConnectionWindow:
    """What is on its way on one connection.

    What a line carries slowly waits in sockets, where nobody can take it back, and every answer comes late; so bytes
    are bounded, too: fewer where answers take long, more where they come soon.

    Args:
        to_send: the sequences that are to be sent on it, in order.
        slow_s: an answer that takes longer says that too much is on its way.

    Attributes:
        frames: the frames that the coordinator asked for on it, and that are to be sent before anything else.
        sent_s: when each input was sent that has no answer yet; by the outbox's clock.
        limit: the most inputs that may be in flight; 0 until the coordinator has said how many it takes.
        limit_bytes: the bytes in flight from which on nothing is sent.
        again_s: no input is sent before, as an overloaded coordinator has asked for; by the outbox's clock.
        closed: whether the connection has ended.
        over: whether it is to end, as what is to be sent next is another session's.
        answered: how many were answered on it.
        slowest_s: the longest that one of these took from when it was sent.
        round_trip_s: what it took lately, on average; 0: not known.
    """

    def __init__(self, to_send: list[int], *, slow_s: float = _SLOW_S) -> None:
        self.to_send = deque(to_send)
        # It waits for one at a time; more than a few are none that it waits for.
        self.frames: deque[edge_pb2.Frame] = deque(maxlen=_MOST_FRAMES)
        self.sent_s: dict[int, float] = {}
        self._sizes_bytes: dict[int, int] = {}
        self.limit = 0
        self.limit_bytes = float(_FIRST_BYTES)
        self.again_s = 0.0
        self.closed = self.over = False
        self.answered = 0
        self.slowest_s = self.round_trip_s = 0.0
        self._slow_s = min(_SLOW_S, slow_s)
        self._in_flight_bytes = 0

    @property
    def has_bytes(self) -> bool:
        """Whether no more bytes are in flight than are answered soon; a single input always may be."""
        return not self._sizes_bytes or self._in_flight_bytes < self.limit_bytes

    @property
    def has_room(self) -> bool:
        """Whether another input may be sent, once `again_s` has come."""
        return len(self._sizes_bytes) < self.limit and self.has_bytes and not self.closed

    def send(self, sequence: int, size_bytes: int, now_s: float) -> None:
        """Takes note that an input is sent."""
        self.sent_s[sequence] = now_s
        self._sizes_bytes[sequence] = size_bytes
        self._in_flight_bytes += size_bytes

    def answer(self, sequence: int, now_s: float, *, counts: bool = True) -> None:
        """Takes note that an input has its answer; `counts`: that says how long the line takes."""
        if sequence not in self.sent_s:
            return
        sent_s, size_bytes = self.sent_s.pop(sequence), self._sizes_bytes.pop(sequence)
        was_bound = self._in_flight_bytes >= self.limit_bytes
        self._in_flight_bytes -= size_bytes
        if not counts:
            return
        self.answered += 1
        took_s = now_s - sent_s
        self.slowest_s = max(self.slowest_s, took_s)
        self.round_trip_s += (_SMOOTH if self.round_trip_s else 1.0) * (took_s - self.round_trip_s)
        if took_s > self._slow_s:
            self.limit_bytes = max(1.0, _LESS * self.limit_bytes)
        elif took_s < _FAST_S and was_bound:
            self.limit_bytes += size_bytes

    def pause(self, retry_after_s: float, now_s: float) -> None:
        """Takes note that the coordinator is overloaded, and how long it asks not to be sent more."""
        self.again_s = max(self.again_s, now_s + min(max(0.0, retry_after_s), _LONGEST_PAUSE_S))

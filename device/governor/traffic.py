"""What the link of an agent bears, from what its streams count."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .sensors import Readings

_OVER_S = 10.0
# Of fewer inputs the share that is lost says little.
_LEAST_KEPT = 10


@dataclass(frozen=True)
class Counts:
    """What a stream, or all of an agent's together, has counted so far.

    Attributes:
        kept: inputs that were kept.
        lost: those of them that were replaced by newer ones, as the link did not take them.
        sent_bytes: all that was sent.
        round_trip_s: from sending an input to its answer, lately; 0: nothing was answered.
    """

    kept: int = 0
    lost: int = 0
    sent_bytes: int = 0
    round_trip_s: float = 0.0


class Traffic:
    """Follows the counts of all streams over the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Counts]] = deque()

    def read(self, streams: Iterable[Counts], readings: Readings, now_s: float) -> Readings:
        """The readings with those of the link, as far as something travelled lately."""
        each = [*streams]
        total = Counts(
            sum(one.kept for one in each),
            sum(one.lost for one in each),
            sum(one.sent_bytes for one in each),
            max((one.round_trip_s for one in each), default=0.0),
        )
        if self._seen and total.sent_bytes < self._seen[-1][1].sent_bytes:
            # A stream has ended, or begun anew: what it had counted is gone.
            self._seen.clear()
        self._seen.append((now_s, total))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - _OVER_S:
            self._seen.popleft()
        since_s, then = self._seen[0]
        if now_s - since_s < _OVER_S:
            return readings
        kept, sent_bytes = total.kept - then.kept, total.sent_bytes - then.sent_bytes
        return replace(
            readings,
            # An answer of long ago says nothing of the link as it is now.
            round_trip_s=total.round_trip_s if total.round_trip_s and kept > 0 else None,
            lost_share=min(1.0, (total.lost - then.lost) / kept) if kept >= _LEAST_KEPT else None,
            send_bytes_per_s=sent_bytes / (now_s - since_s),
        )

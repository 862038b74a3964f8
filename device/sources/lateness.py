"""Tells how long a live stream's packets waited before they were read, so that old pictures do not pass as new."""

from collections import deque

_STALL_S = 0.5
_STALL_STEPS = 10.0
"""Packets that come after a gap of that long, and of so many usual steps, may have waited meanwhile."""
_STEPS = 32
_TRUSTED_S = 3.0
_TRUSTED = 0.1
"""Stamps are trusted if over so long they went as fast as the clock, to that share."""
_CAUGHT_UP = 8
_PACE = 0.5


class Lateness:
    """Finds when packets arrived at this machine, whenever they were read.

    Whoever reads a stream may be stopped (a signal, a machine that sleeps or is overloaded), and so may the line: then
    packets wait in a socket, and come at once afterwards. Only such a gap makes packets late; by how much, the stream's
    own stamps say: by what the clock went ahead of them since before it. Stamps alone are not believed: a clock may be
    set, another rate be guessed, a file be sent as fast as it can be.

    Where stamps have not kept up with the clock before, nobody knows how late the first packet after a gap is in their
    terms: then packets are late until they come as slowly as usual again.
    """

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._newest: deque[float] = deque(maxlen=_CAUGHT_UP)
        self._last: tuple[float, float] | None = None
        self._begun: tuple[float, float] | None = None
        self._trusted = False
        self._late_s = 0.0

    def arrived(self, stamp_s: float | None, read_s: float) -> float:
        """When a packet would have been read had nobody been stopped.

        Args:
            stamp_s: when it is decoded, in the stream's own time; None: it does not say.
            read_s: when it was read.
        """
        last, self._last = self._last, None if stamp_s is None else (stamp_s, read_s)
        if last is None or stamp_s is None:
            return self._restart(read_s)
        step_s, passed_s = stamp_s - last[0], read_s - last[1]
        if step_s < 0.0:
            return self._restart(read_s)
        usual_s = sorted(self._steps)[len(self._steps) // 2] if self._steps else 0.0
        ahead_s = passed_s - step_s
        if passed_s > max(_STALL_S, _STALL_STEPS * usual_s) and ahead_s > 0.0:
            self._trusted = self._keeps_up(last)
            self._late_s += ahead_s
            self._newest.clear()
        elif self._late_s:
            self._late_s = max(0.0, self._late_s + (ahead_s if self._trusted else min(0.0, ahead_s)))
            self._newest.append(passed_s)
            at_pace = len(self._newest) == _CAUGHT_UP and sum(self._newest) > _PACE * _CAUGHT_UP * usual_s
            if at_pace and not self._trusted:
                self._late_s = 0.0
            if not self._late_s:
                self._begun = None
        else:
            self._steps.append(passed_s)
        self._begun = self._begun or (stamp_s, read_s)
        return read_s - self._late_s

    def _keeps_up(self, last: tuple[float, float]) -> bool:
        """Whether stamps went as fast as the clock before the gap."""
        if self._late_s:
            return self._trusted
        if self._begun is None:
            return False
        stamped_s, passed_s = last[0] - self._begun[0], last[1] - self._begun[1]
        return passed_s >= _TRUSTED_S and abs(stamped_s - passed_s) <= _TRUSTED * passed_s

    def _restart(self, read_s: float) -> float:
        """Begins anew: the stream's clock was set, or there is none."""
        self._late_s, self._begun = 0.0, None
        return read_s

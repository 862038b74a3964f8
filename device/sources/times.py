"""The times of a recording's frames: what its container says, from 0 on, and never back."""

from collections.abc import Callable

_FAR = 4
"""How many steps ahead a frame must be, for it to be the one that is wrong and not the one after it."""


class RecordingTimes:
    """Makes seconds of the stamps of frames, which come in the order in which they are shown.

    Where a stamp is missing, or stands alone before or behind its neighbours, its frame gets a time between theirs.
    Where stamps go back for good (recordings that were joined, a counter that was reset), all that follow are moved so
    that time goes on. What they jump ahead stays: that is a hole, and what comes after it keeps its time.

    Args:
        origin: the stamp of the recording's first frame; None: there are no stamps, all times are by the rate.
        unit_s: what one step of a stamp is worth.
        step_s: how far apart frames are, where nothing says.
        told: called with what is wrong, once.
    """

    def __init__(self, origin: int | None, unit_s: float, step_s: float, told: Callable[[str], None]) -> None:
        self.step_s = step_s
        self._origin = origin
        self._unit_s = unit_s
        self._told: Callable[[str], None] | None = told
        self._shift_s = 0.0
        self._last_s: float | None = None

    def take(self, stamp: int | None, following: int | None) -> float:
        """The time of the next frame, in seconds.

        Args:
            stamp: its stamp; None: it has none.
            following: that of the frame after it; None: not known.
        """
        time_s = self._decide(self._seconds(stamp), self._seconds(following))
        self._last_s = time_s
        return time_s

    def _decide(self, time_s: float | None, next_s: float | None) -> float:
        last_s = self._last_s
        if last_s is None:
            return time_s or 0.0
        if time_s is None:
            return self._between(last_s, next_s)
        if time_s >= last_s:
            alone_ahead = next_s is not None and last_s < next_s < time_s and time_s - last_s > _FAR * self.step_s
            return self._between(last_s, next_s) if alone_ahead else time_s
        if next_s is not None and next_s > last_s:
            return self._between(last_s, next_s)
        self._shift_s += last_s + self.step_s - time_s
        if self._told is not None:
            self._told(
                f"its times go back by {last_s - time_s:.2f} s after {last_s:.2f} s; they are counted on from there"
            )
            self._told = None
        return last_s + self.step_s

    def _between(self, last_s: float, next_s: float | None) -> float:
        """A time after the last one, not after the next one."""
        if next_s is None or next_s <= last_s:
            return last_s + self.step_s
        return min(last_s + self.step_s, (last_s + next_s) / 2)

    def _seconds(self, stamp: int | None) -> float | None:
        if stamp is None or self._origin is None:
            return None
        return (stamp - self._origin) * self._unit_s + self._shift_s

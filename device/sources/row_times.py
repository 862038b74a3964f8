"""The times of a signal's rows: the source's own, their arrival, or their number over a rate; they never go back."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...outputs import Array

APART_S = 10.0
"""How far apart files lie whose times don't say it: what is in two of them is no one event."""

_HOLE_STEPS = 2.5
_FAR_S = 10.0
_DRIFT = 5e-4
_ALIKE = 0.25
_MOSTLY = 0.5


class Rate(NamedTuple):
    """How often a signal was sampled, as its times show it.

    Attributes:
        rate_hz: rows a second, rounded as people say it; 0: they don't show it.
        hole_s: a longer time between two rows is a hole.
    """

    rate_hz: float
    hole_s: float


def measure_rate(times_s: Array) -> Rate:
    """The rate of rows at these times, some of which may be missing, come in bursts, or come after a hole."""
    times_s = times_s[np.isfinite(times_s)]
    # Rows of one moment are a burst. Where times go back something else begins: that step says nothing.
    begins = np.concatenate([[0], np.flatnonzero(np.diff(times_s)) + 1]) if len(times_s) else np.empty(0, np.intp)
    steps, counts = np.diff(times_s[begins]), np.diff(begins, append=len(times_s))[1:]
    steps, counts = steps[steps > 0], counts[steps > 0]
    if not len(steps):
        return Rate(0.0, np.inf)
    usual_s = float(np.median(steps))
    # Single rows that are missing make some steps longer; those that are alike tell how far apart rows are.
    alike = np.abs(steps - usual_s) < _ALIKE * usual_s
    if alike.mean() < _MOSTLY:
        usual_s = float(np.quantile(steps, 0.95))
        alike = steps <= _HOLE_STEPS * usual_s
    exact_hz = float(counts[alike].sum() / steps[alike].sum())
    whole_hz = round(exact_hz)
    rate_hz = float(whole_hz) if whole_hz and abs(exact_hz / whole_hz - 1) < 0.005 else float(f"{exact_hz:.3g}")
    return Rate(rate_hz, _HOLE_STEPS * max(usual_s, 1.0 / exact_hz))


def burst_of(rate_hz: float, hole_s: float) -> float:
    """How many rows of this rate may have one time, as their clock is coarse, less one; of what is a hole."""
    return max(0.0, hole_s * rate_hz / _HOLE_STEPS - 1.0) if np.isfinite(hole_s) else 0.0


def hole_of(rate_hz: float) -> float:
    """What is a hole in a signal of this rate."""
    return _HOLE_STEPS / rate_hz if rate_hz else float("inf")


class RecordedTimes:
    """The times of rows of recordings, from 0 on.

    Args:
        rate_hz: the rows' rate, where they say no times; 0: they have an order only, a second from one to the next.
        hole_s: what is a hole.
        told: called with what is wrong, once.
    """

    def __init__(self, rate_hz: float, hole_s: float, told: Callable[[str], None]) -> None:
        self.rate_hz = rate_hz
        self.hole_s = hole_s
        self._told: Callable[[str], None] | None = told
        self._last_s: float | None = None
        self._shift_s = 0.0
        self._own_s: float | None = None
        self._begins = True

    def anew(self) -> None:
        """Says that the next rows begin a file of their own."""
        self._begins = True
        self._own_s = None

    def of(self, count: int, times_s: Array | None, following_s: float | None = None) -> Array:
        """The times of so many rows.

        Args:
            count: how many.
            times_s: their own; None: they say none.
            following_s: the own time of the row after them; None: not known.
        """
        begins, self._begins = self._begins, False
        if times_s is None:
            step_s = 1.0 / (self.rate_hz or 1.0)
            first_s = 0.0 if self._last_s is None else self._last_s + (APART_S if begins and self.rate_hz else step_s)
            found = first_s + step_s * np.arange(count)
        else:
            found = self._own(times_s, following_s, begins)
        self._last_s = float(found[-1])
        return found

    def _own(self, times_s: Array, following_s: float | None, begins: bool) -> Array:
        if self._last_s is None:
            self._shift_s = -float(times_s[0])
        elif begins and times_s[0] + self._shift_s < self._last_s:
            self._shift_s = self._last_s + APART_S - float(times_s[0])
        own_s = self._without_strays(times_s, following_s)
        self._own_s = float(own_s[-1])
        found = own_s + self._shift_s
        steps = np.diff(found, prepend=found[0] if self._last_s is None else self._last_s)
        back = steps < 0
        if not back.any():
            return found
        place = int(np.argmax(back))
        if self._told is not None:
            before_s = found[place] - steps[place]
            self._told(
                f"its times go back by {-steps[place]:.3g} s after {before_s:.2f} s; they are counted on from there"
            )
            self._told = None
        # Far enough for a hole: what lies on both sides is no one window.
        steps[back] = 2 * self.hole_s if np.isfinite(self.hole_s) else APART_S
        found = (found[0] - steps[0] if self._last_s is None else self._last_s) + np.cumsum(steps)
        self._shift_s = float(found[-1]) - self._own_s
        return found

    def _without_strays(self, times_s: Array, following_s: float | None) -> Array:
        """Times where one that stands alone before or behind its neighbours is between them: it moves no other row."""
        before = [] if self._own_s is None else [self._own_s]
        around = np.concatenate([before, times_s, [] if following_s is None else [following_s]])
        far_s = self.hole_s if np.isfinite(self.hole_s) else 0.0
        for place in np.flatnonzero(np.diff(around) < 0).tolist():
            time_s, next_s = around[place], around[place + 1]
            if place + 2 < len(around) and next_s < time_s < around[place + 2]:
                around[place + 1] = self._between(time_s, around[place + 2])
            elif place and around[place - 1] < next_s < time_s and time_s - around[place - 1] > far_s:
                around[place] = self._between(around[place - 1], next_s)
        return around[len(before) : len(before) + len(times_s)]

    def _between(self, last_s: float, next_s: float) -> float:
        step_s = 1.0 / self.rate_hz if self.rate_hz else np.inf
        return min(last_s + step_s, (last_s + next_s) / 2)


class LiveTimes:
    """The times of rows that come when they are made, on the monotonic clock: their own if they say any.

    A row's own clock and ours differ; by how much is known from the row that was on its way for the shortest time. As
    no two clocks go alike, what is known from long ago counts for a little less.

    Args:
        told: called with what is wrong, once.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told: Callable[[str], None] | None = told
        self._ahead_s: float | None = None
        self._arrived_s = 0.0
        self._last_s = -np.inf

    def of(self, count: int, times_s: Array | None, arrived_s: float) -> Array:
        """The times of so many rows.

        Args:
            count: how many.
            times_s: their own; None: they say none.
            arrived_s: when they came.
        """
        found = np.full(count, arrived_s)
        if times_s is not None:
            ahead_s = arrived_s - float(times_s[-1])
            if self._ahead_s is not None:
                self._ahead_s += _DRIFT * (arrived_s - self._arrived_s)
            self._arrived_s = arrived_s
            if self._ahead_s is not None and ahead_s - self._ahead_s > _FAR_S:
                if self._told is not None:
                    self._told(
                        f"its clock was set back, or rows come {ahead_s - self._ahead_s:.0f} s late: now counts as now"
                    )
                    self._told = None
                self._ahead_s = ahead_s
            self._ahead_s = ahead_s if self._ahead_s is None else min(self._ahead_s, ahead_s)
            found = times_s + self._ahead_s
        found = np.maximum.accumulate(np.maximum(found, self._last_s))
        self._last_s = float(found[-1])
        return found

"""The rate at which the rows of a live signal really come, beside the one that they are said to have."""

from collections.abc import Callable

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .averaged import Averaged
from .cut import NEAR
from .row_times import measure_rate

_LOOKED_AT = 16
_ARRIVED_ROWS, _ARRIVED_S, _ARRIVED_NEAR = 256, 10.0, 0.1
"""Arrival jitters: it shows a rate only over many rows, and not as exactly."""


class LiveRate:
    """Makes sure that live rows have the rate that is said of them; of a higher one, it makes that.

    By the rows' own times it is known from the first of them, which are held back until then; by their arrival after a
    while, and again and again.

    Args:
        rate_hz: what is said of them.
        hole_s: what comes later than that after what came before it begins anew.
        told: called with what is changed.
    """

    def __init__(self, rate_hz: float, hole_s: float, told: Callable[[str], None]) -> None:
        self.rate_hz = rate_hz
        self.hole_s = hole_s
        self._told = told
        self._settled = False
        self._averaged: Averaged | None = None
        self._own_s: float | None = None
        self._held: list[tuple[Array, Array, Array]] = []
        self._begin_s = self._last_s = -np.inf
        self._given_s = -np.inf
        self._count = 0

    def take(self, values: Array, times_s: Array, own_s: Array | None) -> list[tuple[Array, Array]]:
        """The rows, as many as can be given now, with the time of each.

        Args:
            values: the rows.
            times_s: the time of each.
            own_s: the time that each says itself; None: they say none, and `times_s` are those of their arrival.

        Raises:
            InvalidInput: they have another rate, from which this one can't be made.
        """
        if own_s is None:
            self._arrived(times_s)
            return [(values, times_s)]
        if self._settled:
            return [self._given(values, times_s, own_s)]
        self._held.append((values, times_s, own_s))
        if sum(len(values) for values, _, _ in self._held) < _LOOKED_AT:
            return []
        self._settle(np.concatenate([own_s for _, _, own_s in self._held]))
        held, self._held = self._held, []
        return [self._given(*each) for each in held]

    def jumps(self, own_s: Array) -> bool:
        """Whether there is a hole before rows by their own times; what was held back before it goes.

        Their times on our clock may not show it: of rows that come together, the last one's is its arrival.
        """
        last_s, self._own_s = self._own_s, float(own_s[-1])
        found = last_s is not None and not 0 <= float(own_s[0]) - last_s <= self.hole_s
        if found:
            self._held.clear()
            if self._averaged is not None:
                self._averaged.restart()
        return found

    def _given(self, values: Array, times_s: Array, own_s: Array) -> tuple[Array, Array]:
        if self._averaged is None:
            return values, times_s
        # By their own times: rows that come together, as all of a file that is piped in, have one arrival.
        means, at_s = self._averaged.push(values, own_s)
        found_s = np.maximum.accumulate(np.maximum(at_s - own_s[-1] + times_s[-1], self._given_s))
        self._given_s = float(found_s[-1]) if len(found_s) else self._given_s
        return means, found_s

    def _settle(self, own_s: Array) -> None:
        self._settled = True
        rate = measure_rate(own_s)
        if not rate.rate_hz or abs(self.rate_hz / rate.rate_hz - 1) <= NEAR:
            return
        if rate.rate_hz < self.rate_hz:
            raise InvalidInput(
                f"is sampled {rate.rate_hz:g} times a second, and `rate_hz` asks for {self.rate_hz:g}: what is not in "
                f"it can't be made; give {rate.rate_hz:g} or less"
            )
        self._told(f"is sampled {rate.rate_hz:g} times a second: resampled to {self.rate_hz:g}, by means")
        self._averaged = Averaged(self.rate_hz, rate.hole_s)

    def _arrived(self, times_s: Array) -> None:
        """Counts rows that follow each other, and compares how many come with how many shall."""
        if times_s[-1] - self._last_s > self.hole_s:
            self._begin_s, self._count = float(times_s[-1]), 0
        else:
            self._count += len(times_s)
        self._last_s = float(times_s[-1])
        took_s = self._last_s - self._begin_s
        if self._count < _ARRIVED_ROWS or took_s < _ARRIVED_S:
            return
        found_hz = self._count / took_s
        if abs(found_hz / self.rate_hz - 1) > _ARRIVED_NEAR:
            raise InvalidInput(
                f"its rows come {found_hz:.3g} times a second, and `rate_hz` says {self.rate_hz:g}: give what it is"
            )
        self._begin_s, self._count = self._last_s, 0

"""A signal with fewer samples a second than it was recorded with: each the mean of what lies in its time."""

import numpy as np

from ...outputs import Array


class Averaged:
    """Makes a signal of a lower rate: each sample is the mean of the line between the rows in its time.

    So nothing that is faster than the new rate shows as something slow that was not there. The pieces that rows come in
    do not matter. After a hole it begins anew.

    Args:
        rate_hz: the new rate.
        hole_s: a longer time between two rows is a hole.
    """

    def __init__(self, rate_hz: float, hole_s: float) -> None:
        self.rate_hz = rate_hz
        self.hole_s = hole_s
        self._values: Array | None = None
        self._times_s: Array = np.empty(0)
        self._begin_s = 0.0
        self._given = 0

    def push(self, values: Array, times_s: Array) -> tuple[Array, Array]:
        """The samples that are whole with these rows, and their times: each at the end of what it is the mean of."""
        last_s = self._times_s[-1] if len(self._times_s) else times_s[0]
        steps = np.diff(times_s, prepend=last_s)
        found_values, found_times = [values[:0].astype(np.float32)], [times_s[:0]]
        begin = 0
        for end in [*np.flatnonzero((steps > self.hole_s) | (steps < 0)).tolist(), len(times_s)]:
            if end > begin:
                made, at_s = self._add(values[begin:end], times_s[begin:end])
                found_values.append(made)
                found_times.append(at_s)
            if end < len(times_s):
                self._values = None
            begin = end
        return np.concatenate(found_values), np.concatenate(found_times)

    def restart(self) -> None:
        """Begins anew with what comes next."""
        self._values, self._times_s = None, np.empty(0)

    def _add(self, values: Array, times_s: Array) -> tuple[Array, Array]:
        if self._values is None:
            self._values, self._times_s = values.astype(np.float64), np.array(times_s, np.float64)
            self._begin_s, self._given = float(times_s[0]), 0
        else:
            self._values = np.concatenate([self._values, values])
            self._times_s = np.concatenate([self._times_s, times_s])
        reached = int(np.floor((self._times_s[-1] - self._begin_s) * self.rate_hz + 1e-9))
        if reached <= self._given:
            return values[:0].astype(np.float32), times_s[:0]
        edges_s = self._begin_s + np.arange(self._given, reached + 1) / self.rate_hz
        area = self._area(edges_s)
        means = (np.diff(area, axis=0) * self.rate_hz).astype(np.float32)
        self._given = reached
        # The row before the last edge is still needed.
        keep = max(0, int(np.searchsorted(self._times_s, edges_s[-1], side="right")) - 1)
        self._values, self._times_s = self._values[keep:], self._times_s[keep:]
        return means, edges_s[1:]

    def _area(self, at_s: Array) -> Array:
        """What lies under the line between the rows, from the first kept one up to these times."""
        assert self._values is not None
        values, times_s = self._values, self._times_s
        steps = np.diff(times_s)[:, None]
        whole = np.concatenate(
            [np.zeros((1, values.shape[1])), np.cumsum((values[1:] + values[:-1]) / 2 * steps, axis=0)]
        )
        place = np.clip(np.searchsorted(times_s, at_s, side="right") - 1, 0, max(0, len(times_s) - 2))
        after = np.minimum(place + 1, len(times_s) - 1)
        passed = (np.clip(at_s, times_s[0], times_s[-1]) - times_s[place])[:, None]
        step = np.maximum(times_s[after] - times_s[place], 1e-12)[:, None]
        slope = (values[after] - values[place]) / step
        area: Array = whole[place] + values[place] * passed + slope * passed**2 / 2
        return area

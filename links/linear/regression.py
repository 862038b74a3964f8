"""From one set of sources to a target's vector: what they say now, and how far its last output was off then."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...outputs import Array

KNOTS_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""The ages at which it is known how much is left of an error."""


@dataclass(frozen=True)
class Regression:
    """A linear map, and how long it errs alike: what it would have said when the target last ran is set right by that.

    Attributes:
        weights: float32 (numbers + 1, length); the last row is the constant.
        fades: which share of an error is left at each of `KNOTS_S`, from 0 to 1.
        errors: some of those it made on blocks that it was not learnt from, of the numbers that are compared (s, k).
    """

    weights: Array
    fades: Array
    errors: Array

    def fade(self, ages_s: Array) -> Array:
        """Which share of the error is left after so many seconds (n,); NaN, as there is no last output: none."""
        known = np.isfinite(ages_s)
        at = np.log(np.maximum(np.where(known, ages_s, KNOTS_S[-1]), 1e-3))
        first = np.minimum(np.where(known, ages_s, 0.0) / KNOTS_S[0], 1.0)
        # Below the first knot it rises to all of it: at once nothing has changed.
        left = np.interp(at, np.log(KNOTS_S), self.fades)
        return np.asarray(np.where(known, first * left + (1.0 - first), 0.0))

    def fade_at(self, age_s: float) -> float:
        """The same of one age."""
        if age_s < KNOTS_S[0]:
            return 1.0 - (1.0 - float(self.fades[0])) * age_s / KNOTS_S[0]
        at = min(bisect_right(KNOTS_S, age_s), len(KNOTS_S) - 1)
        share = min(1.0, math.log(age_s / KNOTS_S[at - 1]) / math.log(KNOTS_S[at] / KNOTS_S[at - 1]))
        return float(self.fades[at - 1] + share * (self.fades[at] - self.fades[at - 1]))

    def spread(self, fades: Array) -> Array:
        """What errors are multiplied by where so much of the last one is left: those of an autoregression."""
        return np.sqrt(np.maximum(1.0 - fades**2, 0.0))

    def say(self, numbers: Array) -> Array:
        """The vectors (n, length) for numbers (n, count), or one for one, whatever the target last said."""
        return np.asarray(numbers @ self.weights[:-1] + self.weights[-1])

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        return {f"{prefix}.{name}": getattr(self, name) for name in ("weights", "fades", "errors")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` wrote."""
        return cls(*(arrays[f"{prefix}.{name}"] for name in ("weights", "fades", "errors")))

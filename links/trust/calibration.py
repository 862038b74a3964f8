"""How far outputs were from the exact ones: the upper quantiles of their distances, for any risk level."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...outputs import Array

LEVELS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
"""The risk levels that distances are kept for."""


@dataclass(frozen=True)
class Calibration:
    """Split-conformal calibration of one way to answer (Vovk et al.; Lei et al., JASA 2018).

    An exact output is further from the answer than `radius(alpha)` in at most a share `alpha` of answers, if inputs are
    exchangeable with those that were compared.

    Attributes:
        count: how many independent comparisons it stands on.
        radii: the distance at each of `LEVELS`; infinite where `count` is too low: 9, 19, 99 for .1, .05, .01.
    """

    count: int
    radii: tuple[float, ...]

    @classmethod
    def of(cls, distances: Array, *, share: float = 1.0) -> Self:
        """The calibration from compared outputs.

        Args:
            distances: of each from its exact output: float (n,).
            share: how many independent outputs each is worth.
        """
        count = math.floor(len(distances) * share + 1e-9)
        ordered = np.sort(np.asarray(distances, np.float64))
        return cls(count, tuple(_radius(ordered, count, level) for level in LEVELS))

    def radius(self, alpha: float) -> float:
        """The distance that at most a share `alpha` of exact outputs exceeds; infinite where that is not known.

        Between two of `LEVELS` it is that of the lower one, which is the wider.
        """
        for level, radius in zip(reversed(LEVELS), reversed(self.radii), strict=True):
            if level <= alpha + 1e-12:
                return radius
        return math.inf

    def calibrated(self, alpha: float) -> bool:
        """Whether there were enough comparisons for that risk level."""
        return math.isfinite(self.radius(alpha))

    def as_list(self) -> list[float | None]:
        """Plain values for JSON: the count, then the radii up to the sixth digit, never rounded down."""
        plain = [math.ceil(radius * 1e6) / 1e6 if math.isfinite(radius) else None for radius in self.radii]
        return [self.count, *plain]

    @classmethod
    def from_list(cls, values: Sequence[float | None]) -> Self:
        """Reads what `as_list` wrote.

        Raises:
            ValueError: it has another length.
        """
        count, *radii = values
        if count is None or len(radii) != len(LEVELS):
            raise ValueError(f"a calibration has a count and {len(LEVELS)} radii")
        return cls(int(count), tuple(math.inf if radius is None else radius for radius in radii))


def _radius(ordered: Array, count: int, level: float) -> float:
    rank = math.ceil((count + 1) * (1.0 - level) - 1e-9)
    if not 1 <= rank <= count:
        return math.inf
    # Of dependent outputs the same share of all of them, rounded up.
    return float(ordered[math.ceil(rank / count * len(ordered) - 1e-9) - 1])

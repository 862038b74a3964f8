"""How far answers were from the exact outputs: that distance for every kind of output, and its upper quantiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...outputs import Array, OutputSpec

LEVELS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
"""The risk levels that distances are kept for."""
_NARROWEST = 0.1


@dataclass(frozen=True)
class Calibration:
    """Split-conformal calibration of one way to answer (Vovk et al.; Lei et al., JASA 2018).

    An exact output is further from the answer than `radius(alpha)` in at most a share `alpha` of answers, on average
    over recordings, if runs of inputs are exchangeable with those that were compared.

    Attributes:
        count: how many independent runs of inputs it stands on.
        radii: the distance at each of `LEVELS`; infinite where `count` is too low: 9, 19, 99 for .1, .05, .01.
        run_s: how long such a run lasts: what is audited within it counts once.
    """

    count: int
    radii: tuple[float, ...]
    run_s: float = 0.0

    @classmethod
    def of(cls, distances: Array, *, runs: int | None = None, run_s: float = 0.0) -> Self:
        """The calibration from compared outputs.

        Args:
            distances: of each from its exact output: float (n,).
            runs: how many independent runs they are worth; None: each is one.
            run_s: how long one lasts.
        """
        count = len(distances) if runs is None else runs
        ordered = np.sort(np.asarray(distances, np.float64))
        return cls(count, tuple(_radius(ordered, count, level) for level in LEVELS), run_s)

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
        """Plain values for JSON: count, length of a run, then the radii up to the sixth digit, never rounded down."""
        plain = [math.ceil(radius * 1e6) / 1e6 if math.isfinite(radius) else None for radius in self.radii]
        return [self.count, round(self.run_s, 3), *plain]

    @classmethod
    def from_list(cls, values: Sequence[float | None]) -> Self:
        """Reads what `as_list` wrote.

        Raises:
            ValueError: it has another length.
        """
        count, run_s, *radii = values
        if count is None or run_s is None or len(radii) != len(LEVELS):
            raise ValueError(f"a calibration has a count, the length of a run and {len(LEVELS)} radii")
        return cls(int(count), tuple(math.inf if radius is None else radius for radius in radii), run_s)


def _radius(ordered: Array, count: int, level: float) -> float:
    rank = math.ceil((count + 1) * (1.0 - level) - 1e-9)
    if not 1 <= rank <= count:
        return math.inf
    # Of dependent outputs the same share of all of them, rounded up.
    return float(ordered[math.ceil(rank / count * len(ordered) - 1e-9) - 1])


def distances(output: OutputSpec, answers: Array, exact: Array, agreements: Array, spreads: Array) -> Array:
    """The distance of every answer from its exact output: float64 (n,), 0 where they are the same.

    | kind | distance |
    |---|---|
    | label | the probability of the first class less that of the exact one |
    | multilabel | how far from 0.5 the surest class on the wrong side is |
    | count, scalar | the difference, divided by the answer's spread |
    | boxes, by counts | the largest difference of a class's count |
    | others | 1 - agreement |

    Args:
        output: the type of the outputs.
        answers: as `forms` gives them (n, width).
        exact: likewise; or one row for all answers.
        agreements: of each answer with the exact output (n,).
        spreads: what each answer's residual is divided by (n,).
    """
    if by_agreement(output):
        return np.asarray(1.0 - agreements, np.float64)
    if output.kind == "label":
        best = np.broadcast_to(exact.argmax(axis=1), len(answers))
        return np.asarray(answers.max(axis=1) - answers[np.arange(len(answers)), best])
    if output.kind == "multilabel":
        wrong = (answers >= 0.5) != (exact >= 0.5)
        return np.asarray(np.where(wrong, np.abs(answers - 0.5), 0.0).max(axis=1))
    differences = np.abs(answers - exact).max(axis=1)
    return np.asarray(differences / spreads if output.kind != "boxes" else differences)


def distance(output: OutputSpec, answer: Array, exact: Array, *, agreement: float, spread_of: float) -> float:
    """The same of one answer."""
    one = distances(
        output, forms(output, [answer]), forms(output, [exact]), np.asarray([agreement]), np.asarray([spread_of])
    )
    return float(one[0])


def forms(output: OutputSpec, values: Sequence[Array] | Array) -> Array:
    """What distances are taken between: float64 (n, classes) or (n, 1); (n, 0) where agreement is the distance."""
    if output.kind in ("label", "multilabel", "count", "scalar"):
        return np.asarray(values, np.float64)
    if output.kind == "boxes" and output.measure == "counts":
        return np.asarray([output.counts(value) for value in values], np.float64).reshape(len(values), -1)
    return np.zeros((len(values), 0))


def by_agreement(output: OutputSpec) -> bool:
    """Whether the distance is 1 - agreement: of vectors, masks, tokens, and boxes compared by their places."""
    return output.kind in ("vector", "mask", "tokens") or (output.kind == "boxes" and output.measure == "f1")


def spread(confidences: Array | float) -> Array:
    """What a link's residuals are divided by: the less sure it is, the wider its interval."""
    return np.asarray(_NARROWEST + 1.0 - np.clip(confidences, 0.0, 1.0), np.float64)

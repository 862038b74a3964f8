"""From which confidence on a way's answers may be trusted: tested on inputs that nothing was chosen on, run by run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...evidence import Tested, clean_runs, fixed_sequence
from ...outputs import Array

ALPHA = 0.1
"""Trusted outputs may disagree with the exact model in at most this share."""
RISK = 0.05
"""How often, over recordings, any certificate of a target may be wrong."""
LEAST = clean_runs(ALPHA, confidence=1.0 - RISK)
"""With fewer runs nothing is certified, even if all agree."""
GRID = (0.99, 0.98, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.0)
"""The confidences that are tried, the most careful first."""
_SPARE = 1.5


@dataclass(frozen=True)
class Certificate:
    """What was found of one way to answer.

    Attributes:
        threshold: from which confidence on its answers may be trusted; None: none was shown.
        runs: how many independent runs of trusted answers that rests on; where none was shown, of the surest.
        all_runs: how many runs all of its answers are worth, no more than inputs change; 0: it can't be told, as
            nothing ever disagreed.
    """

    threshold: float | None
    runs: int
    all_runs: int


def certify(
    confidences: Array,
    agreements: Array,
    *,
    grid: Sequence[float] = GRID,
    risk: float = RISK,
    unknown: Array | None = None,
) -> Certificate:
    """The lowest confidence that is certified, going down the grid to the first that is not.

    Args:
        confidences: of outputs in the order of time (n,).
        agreements: theirs with the exact ones (n,).
        grid: confidences, falling, chosen without these outputs; the last is 0, which all outputs have.
        risk: how often the certificate may be wrong.
        unknown: what would disagree if nothing were known of the inputs, as with a constant (n,): how often inputs
            change. Where they change more seldom than it takes runs, a link that errs now and then within each of a
            few scenes would look as if it erred alike in all scenes: nothing is certified.
    """
    found, most = _tested(confidences, agreements, grid, risk, unknown)
    passed = int(np.count_nonzero(found.passed))
    if not passed:
        return Certificate(None, _whole(found.runs[0], most), _whole(found.runs[-1], most))
    return Certificate(float(grid[passed - 1]), math.floor(found.runs[passed - 1]), _whole(found.runs[-1], most))


def certify_in_turn(
    agreements: Array, where: Array, *, risk: float = RISK, unknown: Array | None = None
) -> list[Certificate]:
    """Certificates of ways to answer that are tested in turn, up to the first that is not certified.

    Args:
        agreements: of outputs with the exact ones, (ways, n), the most careful way first.
        where: which inputs each way was measured on, bool (ways, n).
        risk: how often any of the certificates may be wrong.
        unknown: as in `certify`.
    """
    found, most = _fixed_sequence(1.0 - agreements, where, risk, unknown)
    return [
        Certificate(0.0, math.floor(runs), _whole(runs, most))
        if passed
        else Certificate(None, _whole(runs, most), _whole(runs, most))
        for passed, runs in zip(found.passed.tolist(), found.runs.tolist(), strict=True)
    ]


def first_level(
    confidences: Array, agreements: Array, *, inputs: int, risk: float = RISK, unknown: Array | None = None
) -> int:
    """Where in `GRID` to begin, so that there are runs enough to show anything.

    Args:
        confidences: of outputs that nothing will be certified on (n,).
        agreements: theirs.
        inputs: how many there will be.
        risk: how often the certificate may be wrong.
        unknown: as in `certify`.
    """
    needed = _SPARE * clean_runs(ALPHA, confidence=1.0 - risk)
    found, _ = _tested(confidences, agreements, GRID, risk, unknown)
    runs = found.runs * inputs / max(1, len(confidences))
    enough = np.flatnonzero(runs >= needed)
    return int(enough[0]) if len(enough) else int(np.argmax(runs))


def _tested(
    confidences: Array, agreements: Array, grid: Sequence[float], risk: float, unknown: Array | None
) -> tuple[Tested, float]:
    where = confidences >= np.asarray(grid)[:, None]
    return _fixed_sequence(np.broadcast_to(1.0 - agreements, where.shape), where, risk, unknown)


def _fixed_sequence(losses: Array, where: Array, risk: float, unknown: Array | None) -> tuple[Tested, float]:
    """What is proven, and how many runs there are of what a constant gets wrong."""
    confidence = 1.0 - risk
    found = fixed_sequence(losses, target=ALPHA, confidence=confidence, where=where, whole=unknown)
    if unknown is None:
        return found, math.inf
    changes = float(fixed_sequence(unknown[None], target=ALPHA, confidence=confidence).runs[0])
    if changes < clean_runs(ALPHA, confidence=confidence):
        found = replace(found, passed=np.zeros(len(losses), np.bool_))
    return found, changes


def _whole(runs: float, most: float) -> int:
    return math.floor(min(runs, most))

"""From which confidence on a link's outputs may be trusted: certified by counting what disagreed."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from ...evidence import clopper_pearson
from ...outputs import Array

ALPHA = 0.1
"""Trusted outputs may disagree with the exact model in at most this share."""
RISK = 0.05
"""How often, over recordings, a certificate may be wrong (if inputs were independent)."""
LEAST = math.ceil(math.log(RISK) / math.log1p(-ALPHA))
"""With fewer outputs nothing is certified, even if all agree."""
GRID = (0.99, 0.98, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def upper_bound(errors: float, count: float) -> float:
    """The Clopper-Pearson upper bound on the error rate, wrong with probability `RISK`.

    Args:
        errors: how many; a part of one counts as a whole one.
        count: among how many outputs; a part of one is not counted.
    """
    return _upper_bound(math.ceil(errors - 1e-9), math.floor(count + 1e-9))


@cache
def _upper_bound(errors: int, count: int) -> float:
    return clopper_pearson(errors, count, confidence=1.0 - RISK)


def independent_share(series: Sequence[Array]) -> float:
    """How many independent outputs one output is worth, as neighbours in time tend to be right or wrong together.

    Args:
        series: agreements in the order of time; their errors' correlation from one to the next is pooled.
    """
    above, below = 0.0, 0.0
    for agreements in series:
        errors = agreements - agreements.mean()
        above += float(errors[1:] @ errors[:-1])
        below += float(errors @ errors)
    correlation = min(max(above / below, 0.0), 0.95) if below > 1e-9 else 0.0
    return (1.0 - correlation) / (1.0 + correlation)


def certified(agreements: Array, *, share: float = 1.0) -> bool:
    """Whether outputs like these are shown to disagree in at most `ALPHA`.

    Args:
        agreements: those of outputs that were compared.
        share: how many independent outputs each is worth.
    """
    return upper_bound(float(np.sum(1.0 - agreements)) * share, len(agreements) * share) <= ALPHA


def certify_threshold(confidences: Array, agreements: Array, *, share: float = 1.0) -> float | None:
    """The lowest confidence that is certified, going down a grid fixed beforehand to the first that is not.

    None if there is none: with no error at all, 29 independent outputs are needed.
    """
    found = None
    for threshold in GRID:
        trusted = confidences >= threshold
        if math.floor(np.count_nonzero(trusted) * share + 1e-9) < LEAST:
            continue
        if not certified(agreements[trusted], share=share):
            break
        found = threshold
    return found

"""From which confidence on a link's outputs may be trusted: certified by counting, never read off a curve."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from ...outputs import Array

ALPHA = 0.1
"""Trusted outputs may disagree with the exact model in at most this share."""
RISK = 0.05
"""How often, over recordings, a certificate may be wrong (if inputs were independent)."""
LEAST = math.ceil(math.log(RISK) / math.log1p(-ALPHA))
"""With fewer outputs nothing is certified, even if all agree."""
_MOST_COUNTED = 5000
GRID = (0.99, 0.98, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


@cache
def at_most(errors: int, count: int, rate: float) -> float:
    """The probability of at most `errors` in `count` independent tries at that rate.

    Where it is below a risk, `rate` is above the Clopper-Pearson upper bound of that risk.
    """
    logs = (
        math.lgamma(count + 1)
        - math.lgamma(k + 1)
        - math.lgamma(count - k + 1)
        + k * math.log(rate)
        + (count - k) * math.log1p(-rate)
        for k in range(min(errors, count) + 1)
    )
    return math.fsum(math.exp(log) for log in logs)


def upper_bound(errors: float, count: float, *, risk: float = RISK) -> float:
    """The Clopper-Pearson upper bound on the rate behind so many errors, wrong with probability `risk`.

    A part of an error counts up to a whole one. More than 5000 are counted as if they were 5000 with that share of
    errors, which bounds the work and is never too low.
    """
    shrink = min(1.0, _MOST_COUNTED / max(count, 1.0))
    tries = math.floor(count * shrink + 1e-9)
    wrong = math.ceil(errors * shrink - 1e-9)
    if wrong >= tries:
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        # Not from the cache: nobody asks for these rates again.
        low, high = (low, middle) if at_most.__wrapped__(wrong, tries, middle) <= risk else (middle, high)
    return high


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
    """Whether outputs like these disagree in at most `ALPHA`; a part of a disagreement counts up to a whole one.

    Args:
        agreements: those of outputs that were compared.
        share: how many independent outputs each is worth.
    """
    count = math.floor(len(agreements) * share + 1e-9)
    errors = math.ceil(float(np.sum(1.0 - agreements)) * share - 1e-9)
    return count >= LEAST and at_most(errors, count, ALPHA) <= RISK


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

"""Up to which doubt a head may answer: the thresholds that a calibration part proves to keep an accuracy."""

import numpy as np

from ...errors import NotCertified
from ...evidence import CONFIDENCE
from ...outputs import Array
from ..spec import Certificate
from ..training.selection import Choice, choose
from ..training.sweep import Sweep

_LEVELS = 120
# What is more likely wrong than right is no answer.
_MOST = 0.5


def certify_doubt(
    model: str, doubts: Array, disagreements: Array, *, accuracy: float, constant: Array | None = None
) -> Choice:
    """The greatest doubt up to which a head may answer.

    What is proven is a mean over all inputs, as of filters and of REUSE, with nothing lost where the model is asked:
    that is what the audit measures at work. That alone would allow few answers that are often wrong. So the answers
    themselves must also have agreed as far as was asked for; that is measured, not proven.

    Args:
        model: whose head it is.
        doubts: of its answers on the calibration part, from 0 to 1 (inputs,).
        disagreements: of those answers with the model's own, from 0 to 1 (inputs,).
        accuracy: the least mean agreement.
        constant: the disagreements of one answer for all inputs: they show in which runs the model's outputs come,
            where the head is hardly ever wrong. None: the head's own do.

    Returns:
        The threshold, with or without a certificate.

    Raises:
        NotCertified: no threshold at which it answers anything keeps the accuracy.
    """
    quantiles = np.quantile(doubts, np.linspace(0.0, 1.0, _LEVELS))
    thresholds = np.unique(np.minimum(quantiles, _MOST))
    dropped = disagreements if constant is None else constant
    kept = doubts > thresholds[:, None]
    losses = np.where(kept, 0.0, disagreements)
    agreements = 1.0 - losses.sum(axis=1) / np.maximum(1, (~kept).sum(axis=1))
    good = agreements >= accuracy - 1e-12
    while good.any():
        # A threshold that is too loose ends the sequence; one in between that is worse by chance can't be chosen.
        count = int(np.flatnonzero(good)[-1]) + 1
        sweep = Sweep(model, thresholds[:count], kept[:count], losses[:count], dropped)
        choice = choose([sweep], accuracy=accuracy)
        best = int(np.searchsorted(thresholds, choice.threshold))
        if good[best]:
            return choice
        good[best:] = False
    raise NotCertified(
        f"{model}: no answer is likely enough to agree with the model to {accuracy:g}: ask for less "
        "(--accuracy), or record more inputs"
    )


def nothing_proven(inputs: int, why: str) -> Certificate:
    """What is said of a head of which no threshold is worth a test on so many inputs."""
    return Certificate(
        certified=False,
        confidence=CONFIDENCE,
        inputs=inputs,
        runs=0.0,
        lost=0.0,
        error=0.0,
        upper_bound=1.0,
        method=f"none: {why}",
        rate=0.0,
    )

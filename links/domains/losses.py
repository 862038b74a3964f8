"""What a domain network is trained with: a loss for each kind of output, with its gradient."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .form import Form, sigmoid, softmax

_BETA = 0.5


@dataclass(frozen=True)
class Graded:
    """A loss and its gradient.

    Attributes:
        each: float64 (members, n): the loss of each row; what a ranking ranks.
        mean: the gradient by what was predicted, divided by n.
        log_variance: by the predicted log-variance, divided by n; None if there was none.
    """

    each: Array
    mean: Array
    log_variance: Array | None = None


Loss = Callable[[Array, Array | None, Array], Graded]
"""From the prediction, its log-variance and the target, all standardised (members, n, length)."""


def loss_of(form: Form) -> Loss:
    """The loss for a kind of target: cross-entropy with soft labels, or a Gaussian's with its own variance."""
    return {"label": cross_entropy, "multilabel": binary_cross_entropy}.get(form.output.kind, squared)


def cross_entropy(predicted: Array, _: Array | None, wanted: Array) -> Graded:
    """Of logits with the probabilities of other logits."""
    p, q = softmax(predicted), softmax(wanted)
    each = -(q * np.log(np.maximum(p, 1e-12))).sum(axis=-1)
    return Graded(each, (p - q) / predicted.shape[1])


def binary_cross_entropy(predicted: Array, _: Array | None, wanted: Array) -> Graded:
    """Of log-odds with the probabilities of other log-odds, mean over the classes."""
    q = sigmoid(wanted)
    each = (np.logaddexp(0.0, predicted) - q * predicted).mean(axis=-1)
    return Graded(each, (sigmoid(predicted) - q) / (predicted.shape[1] * predicted.shape[2]))


def squared(predicted: Array, log_variance: Array | None, wanted: Array) -> Graded:
    """Half the squared difference; with a variance the likelihood of a Gaussian.

    The likelihood is weighted by the variance to the power of a half (Seitzer et al., ICLR 2022), as else rows that
    are predicted badly are given up. `each` is the squared difference in both cases: the link's own loss.
    """
    wrong = predicted - wanted
    each = 0.5 * np.square(wrong).mean(axis=-1)
    count = predicted.shape[1] * predicted.shape[2]
    if log_variance is None:
        return Graded(each, wrong / count)
    variance = np.exp(log_variance)
    weight = variance**_BETA / count
    return Graded(each, weight * wrong / variance, weight * 0.5 * (1.0 - np.square(wrong) / variance))


def ranking(expected: Array, losses: Array, *, margin: float = 1.0) -> tuple[float, Array]:
    """Pairwise hinge: whichever of a pair had the larger loss shall be expected to have it, by a margin.

    The first half of the rows are paired with the second, each row with one partner only. The true losses are given
    numbers, so nothing flows back into them. Rows whose losses are equal say nothing.

    Args:
        expected: (members, n): what the loss head says.
        losses: (members, n): what the losses were.
        margin: by how much.

    Returns:
        The mean over the pairs (of which an odd last row is none), and its gradient by `expected`.
    """
    half = expected.shape[1] // 2
    one, other = slice(0, half), slice(half, 2 * half)
    order = np.sign(losses[:, one] - losses[:, other])
    short = np.where(order != 0.0, margin - order * (expected[:, one] - expected[:, other]), 0.0)
    pairs = max(1, expected.shape[0] * half)
    step = np.where(short > 0.0, order, 0.0) / pairs
    found = np.zeros_like(expected)
    found[:, one], found[:, other] = -step, step
    return float(np.maximum(short, 0.0).sum() / pairs), found

"""Trains a domain network on standardised pairs: Adam on batches, each member of an ensemble on its own draws."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .network import DomainNetwork
from .task import Form, sigmoid, softmax

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


_DECAY = 1e-3
_LONGEST_STEP = 5.0


@dataclass(frozen=True)
class FitSettings:
    """How a network is trained.

    Attributes:
        steps: how many batches.
        batch: rows of a batch, for each member.
        rate: Adam's step at first; it falls to a tenth.
    """

    steps: int = 300
    batch: int = 64
    rate: float = 1e-2


class Adam:
    """Adam over one vector of weights, with decoupled decay; a gradient that is too long is shortened."""

    def __init__(self, size: int) -> None:
        self._mean, self._square, self._steps = np.zeros(size), np.zeros(size), 0

    def step(self, weights: Array, gradient: Array, rate: float) -> None:
        """Changes the weights in place."""
        length = float(np.sqrt(gradient @ gradient))
        if length > _LONGEST_STEP:
            gradient = gradient * (_LONGEST_STEP / length)
        self._steps += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.01 * (gradient**2 - self._square)
        mean = self._mean / (1.0 - 0.9**self._steps)
        square = self._square / (1.0 - 0.99**self._steps)
        weights -= rate * (mean / (np.sqrt(square) + 1e-8) + _DECAY * weights)


def fit(
    network: DomainNetwork,
    inputs: Array,
    targets: Array,
    loss: Loss,
    settings: FitSettings,
    random: np.random.Generator,
    *,
    chances: Array | None = None,
) -> float:
    """Trains in place; the same seed gives the same weights.

    Args:
        network: goes on from where it is.
        inputs: standardised (n, inputs), n at least 1.
        targets: standardised (n, outputs).
        loss: what is made small.
        settings: how.
        random: draws the batches.
        chances: of each row to be drawn, for each member (members, n), summing to 1; None: all alike.

    Returns:
        The mean loss over all rows afterwards.
    """
    adam = Adam(network.shape.size)
    draws = (network.shape.members, min(settings.batch, 4 * len(inputs)))
    ends = None if chances is None else np.cumsum(chances, axis=1)
    for step in range(settings.steps):
        rows = random.integers(len(inputs), size=draws) if ends is None else _drawn(ends, draws[1], random)
        passed = network.forward(inputs[rows])
        graded = loss(passed.mean, passed.log_variance, targets[rows])
        rate = settings.rate * (1.0 - 0.9 * step / settings.steps)
        adam.step(network.weights, network.gradient(passed, graded.mean, graded.log_variance), rate)
    return float(losses(network, inputs, targets, loss).mean())


def _drawn(ends: Array, count: int, random: np.random.Generator) -> Array:
    """Rows for each member, from the cumulated chances."""
    lots = random.random((len(ends), count)) * ends[:, -1:]
    return np.stack([np.searchsorted(end, lot, side="right") for end, lot in zip(ends, lots, strict=True)])


def losses(network: DomainNetwork, inputs: Array, targets: Array, loss: Loss) -> Array:
    """The loss of each row, mean over the members (n,)."""
    passed = network.forward(inputs)
    return np.asarray(loss(passed.mean, passed.log_variance, targets).each.mean(axis=0))


def fit_loss_head(
    network: DomainNetwork, inputs: Array, lost: Array, settings: FitSettings, random: np.random.Generator
) -> None:
    """Trains the loss head alone, in place; the link itself stays as it is.

    Args:
        network: with a loss head.
        inputs: standardised (n, inputs).
        lost: (n,): the link's loss on each of them, best as it was before the link learnt from it.
        settings: how.
        random: draws the pairs.
    """
    if len(inputs) < 2:
        return
    # Only its own weights, which lie last: decay would change the others as well.
    start = network.shape.slices["rank"].start
    adam = Adam(network.shape.size - start)
    batch = 2 * max(1, min(settings.batch, len(inputs)) // 2)
    for step in range(settings.steps):
        rows = random.integers(len(inputs), size=(network.shape.members, batch))
        passed = network.forward(inputs[rows])
        _, expected = ranking(network.predicted_loss(passed), lost[rows])
        rate = settings.rate * (1.0 - 0.9 * step / settings.steps)
        adam.step(network.weights[start:], network.rank_gradient(passed, expected)[start:], rate)

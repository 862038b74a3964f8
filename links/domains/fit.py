"""Trains a domain network on standardised pairs: Adam on batches, each member of an ensemble on its own draws."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .losses import Loss, ranking
from .network import DomainNetwork

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

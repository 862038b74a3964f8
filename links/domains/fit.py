"""Trains a domain network on standardised pairs: Adam on batches, a loss for each kind of target."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .network import DomainNetwork
from .task import Form, sigmoid, softmax

_DECAY = 1e-3
_LONGEST_STEP = 5.0


@dataclass(frozen=True)
class FitSettings:
    """How a network is trained.

    Attributes:
        steps: how many batches.
        batch: rows of a batch.
        rate: Adam's step at first; it falls to a tenth.
    """

    steps: int = 300
    batch: int = 64
    rate: float = 1e-2


def fit(
    network: DomainNetwork,
    inputs: Array,
    targets: Array,
    loss: "Loss",
    settings: FitSettings,
    random: np.random.Generator,
) -> None:
    """Trains in place; the same seed gives the same weights.

    Args:
        network: goes on from where it is.
        inputs: standardised (n, inputs), n at least 1.
        targets: standardised (n, outputs).
        loss: what is made small.
        settings: how.
        random: draws the batches.
    """
    adam = Adam(network.shape.size)
    for step in range(settings.steps):
        rows = random.integers(len(inputs), size=min(settings.batch, 4 * len(inputs)))
        passed = network.forward(inputs[rows])
        rate = settings.rate * (1.0 - 0.9 * step / settings.steps)
        adam.step(network.weights, network.gradient(passed, loss(passed.predicted, targets[rows]).slope), rate)


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


@dataclass(frozen=True)
class Graded:
    """A loss and its gradient.

    Attributes:
        each: float64 (n,): the loss of each row.
        slope: float64 (n, outputs): the gradient of the mean loss by what was predicted.
    """

    each: Array
    slope: Array


Loss = Callable[[Array, Array], Graded]
"""From the prediction and the target, both standardised (n, outputs)."""


def loss_of(form: Form) -> Loss:
    """The loss for a kind of target: cross-entropy with soft labels for classes, squared differences for numbers."""
    return {"label": cross_entropy, "multilabel": binary_cross_entropy}.get(form.output.kind, squared)


def cross_entropy(predicted: Array, wanted: Array) -> Graded:
    """Of logits with the probabilities of other logits."""
    p, q = softmax(predicted), softmax(wanted)
    each = -(q * np.log(np.maximum(p, 1e-12))).sum(axis=1)
    return Graded(each, (p - q) / len(predicted))


def binary_cross_entropy(predicted: Array, wanted: Array) -> Graded:
    """Of log-odds with the probabilities of other log-odds, mean over the classes."""
    q = sigmoid(wanted)
    each = (np.logaddexp(0.0, predicted) - q * predicted).mean(axis=1)
    return Graded(each, (sigmoid(predicted) - q) / predicted.size)


def squared(predicted: Array, wanted: Array) -> Graded:
    """Half the squared difference, mean over the numbers."""
    wrong = predicted - wanted
    return Graded(0.5 * np.square(wrong).mean(axis=1), wrong / predicted.size)

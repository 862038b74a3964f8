"""A small network in numpy with its own gradient: a link is a few matrix products, also where it is trained.

One hidden layer of tanh beside a straight line from inputs to outputs. Neither has a region without a gradient, so no
start is dead (a ReLU of width 2 with inputs that are never negative starts dead in every fourth draw). Where a link
learns on a device's or site's own machine, this needs no training framework there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from ...outputs import Array

HIDDEN = 24
LOSS_HIDDEN = 12


@dataclass(frozen=True)
class Shape:
    """The sizes of a `DomainNetwork`.

    Attributes:
        inputs: how many numbers it reads.
        outputs: how many it predicts.
        hidden: how many hidden units.
        members: how many networks of an ensemble are held side by side.
        variance: whether it predicts a variance beside each number.
        loss_head: whether it predicts its own loss.
    """

    inputs: int
    outputs: int
    hidden: int = HIDDEN
    members: int = 1
    variance: bool = False
    loss_head: bool = False

    @cached_property
    def parts(self) -> dict[str, tuple[int, int, int]]:
        """The weights' shapes by name."""
        m, i, h, o = self.members, self.inputs, self.hidden, self.outputs
        parts = {"first": (m, i, h), "first_bias": (m, 1, h), "second": (m, h, o), "skip": (m, i, o), "bias": (m, 1, o)}
        if self.variance:
            parts |= {"spread": (m, h, o), "spread_bias": (m, 1, o)}
        if self.loss_head:
            k = LOSS_HIDDEN
            parts |= {"rank": (m, h, k), "rank_bias": (m, 1, k), "rank_out": (m, k, 1)}
        return parts

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each part lies."""
        found, start = {}, 0
        for name, shape in self.parts.items():
            found[name] = slice(start, start + math.prod(shape))
            start += math.prod(shape)
        return found

    @property
    def size(self) -> int:
        """How many weights."""
        return sum(math.prod(shape) for shape in self.parts.values())


_WIDEST = 5.0


@dataclass(frozen=True)
class Passed:
    """A forward pass.

    Attributes:
        inputs: float64 (members, n, inputs).
        hidden: float64 (members, n, hidden).
        mean: float64 (members, n, outputs): what is predicted.
        log_variance: of the same shape; None if the network has none.
    """

    inputs: Array
    hidden: Array
    mean: Array
    log_variance: Array | None


class DomainNetwork:
    """An ensemble of such networks, all weights in one vector.

    Args:
        shape: the sizes.
        weights: float64 (`shape.size`,); used as it is, not copied.
    """

    def __init__(self, shape: Shape, weights: Array) -> None:
        assert weights.shape == (shape.size,), "the caller has checked the size"
        self.shape = shape
        self.weights = weights
        self.parts = _views(shape, weights)

    @classmethod
    def initial(cls, shape: Shape, random: np.random.Generator) -> Self:
        """An untrained one: its prediction is near 0, its hidden units bend at different places."""
        network = cls(shape, np.zeros(shape.size))
        parts = network.parts
        parts["first"][:] = random.normal(0.0, 1.0 / np.sqrt(shape.inputs), parts["first"].shape)
        parts["first_bias"][:] = random.uniform(-1.0, 1.0, parts["first_bias"].shape)
        parts["second"][:] = random.normal(0.0, 0.1 / np.sqrt(shape.hidden), parts["second"].shape)
        if shape.loss_head:
            parts["rank"][:] = random.normal(0.0, 1.0 / np.sqrt(shape.hidden), parts["rank"].shape)
            parts["rank_out"][:] = random.normal(0.0, 0.3, parts["rank_out"].shape)
        return network

    def copy(self) -> "DomainNetwork":
        """The same with weights of its own."""
        return DomainNetwork(self.shape, self.weights.copy())

    def forward(self, inputs: Array) -> Passed:
        """What it predicts.

        Args:
            inputs: standardised, (n, inputs) for all members or (members, n, inputs).
        """
        parts = self.parts
        each = np.broadcast_to(inputs, (self.shape.members, *inputs.shape[-2:]))
        hidden = np.tanh(each @ parts["first"] + parts["first_bias"])
        mean = hidden @ parts["second"] + each @ parts["skip"] + parts["bias"]
        log_variance = None
        if self.shape.variance:
            log_variance = _WIDEST * np.tanh((hidden @ parts["spread"] + parts["spread_bias"]) / _WIDEST)
        return Passed(each, hidden, mean, log_variance)

    def gradient(self, passed: Passed, mean: Array, log_variance: Array | None) -> Array:
        """The gradient of all weights (`shape.size`,), from that of what was predicted; the loss head's is 0."""
        found = np.zeros(self.shape.size)
        to, parts = _views(self.shape, found), self.parts
        hidden_t, inputs_t = passed.hidden.transpose(0, 2, 1), passed.inputs.transpose(0, 2, 1)
        back = mean @ parts["second"].transpose(0, 2, 1)
        to["second"][:], to["skip"][:], to["bias"][:] = hidden_t @ mean, inputs_t @ mean, mean.sum(1, keepdims=True)
        if log_variance is not None and passed.log_variance is not None:
            inner = log_variance * (1.0 - np.square(passed.log_variance / _WIDEST))
            to["spread"][:], to["spread_bias"][:] = hidden_t @ inner, inner.sum(1, keepdims=True)
            back = back + inner @ parts["spread"].transpose(0, 2, 1)
        bent = back * (1.0 - np.square(passed.hidden))
        to["first"][:], to["first_bias"][:] = inputs_t @ bent, bent.sum(1, keepdims=True)
        return found

    def predicted_loss(self, passed: Passed) -> Array:
        """The loss it expects of each input (members, n), in no unit: only the order counts (TPAMI, "Loss prediction").

        It reads the hidden units through a layer of its own, so it is no line in the prediction.
        """
        return np.asarray((self._rank_hidden(passed) @ self.parts["rank_out"])[:, :, 0])

    def rank_gradient(self, passed: Passed, expected: Array) -> Array:
        """The gradient of the loss head's weights alone, from that of `predicted_loss` (members, n)."""
        found = np.zeros(self.shape.size)
        to, hidden, out = _views(self.shape, found), self._rank_hidden(passed), expected[:, :, None]
        to["rank_out"][:] = hidden.transpose(0, 2, 1) @ out
        bent = (out @ self.parts["rank_out"].transpose(0, 2, 1)) * (1.0 - np.square(hidden))
        to["rank"][:], to["rank_bias"][:] = passed.hidden.transpose(0, 2, 1) @ bent, bent.sum(1, keepdims=True)
        return found

    def _rank_hidden(self, passed: Passed) -> Array:
        return np.asarray(np.tanh(passed.hidden @ self.parts["rank"] + self.parts["rank_bias"]))


def _views(shape: Shape, weights: Array) -> Mapping[str, Array]:
    return {name: weights[shape.slices[name]].reshape(size) for name, size in shape.parts.items()}

"""A small network in numpy with its own gradient: a link is a few matrix products, also where it is trained.

One hidden layer of tanh beside a straight line from inputs to outputs. Neither has a region without a gradient, so no
start is dead (a ReLU of width 2 with inputs that are never negative starts dead in every fourth draw). Where a link
learns at a site, on a machine of its own, this needs no training framework there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from ...outputs import Array

HIDDEN = 24


@dataclass(frozen=True)
class Shape:
    """The sizes of a `DomainNetwork`.

    Attributes:
        inputs: how many numbers it reads.
        outputs: how many it predicts.
        hidden: how many hidden units.
    """

    inputs: int
    outputs: int
    hidden: int = HIDDEN

    @cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """The weights' shapes by name, in the order in which they lie in one vector."""
        i, h, o = self.inputs, self.hidden, self.outputs
        return {"first": (i, h), "first_bias": (h,), "second": (h, o), "skip": (i, o), "bias": (o,)}

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
        """How many weights there are."""
        return sum(map(math.prod, self.parts.values()))


@dataclass(frozen=True)
class Passed:
    """A forward pass.

    Attributes:
        inputs: float64 (n, inputs).
        hidden: float64 (n, hidden).
        predicted: float64 (n, outputs).
    """

    inputs: Array
    hidden: Array
    predicted: Array


class DomainNetwork:
    """The network; all its weights lie in one vector, which travels, is averaged, and is trained in place.

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
        return network

    def forward(self, inputs: Array) -> Passed:
        """What it predicts from standardised inputs (n, inputs)."""
        parts = self.parts
        hidden = np.tanh(inputs @ parts["first"] + parts["first_bias"])
        return Passed(inputs, hidden, hidden @ parts["second"] + inputs @ parts["skip"] + parts["bias"])

    def gradient(self, passed: Passed, slope: Array) -> Array:
        """The gradient of all weights (`shape.size`,), from that of what was predicted (n, outputs)."""
        found = np.zeros(self.shape.size)
        to = _views(self.shape, found)
        to["second"][:], to["skip"][:], to["bias"][:] = passed.hidden.T @ slope, passed.inputs.T @ slope, slope.sum(0)
        bent = (slope @ self.parts["second"].T) * (1.0 - np.square(passed.hidden))
        to["first"][:], to["first_bias"][:] = passed.inputs.T @ bent, bent.sum(0)
        return found


def _views(shape: Shape, weights: Array) -> Mapping[str, Array]:
    return {name: weights[shape.slices[name]].reshape(size) for name, size in shape.parts.items()}

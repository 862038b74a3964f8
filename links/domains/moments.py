"""How many, mean and spread of numbers: what sites tell of their outputs, so that all standardise alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np

from ...outputs import Array

_LEAST_STD = 1e-3


@dataclass(frozen=True)
class Standard:
    """Numbers brought to mean 0 and deviation 1, and back.

    Attributes:
        mean: float64 (length,).
        std: float64 (length,), above 0.
    """

    mean: Array
    std: Array

    @classmethod
    def plain(cls, length: int) -> Self:
        """Leaves numbers as they are."""
        return cls(np.zeros(length), np.ones(length))

    def apply(self, numbers: Array) -> Array:
        """Standardised."""
        return np.asarray((numbers - self.mean) / self.std)

    def undo(self, standard: Array) -> Array:
        """As they were."""
        return np.asarray(standard * self.std + self.mean)

    def part(self, columns: slice) -> "Standard":
        """Of some columns only."""
        return Standard(self.mean[columns], self.std[columns])


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of many rows of numbers; merging gives exactly those of all rows together.

    Attributes:
        count: how many rows.
        mean: float64 (length,).
        squares: float64 (length,): the sum of squared differences from the mean.
    """

    count: int
    mean: Array
    squares: Array

    @classmethod
    def of(cls, numbers: Array) -> Self:
        """Those of rows (n, length), n at least 1."""
        mean = numbers.mean(axis=0, dtype=np.float64)
        return cls(len(numbers), mean, np.square(numbers - mean).sum(axis=0))

    def merged(self, other: "Moments") -> "Moments":
        """Those of both together (Chan, Golub, LeVeque)."""
        count = self.count + other.count
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        squares = self.squares + other.squares + step**2 * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @property
    def standard(self) -> Standard:
        """What standardises these rows; a column that never changes is only centred."""
        std = np.sqrt(self.squares / self.count)
        return Standard(self.mean, np.where(std > _LEAST_STD, std, 1.0))


def pool(moments: Iterable[Moments]) -> Moments:
    """All of them together."""
    return reduce(Moments.merged, moments)

"""Means of agreements that are seen now and then, while old ones count less and less: arrays of any shape."""

import numpy as np

from ...outputs import Array

KEPT = 0.8
"""What is left of an observation's weight after each period. With profiles of some 35 inputs a period; see
docs/BENCHMARKS.md for others."""
PRIOR_WEIGHT = 20.0
"""How many observations what was measured in training counts as."""


class Discounted:
    """A discounted Beta posterior of each of many agreements (spec of MLink's re-selection, our 7.4).

    Args:
        prior: what each is taken to be before anything is seen, from 0 to 1.
        weight: how many observations that counts as; it is not forgotten.
    """

    def __init__(self, prior: Array, *, weight: float = PRIOR_WEIGHT) -> None:
        self.prior = np.asarray(prior, np.float64)
        self.weight = weight
        self.sums = np.zeros_like(self.prior)
        self.counts = np.zeros_like(self.prior)

    def add(self, where: tuple[Array, ...], agreements: Array) -> None:
        """Takes observations, each of the agreement that its indices name; one may be named many times."""
        np.add.at(self.sums, where, agreements)
        np.add.at(self.counts, where, 1.0)

    def forget(self, kept: float = KEPT) -> None:
        """A period is over."""
        self.sums *= kept
        self.counts *= kept

    def means(self, prior: Array | None = None) -> Array:
        """The posterior means, of `prior` if it has moved since."""
        prior = self.prior if prior is None else prior
        return np.asarray((self.weight * prior + self.sums) / (self.weight + self.counts))

    def pooled(self, prior: Array | None = None) -> Array:
        """The same, where the agreements of a row have much in common: what is seen of some moves the others too.

        A row as a whole is moved first, by the mean of what was seen of it less what was expected there; each of its
        agreements is then moved from there by what was seen of itself.
        """
        prior = self.prior if prior is None else prior
        surprise = (self.sums - self.counts * prior).sum(axis=-1, keepdims=True)
        moved = prior + surprise / (self.weight + self.counts.sum(axis=-1, keepdims=True))
        return self.means(np.clip(moved, 0.0, 1.0))

"""The latest labelled inputs of a stream: what an online link learns from again, and no more than so many."""

import numpy as np

from ...outputs import Array


class ReplayBuffer:
    """A ring of the latest labels; the oldest goes first, as on a stream that drifts it is the least true.

    Args:
        capacity: how many it holds at most.
        inputs: numbers of an input.
        targets: numbers of a target.
    """

    def __init__(self, capacity: int, inputs: int, targets: int) -> None:
        self.capacity = capacity
        self.came = 0
        self._inputs = np.empty((capacity, inputs))
        self._targets = np.empty((capacity, targets))
        self._losses = np.empty(capacity)

    def chances(self, half_lives_labels: tuple[float, ...]) -> Array:
        """How likely each label it holds is to be drawn (half-lives, n): half as likely for so many labels older."""
        held = len(self)
        newest = (self.came - 1) % self.capacity
        age = (newest - np.arange(held)) % self.capacity if held else np.zeros(0)
        chances = 0.5 ** (age[None] / np.asarray(half_lives_labels)[:, None])
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))

    def __len__(self) -> int:
        """How many it holds."""
        return min(self.came, self.capacity)

    def add(self, inputs: Array, targets: Array, losses: Array) -> None:
        """Takes labelled inputs in, in their order.

        Args:
            inputs: (n, inputs).
            targets: (n, targets).
            losses: (n,): the link's loss on each before it learnt from it; NaN if there was no link yet.
        """
        places = (self.came + np.arange(len(inputs)))[-self.capacity :] % self.capacity
        last = len(places)
        if last:
            self._inputs[places], self._targets[places] = inputs[-last:], targets[-last:]
            self._losses[places] = losses[-last:]
        self.came += len(inputs)

    @property
    def inputs(self) -> Array:
        """The inputs it holds (n, inputs)."""
        return self._inputs[: len(self)]

    @property
    def targets(self) -> Array:
        """Their targets (n, targets)."""
        return self._targets[: len(self)]

    @property
    def losses(self) -> Array:
        """Their losses (n,)."""
        return self._losses[: len(self)]

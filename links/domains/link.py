"""A link across domains: what it is for, how it standardises, and its network; learnt in numpy."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ...outputs import Array
from .fit import FitSettings, fit, loss_of
from .moments import Moments, Standard
from .network import DomainNetwork
from .task import LinkTask, Pairs

ROUND_FIT = FitSettings(steps=60)
_ROUNDS = 12
_PATIENCE = 4


@dataclass(frozen=True)
class DomainLink:
    """Predicts a target's numbers from its sources' numbers.

    Attributes:
        task: what it is for.
        of_inputs: how the sources' numbers are standardised.
        of_targets: how the target's are.
        network: of `task.shape`.
    """

    task: LinkTask
    of_inputs: Standard
    of_targets: Standard
    network: DomainNetwork

    @classmethod
    def start(cls, task: LinkTask, moments: Moments, *, seed: int) -> Self:
        """An untrained one.

        Args:
            task: what it is for.
            moments: of inputs and targets side by side; all sites' pooled, where sites are to share a network.
            seed: of the weights.
        """
        standard = moments.standard
        of_targets = standard.part(slice(task.inputs, None))
        if not task.form.is_number:
            of_targets = Standard.plain(task.form.length)
        network = DomainNetwork.initial(task.shape, np.random.default_rng(seed))
        return cls(task, standard.part(slice(task.inputs)), of_targets, network)

    def with_weights(self, weights: Array) -> "DomainLink":
        """The same with other weights, which are copied."""
        network = DomainNetwork(self.task.shape, np.array(weights, np.float64))
        return DomainLink(self.task, self.of_inputs, self.of_targets, network)

    def predict(self, inputs: Array) -> Array:
        """The target's numbers (n, length) from the sources' (n, inputs)."""
        return self.of_targets.undo(self.network.forward(self.of_inputs.apply(inputs)).predicted)

    def agreement(self, pairs: Pairs) -> float:
        """Mean agreement with the targets."""
        return float(self.task.form.agreements(self.predict(pairs.inputs), pairs.targets).mean())

    def learn(self, pairs: Pairs, settings: FitSettings, random: np.random.Generator) -> None:
        """Trains in place."""
        standard = self.of_inputs.apply(pairs.inputs), self.of_targets.apply(pairs.targets)
        fit(self.network, *standard, loss_of(self.task.form), settings, random)

    def loss(self, pairs: Pairs) -> float:
        """The mean loss."""
        predicted = self.network.forward(self.of_inputs.apply(pairs.inputs)).predicted
        return float(loss_of(self.task.form)(predicted, self.of_targets.apply(pairs.targets)).each.mean())


def moments_of(pairs: Pairs) -> Moments:
    """Of inputs and targets side by side."""
    return Moments.of(np.concatenate([pairs.inputs, pairs.targets], axis=1))


def learn_link(
    task: LinkTask, train: Pairs, validation: Pairs, *, seed: int, settings: FitSettings = ROUND_FIT
) -> DomainLink:
    """A link learnt on one block, stopped when it no longer helps on another.

    Args:
        task: what it is for.
        train: what is learnt from.
        validation: what it is stopped on.
        seed: of everything random.
        settings: of each of at most 12 rounds.
    """
    random = np.random.default_rng(seed + 1)
    link = DomainLink.start(task, moments_of(train), seed=seed)
    best, weights, worse = np.inf, link.network.weights.copy(), 0
    for _ in range(_ROUNDS):
        link.learn(train, settings, random)
        reached = link.loss(validation)
        worse = 0 if reached < best else worse + 1
        if reached < best:
            best, weights = reached, link.network.weights.copy()
        if worse >= _PATIENCE:
            break
    return link.with_weights(weights)

"""The selection problem where links have one source each and cost nothing, and one budget binds: as one matrix."""

from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .selection import SelectionProblem


@dataclass(frozen=True)
class Pairs:
    """What each model gives to each other, beyond what is free, and what it takes.

    Attributes:
        gains: what the link from one model to another adds to the objective, at least 0; on the diagonal what running
            the model itself adds to it: float (source, target).
        costs: what each model takes of the budget that binds: float (models,).
        limit: that budget.
        runnable: which models fit at all, each alone: bool (models,).
        constant: the objective where nothing runs.
        fewest: from how many running models on the gains are true; fewer have no ensemble's gain.
    """

    gains: Array
    costs: Array
    limit: float
    runnable: Array
    constant: float
    fewest: int

    @staticmethod
    def suit(problem: SelectionProblem) -> bool:
        """Whether the problem is one of these."""
        single = (problem.ways.sources.sum(axis=1) <= 1).all()
        return bool(single and not problem.link_costs.any() and _binding(problem).sum() <= 1)

    @classmethod
    def of(cls, problem: SelectionProblem) -> "Pairs":
        """The problem as one matrix.

        Raises:
            InvalidInput: it has links from several sources, links that cost, or two budgets that bind.
        """
        if not cls.suit(problem):
            raise InvalidInput(
                'this takes links from one source each that cost nothing, and one budget that binds: use method "milp"'
            )
        ways, count, binding = problem.ways, len(problem.names), _binding(problem)
        values = problem.assisted(ways.values, 2)
        of, members = np.nonzero(ways.sources)
        alone = ~ways.sources.any(axis=1)
        floor = problem.free.copy()
        np.maximum.at(floor, ways.targets[alone], values[alone])
        reached = np.tile(floor, (count, 1))
        np.maximum.at(reached, (members, ways.targets[of]), values[of])
        np.fill_diagonal(reached, problem.executed)
        return cls(
            problem.weights * (reached - floor),
            problem.costs[binding][0] if binding.any() else np.zeros(count),
            float(problem.limits[binding][0]) if binding.any() else 0.0,
            problem.runnable,
            float(problem.weights @ floor),
            2 if problem.ensemble_gain else 0,
        )

    def value(self, chosen: Array) -> float:
        """The objective of what runs, bool (models,); of fewer than `fewest` it may be less."""
        linked = self.gains[chosen].max(axis=0, initial=0.0)
        return self.constant + float(np.where(chosen, self.gains.diagonal(), linked).sum())

    def filled(self, chosen: Array, order: Array) -> Array:
        """These models and, one after another in this order of places, each further one that fits: bool (models,)."""
        chosen = chosen.copy()
        left = self.limit - float(self.costs[chosen].sum())
        for index in order:
            if not chosen[index] and self.runnable[index] and self.costs[index] <= left:
                chosen[index] = True
                left -= float(self.costs[index])
        return chosen

    def exchanged(self, chosen: Array) -> Array:
        """The same after exchanges of one model for another, the best of all each time, while that gains.

        What then still fits is added: bool (models,).
        """
        value = self.value(chosen)
        while chosen.any():
            inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen & self.runnable)
            values = np.stack([self._instead(chosen, int(out), outside) for out in inside])
            if not values.size or values.max() <= value + 1e-12:
                break
            out, into = np.unravel_index(int(values.argmax()), values.shape)
            trial = chosen.copy()
            trial[inside[out]], trial[outside[into]] = False, True
            trial = self.filled(trial, np.argsort(-self.gains.sum(axis=1), kind="stable"))
            if (reached := self.value(trial)) <= value:
                break
            chosen, value = trial, reached
        return chosen

    def _instead(self, chosen: Array, out: int, outside: Array) -> Array:
        """The objective with each of the models outside in the place of one that runs; -inf where it does not fit."""
        rest = chosen.copy()
        rest[out] = False
        own = self.gains.diagonal()
        kept = np.where(rest, own, self.gains[rest].max(axis=0, initial=0.0))
        reached = np.where(rest, kept, np.maximum(kept, self.gains[outside]))
        reached[np.arange(len(outside)), outside] = own[outside]
        fits = self.costs[outside] <= self.limit - float(self.costs[rest].sum())
        return np.where(fits, self.constant + reached.sum(axis=1), -np.inf)


def _binding(problem: SelectionProblem) -> Array:
    """Which budgets the models could exceed together: bool (resources,)."""
    return np.asarray(problem.of_kind("sum", "peak") & (problem.costs.sum(axis=1) > problem.limits))

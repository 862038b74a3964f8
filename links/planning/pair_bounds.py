"""How good the selections within parts of the search can be: the Lagrangian bounds of many nodes at once."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .pairs import Pairs

_PATIENCE = 6
_MOMENTUM = 0.5
_AVERAGED = 0.2
_TINY = 1e-300


@dataclass(frozen=True)
class Nodes:
    """Parts of the search: what runs in all selections of each, and what is open there.

    Attributes:
        runs: bool (nodes, models).
        open: bool (nodes, models).
        prices: of each model's answer, where the bound is looked for first: float (nodes, models).
    """

    runs: Array
    open: Array
    prices: Array


@dataclass(frozen=True)
class Bounds:
    """What was found of each node.

    Attributes:
        most: no selection of the node gains more: float (nodes,).
        prices: where that was found: float (nodes, models).
        worth: what the bound loses at least if an open model runs (< 0), or does not (> 0): float (nodes, models).
        parts: how much of each open model the relaxed problem takes, about: float (nodes, models).
    """

    most: Array
    prices: Array
    worth: Array
    parts: Array


def bound_nodes(pairs: Pairs, nodes: Nodes, known: float, steps: int) -> Bounds:
    """The bounds, at prices moved by subgradients until they are no higher than a known gain, or for some steps.

    As in `lagrangian.py`: "one answer for each model" is priced, the models' worth at these prices is put into the
    knapsack, cut where it is full. What runs has its own gain as its price, and all others have at least
    what those that run reach for them.

    Args:
        pairs: the problem.
        nodes: its parts.
        known: a gain over `pairs.constant` that a selection reaches; no better bound than this is looked for.
        steps: how often the prices are moved.
    """
    part = _Part.of(pairs, nodes)
    prices = np.where(nodes.runs, part.floors, np.maximum(nodes.prices, part.floors))
    count = len(prices)
    reach, waited = np.ones(count), np.zeros(count, np.int64)
    most, best = np.full(count, np.inf), prices.copy()
    worth, parts, move = np.zeros(part.costs.shape), np.zeros(part.costs.shape), np.zeros_like(prices)
    for step in range(steps):
        bounds, reduced, taken, slope = part.at(prices)
        better = bounds < most
        most = np.where(better, bounds, most)
        best[better], worth[better] = prices[better], reduced[better]
        parts += (taken - parts) * (_AVERAGED if step else 1.0)
        if (np.minimum(most, part.ceilings) <= known).all():
            break
        waited = np.where(better, 0, waited + 1)
        reach = np.where(waited == _PATIENCE, reach / 2, reach)
        waited %= _PATIENCE
        move = slope + _MOMENTUM * move
        free = np.where(nodes.runs | (prices <= part.floors) & (move > 0), 0.0, move)
        length = reach * np.maximum(bounds - known, 0.0) / np.maximum((free * free).sum(axis=1), _TINY)
        prices = np.maximum(prices - length[:, None] * free, part.floors)
    return part.bounds(most, best, worth, parts)


@dataclass(frozen=True)
class _Part:
    """The nodes' open models alone, as many places as the node with most has.

    Attributes:
        models: which model is at each place: int (nodes, places).
        valid: whether one is: bool (nodes, places).
        gains: float (nodes, places, targets); none to what runs.
        own: what each adds to its own answer: float (nodes, places).
        costs: float (nodes, places).
        room: what is left of the budget: float (nodes, 1).
        floors: what running models reach for each target, their own gain for themselves: float (nodes, targets).
        ceilings: what is gained where each target has the best answer it can have: float (nodes,).
    """

    models: Array
    valid: Array
    gains: Array
    own: Array
    costs: Array
    room: Array
    floors: Array
    ceilings: Array

    @classmethod
    def of(cls, pairs: Pairs, nodes: Nodes) -> "_Part":
        places = max(int(nodes.open.sum(axis=1).max()), 1)
        models = np.argsort(~nodes.open, axis=1, kind="stable")[:, :places]
        own = pairs.gains.diagonal()
        floors = np.where(nodes.runs, own, np.where(nodes.runs[:, :, None], pairs.gains, 0.0).max(axis=1))
        gains = np.where(nodes.runs[:, None, :], -np.inf, pairs.gains[models])
        valid = np.take_along_axis(nodes.open, models, axis=1)
        return cls(
            models,
            valid,
            gains,
            own[models],
            pairs.costs[models],
            pairs.limit - np.where(nodes.runs, pairs.costs, 0.0).sum(axis=1, keepdims=True),
            floors,
            np.maximum(floors, np.where(valid[:, :, None], gains, -np.inf).max(axis=1)).sum(axis=1),
        )

    def at(self, prices: Array) -> tuple[Array, Array, Array, Array]:
        """Bounds (nodes,), worth less the budget's price and what is taken (nodes, places), slopes (nodes, targets)."""
        links = self.gains - prices[:, None, :]
        np.maximum(links, 0.0, out=links)
        # A model that runs gives its own answer, even where that is worth less than its price.
        beyond = self.own - np.take_along_axis(prices, self.models, axis=1)
        worth = np.where(self.valid, links.sum(axis=2) + np.minimum(beyond, 0.0), 0.0)
        gains = np.maximum(worth, 0.0)
        ratio = gains / np.maximum(self.costs, _TINY)
        order = np.argsort(-ratio, axis=1)
        costs = np.take_along_axis(self.costs, order, axis=1)
        before = np.cumsum(costs, axis=1) - costs
        parts = np.clip((self.room - before) / np.maximum(costs, _TINY), 0.0, 1.0)
        parts[before + costs <= self.room] = 1.0
        taken = np.empty_like(parts)
        np.put_along_axis(taken, order, parts, axis=1)
        taken *= gains > 0
        price = np.where(taken < 1.0, ratio, 0.0).max(axis=1, initial=0.0)
        # Not a product of matrices: that would wake all of BLAS's threads.
        answers = np.einsum("np,npt->nt", taken, links > 0) + self.spread(taken * (beyond <= 0))
        bounds = prices.sum(axis=1) + (taken * gains).sum(axis=1)
        return bounds, np.where(self.valid, worth - price[:, None] * self.costs, 0.0), taken, 1.0 - answers

    def bounds(self, most: Array, prices: Array, worth: Array, parts: Array) -> Bounds:
        """The best that was found, no higher than the ceiling; `worth` and `parts` are (nodes, places)."""
        lower = np.minimum(most, self.ceilings)
        # What the bound loses counts only as far as it falls below the ceiling.
        worth = np.sign(worth) * np.maximum(np.abs(worth) - (most - lower)[:, None], 0.0)
        return Bounds(lower, prices, self.spread(worth), self.spread(parts))

    def spread(self, values: Array) -> Array:
        """What stands at the open models' places, at the models', 0 elsewhere: (nodes, places) to (nodes, models)."""
        found = np.zeros_like(self.floors)
        np.put_along_axis(found, self.models, np.where(self.valid, values, 0.0), axis=1)
        return found

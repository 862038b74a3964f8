"""How good any selection can be, and what no better one can hold: the Lagrangian bound that gaps are stated by."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .selection import SelectionProblem

_STEPS = 200
_ROUND_EVERY = 5
_TINY = 1e-300


@dataclass(frozen=True)
class Reduction:
    """A bound, and what it rules out.

    Attributes:
        chosen: the best selection known: bool (models,).
        bound: no selection has a higher value.
        models: which models a selection better than the one known can run: bool (models,).
        needed: which of them it must run: bool (models,).
        ways: which links it can use: bool (ways,).
    """

    chosen: Array
    bound: float
    models: Array
    needed: Array
    ways: Array


def reduce_problem(problem: SelectionProblem, known: Array) -> Reduction:
    """Bounds the problem, and rules out what only selections up to a known value hold.

    "One answer for each model" is priced instead of demanded. What links are then worth beyond the price is credited to
    their sources, in equal parts (a link is used at most as much as each of them, so at most as much as on average),
    and the knapsack of the models, cut where it is full, is the bound. Prices are moved by subgradients.

    Args:
        problem: what is chosen from.
        known: a selection that was found, bool (models,); better ones are looked for at the prices on the way.
    """
    search = _Prices(problem)
    best = search.at(np.zeros(len(problem.names)))
    prices, reach, waited = best.prices, 1.0, 0
    chosen, value = known, problem.value(known)
    for step in range(_STEPS):
        now = search.at(prices)
        if step % _ROUND_EVERY == 0 and (other := problem.value(rounded := search.rounded(now))) > value:
            chosen, value = rounded, other
        waited += 1
        if now.bound < best.bound - 1e-12:
            best, waited = now, 0
        if waited == 10:
            reach, waited, now = reach / 2, 0, best
        square = float(now.slope @ now.slope)
        if square < 1e-12 or best.bound <= value + 1e-9:
            break
        prices = np.maximum(now.prices - reach * (now.bound - value + 1e-6) / square * now.slope, 0.0)
    return best.reduction(problem, chosen, value)


@dataclass(frozen=True)
class _Priced:
    """The bound at some prices: of each model's answer, and of what the binding budget holds.

    Attributes:
        prices: of each model's answer, float (models,).
        slope: of the bound in the prices.
        bound: the value.
        credited: what each model that runs is worth, with its part of the links: float (models,).
        worth: the same less what it takes at the budget's price: float (models,).
        links: what each link gains less its target's price: float (ways,).
    """

    prices: Array
    slope: Array
    bound: float
    credited: Array
    worth: Array
    links: Array

    def reduction(self, problem: SelectionProblem, chosen: Array, value: float) -> Reduction:
        """What costs so much at these prices that the bound falls to what is known."""
        room = self.bound - value
        lost = np.where(problem.runnable, np.maximum(-self.worth, 0.0), np.inf)
        needy = np.where(problem.ways.sources, lost, 0.0).max(axis=1, initial=0.0)
        ways = np.maximum(-self.links, 0.0) + needy < room
        return Reduction(chosen, self.bound, lost < room, problem.runnable & (self.worth >= room), ways)


class _Prices:
    """Finds the bound at any prices.

    Args:
        problem: what is chosen from.
    """

    def __init__(self, problem: SelectionProblem) -> None:
        ways = problem.ways
        self.count = len(problem.names)
        self.targets = ways.targets
        self.of, self.members = np.nonzero(ways.sources)
        sizes = ways.sources.sum(axis=1)
        self.parts = 1.0 / np.maximum(sizes, 1)[self.of]
        self.alone = sizes == 0
        self.gains = problem.weights[ways.targets] * (ways.values - problem.free[ways.targets])
        self.executed = problem.weights * (problem.executed - problem.free)
        self.runnable = problem.runnable
        self.costs, self.limits = problem.costs, problem.limits
        self.constant = float(problem.weights @ problem.free)

    def at(self, prices: Array) -> _Priced:
        links = self.gains - prices[self.targets]
        useful = np.maximum(links, 0.0)
        credit = np.bincount(self.members, self.parts * useful[self.of], self.count)
        worth = np.where(self.runnable, self.executed - prices + credit, -1.0)
        taken, added, price, costs = self._knapsack(worth)
        bound = self.constant + float(prices.sum()) + added + float(useful[self.alone].sum())
        used = np.bincount(self.of, self.parts * taken[self.members], len(links)) + self.alone
        answers = taken + np.bincount(self.targets, np.where(links > 0, used, 0.0), self.count)
        return _Priced(prices, 1.0 - answers, bound, worth, worth - price * costs, links)

    def rounded(self, priced: _Priced) -> Array:
        """What fits of the models that are worth most for what they take, one after another: bool (models,)."""
        shares = (self.costs / np.maximum(self.limits, _TINY)[:, None]).sum(axis=0)
        left, chosen = self.limits.copy(), np.zeros(self.count, bool)
        useful = np.flatnonzero(self.runnable & (priced.credited > 0))
        for index in useful[np.argsort(-priced.credited[useful] / np.maximum(shares[useful], _TINY), kind="stable")]:
            if (self.costs[:, index] <= left).all():
                chosen[index] = True
                left -= self.costs[:, index]
        return chosen

    def _knapsack(self, worth: Array) -> tuple[Array, float, float, Array]:
        """What is taken, in parts, of the tightest budget; what that adds; the budget's price; and whose costs."""
        gains = np.maximum(worth, 0.0)
        least = (worth > 0).astype(np.float64), float(gains.sum()), 0.0, np.zeros(self.count)
        for costs, limit in zip(self.costs, self.limits, strict=True):
            ratio = gains / np.maximum(costs, _TINY)
            order = np.argsort(-ratio, kind="stable")
            before = np.cumsum(costs[order]) - costs[order]
            parts = np.clip((limit - before) / np.maximum(costs[order], _TINY), 0.0, 1.0)
            parts[costs[order] <= 0] = 1.0
            taken = np.zeros(self.count)
            taken[order] = np.where(gains[order] > 0, parts, 0.0)
            added = float(taken @ gains)
            if added < least[1]:
                cut = order[parts < 1.0]
                least = taken, added, float(ratio[cut[0]]) if len(cut) else 0.0, costs
        return least

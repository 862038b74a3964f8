"""The exact selection by looking at every set: for up to 18 models and any kind of budget."""

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .all_sets import MOST_MODELS, spread, sums
from .selection import Selection, SelectionProblem
from .ways import UNUSED

_EPS = 1e-12
_MOST_SETS = 3000


def enumerate_sets(problem: SelectionProblem) -> Selection:
    """The best of all sets that fit; of equals the one that takes least of the budgets.

    A set whose links all fit beside it has its value at once. Where they do not, that value bounds what the set can
    reach: such sets are tried from the highest bound down until none can be better. Only where thousands promise
    nearly the same does it stop before, and says by how much the best could be better.

    Raises:
        InvalidInput: there are more than 18 models.
    """
    count = len(problem.names)
    if count > MOST_MODELS:
        raise InvalidInput(
            f"every set can be looked at for up to {MOST_MODELS} models; there are {count}: use `select`"
        )
    sets = np.arange(1 << count)
    totals = [sums(row) for row in problem.costs]
    fits = np.ones(len(sets), bool)
    for index in np.flatnonzero(~problem.runnable):
        fits &= sets >> index & 1 == 0
    together, added = problem.of_kind("sum", "peak"), problem.of_kind("sum")
    for index in np.flatnonzero(together):
        fits &= totals[index] <= problem.limits[index]
    left = [
        limit - total if joined else np.full(len(sets), limit)
        for limit, total, joined in zip(problem.limits, totals, together, strict=True)
    ]
    bounds, taken = _bounds(problem, sets, left)
    bounds = np.where(fits, bounds, UNUSED)
    whole = np.ones(len(sets), bool)
    for index in np.flatnonzero(added):
        whole &= taken[index] <= left[index]
    # Ties: the one that takes the smallest share of the budgets.
    shares = sum(
        (total / max(limit, 1e-300) for total, limit in zip(totals, problem.limits, strict=True)), np.zeros(len(sets))
    )
    order = np.lexsort((shares, -np.round(bounds, 12)))
    best, value, gap, tried = 0, UNUSED, 0.0, 0
    for mask in order:
        if bounds[mask] <= value + _EPS:
            break
        if tried == _MOST_SETS:
            gap = float(bounds[mask]) - value
            break
        tried += not whole[mask]
        reached = float(bounds[mask]) if whole[mask] else problem.value(_members(int(mask), count))
        if reached > value + _EPS:
            best, value = int(mask), reached
    return problem.selection(_members(best, count), gap=gap, method="enumeration")


def _members(mask: int, count: int) -> Array:
    return np.asarray(mask >> np.arange(count) & 1, bool)


def _bounds(problem: SelectionProblem, sets: Array, left: list[Array]) -> tuple[Array, list[Array]]:
    """Each set's value if all links that fit one by one fit together, and what they take of each resource."""
    count, ways = len(problem.names), problem.ways
    codes = ways.sources @ (1 << np.arange(count))
    running = np.zeros(len(sets), np.int64)
    for index in range(count):
        running += sets >> index & 1
    bounds = np.zeros(len(sets))
    taken = [np.zeros(len(sets)) for _ in left]
    for own in range(count):
        best = np.full(len(sets), UNUSED)
        rows = ways.targets == own
        np.maximum.at(best, codes[rows], ways.values[rows])
        spread(best)
        if problem.ensemble_gain:
            best = np.where(running >= 2, problem.assisted(best, 2), best)
        executed = sets >> own & 1 == 1
        gains = np.where(executed, 0.0, np.maximum(best - problem.free[own], 0.0))
        for costs, room in zip(problem.link_costs, left, strict=True):
            if costs[own]:
                gains[costs[own] > room] = 0.0
        for index, costs in enumerate(problem.link_costs):
            if costs[own]:
                taken[index] += costs[own] * (gains > 0)
        bounds += problem.weights[own] * np.where(executed, problem.executed[own], problem.free[own] + gains)
    return bounds, taken

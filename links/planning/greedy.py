"""Selection where no solver is at hand: greedy by gain and by gain for cost, the best single model, then swaps."""

import numpy as np

from ...outputs import Array
from .lagrangian import Reduction, reduce_problem
from .selection import Selection, SelectionProblem

_EPS = 1e-12
_MOST_SWAPS = 50


def greedy(problem: SelectionProblem, *, swaps: bool = True) -> Selection:
    """A good choice in a moment, and by how much the best could be better.

    The best of: adding what gains most, adding what gains most for its share of the budgets, and the best single
    model. With one budget and outputs that are as good as their best single source, that is at
    least (1 - 1/e) / 2 = 0.316 of the optimum; the gap stated is of this very instance (the Lagrangian bound), usually
    far closer, and holds for any links.

    Args:
        problem: what is chosen from.
        swaps: whether the choice is then improved: by exchanges of one for one, and what the bound's prices suggest.
    """
    chosen, reduction = approximate(problem, swaps=swaps)
    gap = reduction.bound - problem.value(chosen)
    return problem.selection(chosen, gap=gap if gap > _EPS else 0.0, method="greedy")


def approximate(problem: SelectionProblem, *, swaps: bool = True) -> tuple[Array, Reduction]:
    """`greedy` as bool (models,), with what the bound it is measured by rules out, and suggests."""
    shares = (problem.costs / np.maximum(problem.limits, 1e-300)[:, None]).sum(axis=0)
    starts = [_grow(problem, np.zeros(len(problem.names), bool), by) for by in (None, np.maximum(shares, 1e-9))]
    chosen = max([*starts, *_singles(problem)], key=problem.value)
    if swaps:
        chosen = _swapped(problem, chosen)
    reduction = reduce_problem(problem, chosen)
    return (reduction.chosen if swaps else chosen), reduction


def _singles(problem: SelectionProblem) -> list[Array]:
    each = np.eye(len(problem.names), dtype=bool)
    found: list[Array] = [row for row in each if problem.fits(row)]
    return [np.zeros(len(problem.names), bool), *([max(found, key=problem.value)] if found else [])]


def _grow(problem: SelectionProblem, chosen: Array, shares: Array | None) -> Array:
    """Adds one model after another while one fits and gains."""
    chosen = chosen.copy()
    while True:
        fits = _further(problem, chosen)
        if not fits.any():
            return chosen
        gains = _gains(problem, chosen, problem.ways.added(chosen))
        score = np.where(fits, gains if shares is None else gains / shares, -np.inf)
        if gains[best := int(score.argmax())] <= _EPS:
            return chosen
        chosen[best] = True


def _further(problem: SelectionProblem, chosen: Array) -> Array:
    """Which further models fit, each alone beside those that run: bool (models,)."""
    total = problem.costs @ chosen
    return np.asarray((problem.costs + total[:, None] <= problem.limits[:, None]).all(axis=0) & ~chosen)


def _gains(problem: SelectionProblem, chosen: Array, added: Array) -> Array:
    """What each further model would add to the objective: float (models,)."""
    now = np.where(chosen, problem.executed, problem.reached(chosen))
    then = np.maximum(np.maximum(added, problem.ways.best(chosen)), problem.free)
    then[:, chosen] = problem.executed[chosen]
    np.fill_diagonal(then, problem.executed)
    return np.asarray((then - now) @ problem.weights)


def _swapped(problem: SelectionProblem, chosen: Array) -> Array:
    """The same after exchanges of one model for what then gains most, as long as that helps."""
    value = problem.value(chosen)
    for _ in range(_MOST_SWAPS):
        trials = []
        for own in np.flatnonzero(chosen):
            rest = chosen.copy()
            rest[own] = False
            trials += [_grow(problem, trial, None) for trial in _exchanged(problem, rest, int(own))]
        better = max(trials, key=problem.value, default=chosen)
        if (reached := problem.value(better)) <= value + _EPS:
            return chosen
        chosen, value = better, reached
    return chosen


def _exchanged(problem: SelectionProblem, rest: Array, out: int) -> list[Array]:
    """What is left with the one further model that gains most, other than the one that went, if one fits."""
    fits = _further(problem, rest)
    fits[out] = False
    if not fits.any():
        return []
    trial = rest.copy()
    trial[int(np.where(fits, _gains(problem, rest, problem.ways.added(rest)), -np.inf).argmax())] = True
    return [trial]

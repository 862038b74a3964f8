"""MLink's own rule, kept beside ours for comparison: models by falling activation probability (section 3)."""

import numpy as np

from ...outputs import Array
from .selection import Selection, SelectionProblem


def activation_probability(links: Array, costs: Array) -> Array:
    """How much each model is to run: P_i = (1 + P1_i - P2_i) / (w c_i), with w = 2 / min c, in [0, 1].

    P1_i is how well i predicts the others on average, P2_i how well the others predict i. Models that cost nothing
    come first, at infinity.

    Args:
        links: performance of each link alone, float (source, target); the diagonal is not read.
        costs: of each model, float (models,).
    """
    count = len(costs)
    if count == 1:
        return np.ones(1)
    off = np.where(np.eye(count, dtype=bool), 0.0, links)
    as_source, as_target = off.sum(axis=1) / (count - 1), off.sum(axis=0) / (count - 1)
    scaled = costs / (costs[costs > 0].min() if (costs > 0).any() else 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(scaled > 0, (1 + as_source - as_target) / (2 * scaled), np.inf)
    return np.asarray(found)


def paper_rule(problem: SelectionProblem, *, skip: bool, resource: int = 0) -> Selection:
    """Adds models by falling activation probability until the budgets are reached.

    The paper leaves open what becomes of the first model that does not fit: here the rule stops there, or skips it
    and tries the next ones. Where no link is used, what is free counts as the performance. Nothing is known of how
    far from the best it is: the gap is what is left to 1.

    Args:
        problem: what is chosen from; links from one source count, as in the paper.
        skip: whether a model that does not fit is skipped; else the rule stops.
        resource: whose costs the rule divides by: its place among the problem's; 0 of none counts each model as 1.
    """
    count = len(problem.names)
    costs = problem.costs[resource] if len(problem.costs) else np.ones(count)
    order = np.argsort(-activation_probability(pairwise(problem), costs), kind="stable")
    chosen = np.zeros(count, bool)
    for index in order:
        chosen[index] = True
        if not problem.fits(chosen):
            chosen[index] = False
            if not skip:
                break
    method = "paper, skip" if skip else "paper, stop"
    highest = float(problem.weights @ np.maximum(problem.executed, 1.0))
    return problem.selection(chosen, gap=highest - problem.value(chosen), method=method)


def pairwise(problem: SelectionProblem) -> Array:
    """What each source alone reaches for each target, what is free where it has no link: float (source, target)."""
    ways = problem.ways
    found = np.tile(problem.free, (len(problem.names), 1))
    rows = np.flatnonzero(ways.sources.sum(axis=1) == 1)
    np.maximum.at(found, (ways.sources[rows].argmax(axis=1), ways.targets[rows]), ways.values[rows])
    return found

"""Selection by looking at every set, for up to 18 models: what the planner's own selection is compared with.

With it what makes problems: from tables, and the paper's simulation, whose ensembles reach more than their best part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from infilink.errors import InvalidInput
from infilink.links.planning.all_sets import MOST_MODELS, subset_maxima, subset_sums
from infilink.links.planning.resource import Resource
from infilink.links.planning.selection import Selection, SelectionProblem
from infilink.links.planning.ways import UNUSED, Ways
from infilink.links.planning.weights import shares
from infilink.links.table import NEVER, Table
from infilink.outputs import Array


def tables_problem(
    tables: Mapping[str, Table], resources: Sequence[Resource], *, weights: Mapping[str, float] | None = None
) -> SelectionProblem:
    """What was measured as a problem; weights are 1 where they are not named."""
    names = tuple(sorted(tables))
    ordered = [tables[name] for name in names]
    free = np.asarray([table.free(NEVER).measured.validation for table in ordered])
    ways = Ways.of(ordered, names).at(NEVER)
    return SelectionProblem(names, shares(names, weights or {}), free, ways, tuple(resources), np.ones(len(names)))


@dataclass(frozen=True)
class EnsembleWays(Ways):
    """The paper's simulation: where two or more models run, each link reaches more, up to 1.

    `values` are with the gain: bounds by them are true, and the best of less than two models is what they overstate.

    Attributes:
        plain: the same links without the gain.
    """

    plain: Ways

    @classmethod
    def of_gain(cls, ways: Ways, gain: float) -> "EnsembleWays":
        return cls(ways.targets, ways.sources, np.maximum(ways.values, np.minimum(ways.values + gain, 1.0)), ways)

    def best(self, chosen: Array) -> Array:
        return super().best(chosen) if chosen.sum() >= 2 else self.plain.best(chosen)

    def added(self, chosen: Array) -> Array:
        # With one more there are two: what is there already gains as well.
        if chosen.any():
            return np.maximum(super().added(chosen), super().best(chosen))
        return self.plain.added(chosen)


def pairs_problem(links: Array, costs: Array, budget: float, *, ensemble_gain: float = 0.0) -> SelectionProblem:
    """The paper's own case: performances of the links between pairs, one cost per model, nothing for free.

    Args:
        links: performance, float (source, target) in [0, 1]; the diagonal is not read.
        costs: of each model, float (models,).
        budget: what all that run may cost together.
        ensemble_gain: what two or more sources reach beyond the best of them.
    """
    count = len(costs)
    names = tuple(f"m{index:03d}" for index in range(count))
    ways = Ways.of_pairs(links)
    if ensemble_gain:
        ways = EnsembleWays.of_gain(ways, ensemble_gain)
    cost = Resource("cost", budget, dict(zip(names, map(float, costs), strict=True)))
    return SelectionProblem(names, np.full(count, 1.0 / count), np.zeros(count), ways, (cost,), np.ones(count))


def enumerate_sets(problem: SelectionProblem) -> Selection:
    """The best of all sets that fit; of equals the one that takes least of the budgets.

    Raises:
        InvalidInput: there are more than 18 models.
    """
    count = len(problem.names)
    if count > MOST_MODELS:
        raise InvalidInput(f"every set can be looked at for up to {MOST_MODELS} models; there are {count}")
    sets = np.arange(1 << count)
    totals = [subset_sums(row) for row in problem.costs]
    values = _values(problem, sets)
    for total, limit in zip(totals, problem.limits, strict=True):
        values[total > limit] = UNUSED
    # Ties: the one that takes the smallest share of the budgets.
    taken = sum((t / max(limit, 1e-300) for t, limit in zip(totals, problem.limits, strict=True)), np.zeros(len(sets)))
    (best, *_) = np.lexsort((taken, -np.round(values, 12)))
    return problem.selection(np.asarray(best >> np.arange(count) & 1, bool), gap=0.0, method="enumeration")


def _values(problem: SelectionProblem, sets: Array) -> Array:
    """Each set's value: float (sets,)."""
    count = len(problem.names)
    plain = problem.ways.plain if isinstance(problem.ways, EnsembleWays) else problem.ways
    codes = plain.sources @ (1 << np.arange(count))
    running = sum((sets >> index & 1 for index in range(count)), np.zeros(len(sets), np.int64))
    values = np.zeros(len(sets))
    for own in range(count):
        rows = plain.targets == own
        reached = np.full(len(sets), problem.free[own])
        for ways, where in ((plain, running < 2), (problem.ways, running >= 2)):
            best = np.full(len(sets), UNUSED)
            np.maximum.at(best, codes[rows], ways.values[rows])
            reached = np.where(where, np.maximum(reached, subset_maxima(best)), reached)
        values += problem.weights[own] * np.where(sets >> own & 1 == 1, problem.executed[own], reached)
    return values

"""What no plan can exceed, and resident sets worth trying: the plan's problem as a selection, time priced."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..table import NEVER
from .lagrangian import reduce_problem
from .problem import Problem
from .resource import Resource
from .selection import SelectionProblem
from .ways import UNUSED, Ways

_CLASSES = 4
_PRICES = (0.25, 1.0, 4.0)


@dataclass(frozen=True)
class Relaxed:
    """A bound and starts.

    Attributes:
        bound: no plan's value is higher.
        starts: resident sets, bool (models,) each.
    """

    bound: float
    starts: Sequence[Array]


def relax(problem: Problem, ways: Ways, free: Array, price: float) -> Relaxed:
    """Bounds a plan's value by selections in which a model that is not resident has the turns that suit it best.

    Plans are told apart by how large the largest rotating model is (some classes of sizes): residents then leave at
    least the smallest such room, and no larger model rotates. Time has a price instead of a limit. A link from several
    sources is taken to work from each alone; a target's value with a set of sources is taken to be that with its best
    source and all that are no better. So each is a `SelectionProblem`, and the highest of their bounds, each at its
    best price, bounds all plans.

    Args:
        problem: what is chosen from.
        ways: its links, values (ways, BUCKETS).
        free: what is reached without links, float (models, BUCKETS).
        price: of all time there is for turns, about what it is worth per share of real time.
    """
    memory = np.asarray(problem.memory, np.float64)
    fitting = np.unique(memory[memory <= problem.budget_bytes])
    edges = [
        (0.0, 0.0),
        *((float(part[0]), float(part[-1])) for part in np.array_split(fitting, _CLASSES) if len(part)),
    ]
    room = problem.options.max_load_share * problem.options.max_at_once
    hopes = np.maximum(ways.hopes(), ways.best(np.zeros(len(memory), bool)))
    bounds, starts = [], []
    for smallest, largest in edges:
        within = []
        for factor in _PRICES if largest else _PRICES[:1]:
            relaxed = _selection(problem, hopes, free, price * factor, (memory <= largest) & (largest > 0), smallest)
            reduction = reduce_problem(relaxed, np.zeros(len(memory), bool))
            within.append(reduction.bound + price * factor * room)
            starts.append(reduction.chosen)
        bounds.append(min(within))
    return Relaxed(max(bounds), starts)


def _selection(
    problem: Problem, hopes: Array, free: Array, price: float, rotates: Array, left: float
) -> SelectionProblem:
    """The selection in which `rotates`, bool (models,), may have turns, and `left` bytes stay free."""
    weights = np.asarray(problem.weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.where(weights > 0, price * problem.turn_shares / weights, np.inf if price else 0.0)
    extra = np.where(rotates, problem.turn_gains[:, None] - paid, -np.inf)

    def worth(values: Array) -> Array:
        """At most what each target is worth at these agreements by age: (..., models, BUCKETS) to (..., models)."""
        turns = np.moveaxis(values @ problem.ages.T, -1, 0)
        turns = turns + extra.reshape(len(extra), *(1,) * (values.ndim - 2), len(weights))
        return np.asarray(np.maximum(turns.max(axis=0, initial=-np.inf), values[..., NEVER]))

    hoped = np.where(hopes > UNUSED, hopes, free)
    alone = worth(hoped)
    # A set's best source and all that are no better, at each age the best of them.
    order = np.argsort(alone, axis=0, kind="stable")
    climbed = np.maximum.accumulate(np.take_along_axis(hoped, order[:, :, None], axis=0), axis=0)
    reached = np.empty_like(alone)
    np.put_along_axis(reached, order, worth(climbed), axis=0)
    sizes = dict(zip(problem.names, map(float, problem.memory), strict=True))
    memory = Resource("memory_bytes", problem.budget_bytes - left, sizes)
    base = worth(free)
    pairs = Ways.of_pairs(reached)
    useful = pairs.values > base[pairs.targets]
    pairs = Ways(pairs.targets[useful], pairs.sources[useful], pairs.values[useful])
    return SelectionProblem(problem.names, weights, base, pairs, (memory,), problem.fresh)

"""The exact choice of what runs: every resident set that fits, every refresh time, every set worth rotating."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..outputs import Array
from ..process import ModelCost
from .table import BUCKETS, MARGIN, NEVER, Table, bucket_bounds_s

MOST_MODELS = 18
_EPS = 1e-9


@dataclass(frozen=True)
class Found:
    """The best choice: which models stay, which rotate, how often, and its weighted mean agreement (validation)."""

    resident: tuple[str, ...]
    rotating: tuple[str, ...]
    refresh_s: float
    value: float


@dataclass(frozen=True)
class Problem:
    """What is chosen from, in arrays over the models' order.

    Attributes:
        names: the models.
        memory: each one's bytes.
        load_s: seconds of each run of a rotating model: its load and one inference.
        infer_s: seconds of each inference.
        weights: each one's share of the objective; they sum to 1.
        tables: what was measured for each.
        budget_bytes: the memory there is.
        max_load_share: the share of real time that rotation may take.
        audit_gain: what it is worth that a model runs at all, in its agreement.
        refresh_choices_s: the refresh times to choose from.
    """

    names: tuple[str, ...]
    memory: tuple[int, ...]
    load_s: tuple[float, ...]
    infer_s: tuple[float, ...]
    weights: tuple[float, ...]
    tables: tuple[Table, ...]
    budget_bytes: int
    max_load_share: float
    audit_gain: float
    refresh_choices_s: tuple[float, ...]

    @classmethod
    def of(
        cls,
        costs: Mapping[str, ModelCost],
        tables: Mapping[str, Table],
        budget_bytes: int,
        *,
        weights: Mapping[str, float],
        max_load_share: float,
        audit_gain: float,
        refresh_choices_s: Sequence[float],
    ) -> "Problem":
        """The problem in arrays, the models in the order of their names."""
        names = tuple(sorted(costs))
        total = sum(weights.get(name, 1.0) for name in names)
        return cls(
            names,
            tuple(costs[name].memory_bytes for name in names),
            tuple(costs[name].load_s + costs[name].infer_s for name in names),
            tuple(costs[name].infer_s for name in names),
            tuple(weights.get(name, 1.0) / total for name in names),
            tuple(tables[name] for name in names),
            budget_bytes,
            max_load_share,
            audit_gain,
            tuple(refresh_choices_s),
        )


def age_weights(refresh_s: float) -> Array:
    """The share of each age bucket when ages are uniform from 0 to `refresh_s`: float (BUCKETS,)."""
    bounds = [bucket_bounds_s(index) for index in range(NEVER)]
    return np.asarray([*(max(0.0, min(high, refresh_s) - low) / refresh_s for low, high in bounds), 0.0])


def solve(problem: Problem) -> Found:
    """The best choice; of equals the one with less computing, then fewer loads, then the first by names.

    Each resident set's value is bounded from above by letting everything that fits beside it rotate at no cost; sets
    are tried from the highest bound down, until no bound exceeds what was found: so the answer is exact.
    """
    memory = _sums(np.asarray(problem.memory, np.float64))
    compute = _sums(np.asarray(problem.infer_s))
    never, gains = _values(problem, memory)
    bounds = np.where(memory <= problem.budget_bytes, never + gains.sum(axis=1), -1.0)
    found = Found((), (), 0.0, -1.0)
    best: tuple[float, float, float, tuple[str, ...]] = (np.inf, np.inf, np.inf, ())
    for flat in np.argsort(-bounds, axis=None, kind="stable"):
        row, mask = divmod(int(flat), len(memory))
        if bounds[row, mask] < max(0.0, found.value - _EPS):
            break
        refresh_s = (0.0, *problem.refresh_choices_s)[row]
        rotating = _rotate(problem, gains[row, :, mask], refresh_s)
        value = float(never[mask] + gains[row, list(rotating), mask].sum())
        resident = tuple(name for index, name in enumerate(problem.names) if mask >> index & 1)
        loads = len(rotating) / refresh_s if rotating else 0.0
        key = (-round(value, 9), float(compute[mask]), loads, resident)
        if key < best:
            names = tuple(problem.names[index] for index in rotating)
            found, best = Found(resident, names, refresh_s if names else 0.0, value), key
    return found


def _sums(values: Array) -> Array:
    """The sum over each set of models: (2 ** models,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _values(problem: Problem, memory: Array) -> tuple[Array, Array]:
    """For each resident set its value without rotation, and what rotating each other model would add.

    The second is (1 + refresh choices, models, sets); it is 0 where the model is resident or does not fit beside it.
    """
    sets = np.arange(len(memory))
    value = np.zeros(len(memory))
    gains = np.zeros((1 + len(problem.refresh_choices_s), len(problem.names), len(memory)), np.float32)
    ages = np.asarray([age_weights(refresh_s) for refresh_s in problem.refresh_choices_s]).reshape(-1, BUCKETS)
    for own, (table, weight) in enumerate(zip(problem.tables, problem.weights, strict=True)):
        resident = (sets >> own & 1).astype(bool)
        promised = promises(table, problem.names, own)
        value += weight * np.where(resident, 1.0 + problem.audit_gain, promised[NEVER])
        beside = ~resident & (memory + problem.memory[own] <= problem.budget_bytes)
        gained = np.maximum(ages @ promised - promised[NEVER], 0.0) + problem.audit_gain
        gains[1:, own] = np.where(beside, weight * gained, 0.0)
    return value, gains


def _rotate(problem: Problem, gains: Array, refresh_s: float) -> tuple[int, ...]:
    """The models to rotate: all that gain, or where that takes too long the best set of them that does not."""
    able = [int(index) for index in np.flatnonzero(gains > 0)]
    room_s = problem.max_load_share * refresh_s
    if sum(problem.load_s[index] for index in able) <= room_s:
        return tuple(able)
    # Sets that no other beats in both gain and time: the exact knapsack by Nemhauser and Ullmann.
    front: list[tuple[float, float, tuple[int, ...]]] = [(0.0, 0.0, ())]
    for index in able:
        longer = [(time + problem.load_s[index], gain + float(gains[index]), (*of, index)) for time, gain, of in front]
        merged = sorted((item for item in front + longer if item[0] <= room_s), key=lambda item: (item[0], -item[1]))
        front = []
        for item in merged:
            if not front or item[1] > front[-1][1]:
                front.append(item)
    return front[-1][2]


def promises(table: Table, names: Sequence[str], own: int) -> Array:
    """What a target's table promises for each age and each set of other models that run: (BUCKETS, 2 ** models).

    Args:
        table: the target's.
        names: all models, in the order of the sets' bits.
        own: the target's place among them; whether that bit is set changes nothing.
    """
    place = {name: index for index, name in enumerate(names)}
    # The ages lie together in memory: the many sets are then walked in long runs, also for the lowest bits.
    best = np.full((1 << len(names), BUCKETS), -1.0)
    for sources, row in table.linked.items():
        if all(name in place for name in sources):
            mask = sum(1 << place[name] for name in sources)
            best[mask] = [cell.validation for cell in row]
    # A set may use any subset of itself: the best over subsets, one bit after another.
    for bit in range(len(names)):
        halves = best.reshape(-1, 2, 1 << bit, BUCKETS)
        np.maximum(halves[:, 1], halves[:, 0], out=halves[:, 1])
    free = [table.free(age) for age in range(BUCKETS)]
    merit = np.asarray([choice.merit for choice in free])
    value = np.asarray([choice.measured.validation for choice in free])
    return np.where(best - MARGIN > merit, best, value).T

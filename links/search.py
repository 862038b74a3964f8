"""The exact choice of what runs: every resident set that fits, and for every other model how often it has its turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..outputs import Array
from ..process import ModelCost
from .table import BUCKETS, MARGIN, NEVER, Table, bucket_bounds_s
from .turns import Turns

MOST_MODELS = 18
_EPS = 1e-9
_MOST_SETS = 3000


@dataclass(frozen=True)
class Found:
    """The best choice.

    Attributes:
        resident: the models that stay.
        refresh_s: for each rotating model the time between two of its turns.
        value: the weighted mean agreement (validation), `audit_gain` included.
        gap: how much better a choice that was not tried could be; 0: none is.
    """

    resident: tuple[str, ...]
    refresh_s: Mapping[str, float]
    value: float
    gap: float = 0.0


@dataclass(frozen=True)
class Problem:
    """What is chosen from, in arrays over the models' order.

    Attributes:
        names: the models.
        memory: each one's bytes.
        turn_s: seconds of each turn of a rotating model: its load and one inference.
        infer_s: seconds of each inference.
        weights: each one's share of the objective; they sum to 1.
        tables: what was measured for each.
        budget_bytes: the memory there is.
        max_load_share: the share of real time that the turns of models loaded one after another may take.
        max_at_once: how many models may have their turn at the same time, where there is room for them.
        audit_gain: what it is worth that a model runs at all, in its agreement.
        input_every_s: the time between two inputs of a stream: nothing is answered for in between, so outputs go stale
            that long however often a model could run; 0: only what is said of inputs themselves counts.
        refresh_choices_s: the refresh times to choose from.
    """

    names: tuple[str, ...]
    memory: tuple[int, ...]
    turn_s: tuple[float, ...]
    infer_s: tuple[float, ...]
    weights: tuple[float, ...]
    tables: tuple[Table, ...]
    budget_bytes: int
    max_load_share: float
    max_at_once: int
    audit_gain: float
    input_every_s: float
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
        max_at_once: int,
        audit_gain: float,
        input_every_s: float,
        refresh_choices_s: Sequence[float],
    ) -> "Problem":
        """The problem in arrays, the models in the order of their names."""
        names = tuple(sorted(costs))
        total = sum(weights.get(name, 1.0) for name in names)
        return cls(
            names,
            tuple(costs[name].memory_bytes for name in names),
            tuple(costs[name].load_s for name in names),
            tuple(costs[name].infer_s for name in names),
            tuple(weights.get(name, 1.0) / total for name in names),
            tuple(tables[name] for name in names),
            budget_bytes,
            max_load_share,
            max_at_once,
            audit_gain,
            input_every_s,
            tuple(refresh_choices_s),
        )

    @property
    def turns_s(self) -> Array:
        """How often a model's turns really come at each refresh time: never more often than inputs do."""
        return np.maximum(np.asarray(self.refresh_choices_s, np.float64), self.input_every_s)


def age_weights(refresh_s: float) -> Array:
    """The share of each age bucket when ages are uniform from 0 to `refresh_s`: float (BUCKETS,)."""
    bounds = [bucket_bounds_s(index) for index in range(NEVER)]
    return np.asarray([*(max(0.0, min(high, refresh_s) - low) / refresh_s for low, high in bounds), 0.0])


def solve(problem: Problem) -> Found:
    """The best choice; of equals the one with less computing, then fewer turns.

    A set's value is bounded from above by pricing time instead of limiting it (the Lagrangian bound); sets are tried
    from the highest bound down, until no bound exceeds what was found: so the answer is exact. Only where thousands
    of sets promise nearly the same does it stop before, and says by how much the best could be better.
    """
    memory = _sums(np.asarray(problem.memory, np.float64))
    compute = _sums(np.asarray(problem.infer_s))
    never, gains = _values(problem, memory)
    shares = np.maximum(np.asarray(problem.turn_s), 1e-6) / problem.turns_s.reshape(-1, 1)
    turns = Turns.of(shares, most=max(problem.weights) * (1 + problem.audit_gain))
    room = problem.max_load_share * _at_once(problem, memory)
    bounds = np.where(memory <= problem.budget_bytes, never + turns.bounds(gains, room), -1.0)
    order = np.lexsort((compute, -np.round(bounds, 9)))
    best, chosen, value = 0, (0,) * len(problem.names), -1.0
    gap = 0.0
    for tried, mask in enumerate(order):
        if bounds[mask] <= value + _EPS:
            break
        if tried == _MOST_SETS:
            gap = float(bounds[mask]) - value
            break
        gain, options = turns.best(gains[:, :, mask], float(room[mask]), at_least=value - float(never[mask]))
        if never[mask] + gain > value + _EPS:
            best, chosen, value = int(mask), options, float(never[mask] + gain)
    resident = tuple(name for index, name in enumerate(problem.names) if best >> index & 1)
    refresh_s = {
        name: problem.refresh_choices_s[option - 1]
        for name, option in zip(problem.names, chosen, strict=True)
        if option
    }
    return Found(resident, refresh_s, value, gap)


def _sums(values: Array) -> Array:
    """The sum over each set of models: (2 ** models,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _at_once(problem: Problem, memory: Array) -> Array:
    """How many models can have their turn at once beside each resident set, as large as they may be: (sets,)."""
    sets = np.arange(len(memory))
    free = problem.budget_bytes - memory
    largest = np.zeros(len(memory))
    for own, size in enumerate(problem.memory):
        beside = (sets >> own & 1 == 0) & (size <= free)
        largest[beside] = np.maximum(largest[beside], size)
    return np.clip(np.floor(free / np.maximum(largest, 1)), 1, problem.max_at_once)


def _values(problem: Problem, memory: Array) -> tuple[Array, Array]:
    """For each resident set its value without turns, and what turns of each other model would add.

    The second is (refresh choices, models, sets); it is 0 where the model is resident or does not fit beside it.
    """
    sets = np.arange(len(memory))
    value = np.zeros(len(memory))
    gains = np.zeros((len(problem.refresh_choices_s), len(problem.names), len(memory)), np.float32)
    ages = np.asarray([age_weights(refresh_s) for refresh_s in problem.turns_s]).reshape(-1, BUCKETS)
    for own, (table, weight) in enumerate(zip(problem.tables, problem.weights, strict=True)):
        resident = (sets >> own & 1).astype(bool)
        promised = promises(table, problem.names, own)
        fresh = _between_inputs(table, problem.input_every_s) + problem.audit_gain
        value += weight * np.where(resident, fresh, promised[NEVER])
        beside = ~resident & (memory + problem.memory[own] <= problem.budget_bytes)
        gained = np.maximum(ages @ promised - promised[NEVER], 0.0) + problem.audit_gain
        gains[:, own] = np.where(beside, weight * gained, 0.0)
    return value, gains


def _between_inputs(table: Table, input_every_s: float) -> float:
    """What a model that runs on every input reaches on average until the next one."""
    if not input_every_s:
        return 1.0
    held = np.asarray([table.free(age).measured.validation for age in range(BUCKETS)])
    return float(age_weights(input_every_s) @ held)


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

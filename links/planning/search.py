"""The exact choice of what runs: every resident set that fits, and for every other model how often it has its turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...outputs import Array
from ..table import BUCKETS, MARGIN, NEVER, STEM, Table
from .all_sets import MOST_MODELS, subset_maxima, subset_sums
from .problem import ASSUMED, Problem
from .turns import Turns

__all__ = ["MOST_MODELS", "Found", "Runs", "Search", "promises"]

Runs = Literal["always", "in turn", "never"]
_EPS = 1e-9
_MOST_SETS = 3000
# More than any agreement: what makes a turn that is asked for come first.
_ASKED = 1e3


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


class Search:
    """All resident sets of up to 18 models with their values, computed once for any number of questions.

    A set's value is bounded from above by pricing time instead of limiting it (the Lagrangian bound); sets are tried
    from the highest bound down, until no bound exceeds what was found: so the answer is exact. Only where thousands
    of sets promise nearly the same does it stop before, and says by how much the best could be better.

    Args:
        problem: what is chosen from.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        memory = subset_sums(problem.memory)
        self._never, self._gains = _values(problem, memory)
        self._turns = Turns.of(problem.turn_shares, most=max(problem.weights) * (1 + problem.options.audit_gain))
        self._room = problem.options.max_load_share * _at_once(problem, memory)
        bounds = self._never + self._turns.bounds(self._gains, self._room)
        self._bounds = np.where(memory <= problem.budget_bytes, bounds, -1.0)
        self._order = np.lexsort((subset_sums(problem.infer_s), -np.round(self._bounds, 9)))

    def best(self, *, model: str | None = None, runs: Runs | None = None) -> Found | None:
        """The best choice; of equals the one with less computing, then fewer turns.

        Args:
            model: one that is to run in a given way, whatever that costs.
            runs: how: on every input, in turn, or not at all.

        Returns:
            The choice; None if the model can't run so.
        """
        own = -1 if model is None or runs is None else self.problem.names.index(model)
        order = self._order if own < 0 else self._order[(self._order >> own & 1 == 1) == (runs == "always")]
        best, chosen, value, gap = -1, (0,) * len(self.problem.names), -1.0, 0.0
        for tried, mask in enumerate(order):
            if self._bounds[mask] < 0.0 or self._bounds[mask] <= value + _EPS:
                break
            if tried == _MOST_SETS:
                gap = float(self._bounds[mask]) - value
                break
            reached, options = self._turned(int(mask), own, runs, value)
            if reached > value + _EPS:
                best, chosen, value = int(mask), options, reached
        if gap and own < 0:
            for mask in self._special():
                reached, options = self._turned(mask, own, runs, value)
                if reached > value + _EPS:
                    best, chosen, value, gap = mask, options, reached, max(value + gap - reached, 0.0)
        return None if best < 0 else self._found(best, chosen, value, gap)

    def _turned(self, mask: int, own: int, runs: Runs | None, at_least: float) -> tuple[float, tuple[int, ...]]:
        """What a set reaches with the best turns beside it, if that is more than `at_least`, and the turns."""
        gains = self._gains[:, :, mask].astype(np.float64)
        extra = 0.0
        if own >= 0 and runs == "in turn":
            extra = _ASKED
            gains[:, own] = np.where(gains[:, own] > 0, gains[:, own] + extra, 0.0)
        elif own >= 0:
            gains[:, own] = 0.0
        never = float(self._never[mask]) - extra
        gain, options = self._turns.best(gains, float(self._room[mask]), at_least=at_least - never)
        return never + gain, options

    def _special(self) -> list[int]:
        """Sets to be no worse than, where not all were tried: the best without turns, and hold + round-robin's."""
        masks = [int(np.where(self._bounds >= 0, self._never, -1.0).argmax())]
        if self.problem.tables[0] is not ASSUMED and (held := Search(self.problem.unmeasured()).best()) is not None:
            masks.append(sum(1 << self.problem.names.index(name) for name in held.resident))
        return masks

    def _found(self, mask: int, options: Sequence[int], value: float, gap: float) -> Found:
        names, choices_s = self.problem.names, self.problem.options.refresh_choices_s
        resident = tuple(name for index, name in enumerate(names) if mask >> index & 1)
        refresh_s = {name: choices_s[option - 1] for name, option in zip(names, options, strict=True) if option}
        return Found(resident, refresh_s, value, gap)


def _at_once(problem: Problem, memory: Array) -> Array:
    """How many models can have their turn at once beside each resident set, as large as they may be: (sets,)."""
    sets = np.arange(len(memory))
    free = problem.budget_bytes - memory
    largest = np.zeros(len(memory))
    for own, size in enumerate(problem.memory):
        beside = (sets >> own & 1 == 0) & (size <= free)
        largest[beside] = np.maximum(largest[beside], size)
    return problem.at_once(memory, largest)


def _values(problem: Problem, memory: Array) -> tuple[Array, Array]:
    """For each resident set its value without turns, and what turns of each other model would add.

    The second is (refresh choices, models, sets); it is 0 where the model is resident or does not fit beside it.
    """
    sets = np.arange(len(memory))
    value = np.zeros(len(memory))
    gains = np.zeros((len(problem.options.refresh_choices_s), len(problem.names), len(memory)), np.float32)
    ages = problem.ages
    for own, (table, weight, fresh) in enumerate(zip(problem.tables, problem.weights, problem.fresh, strict=True)):
        resident = (sets >> own & 1).astype(bool)
        promised = promises(table, problem.names, own)
        value += weight * np.where(resident, fresh, promised[NEVER])
        beside = ~resident & (memory + problem.memory[own] <= problem.budget_bytes)
        gained = np.maximum(ages @ promised - promised[NEVER], 0.0) + problem.turn_gains[:, None]
        gains[:, own] = np.where(beside, weight * gained, 0.0)
    return value, gains


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
        models = [name for name in sources if name != STEM]
        if all(name in place for name in models):
            mask = sum(1 << place[name] for name in models)
            best[mask] = np.maximum(best[mask], [cell.validation for cell in row])
    # A set may use any subset of itself.
    subset_maxima(best)
    free = [table.free(age) for age in range(BUCKETS)]
    merit = np.asarray([choice.merit for choice in free])
    value = np.asarray([choice.measured.validation for choice in free])
    return np.where(best - MARGIN > merit, best, value).T

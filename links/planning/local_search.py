"""The choice of what runs among more than 18 models: many good starts, improved by single exchanges, with a gap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..table import BUCKETS, NEVER
from .all_sets import MOST_MODELS
from .paper_rule import paper_rule
from .problem import Problem
from .relaxation import relax
from .resource import Resource
from .search import Found, Runs
from .selection import SelectionProblem
from .solver import select
from .turns import Turns
from .ways import Ways

_EPS = 1e-9
_ASKED = 1e3
_MOST_TRIALS = 1500
_MOST_ASKED = 150
_MILP_TIMEOUT_S = 3.0
_IMPROVED = 3


@dataclass(frozen=True)
class _Valued:
    """A resident set with the turns beside it.

    Attributes:
        resident: bool (models,).
        options: each model's turns: 0, or 1 + a refresh choice.
        value: what is maximised.
        price: of time, per share of it.
    """

    resident: Array
    options: tuple[int, ...]
    value: float
    price: float


class LocalSearch:
    """Answers what `Search` does, for any number of models; nearly the best, with a bound on what is lost.

    Never worse than its starts: the best static selection (exact where SciPy is installed and there was time), the
    paper's rule in both variants, what the relaxation of the gap suggests, and `also`. Each has its turns chosen
    beside it, and the best of them are improved by adding, leaving out or exchanging one resident at a time.

    Args:
        problem: what is chosen from.
        also: choices to be no worse than.
    """

    def __init__(self, problem: Problem, also: Sequence[Found] = ()) -> None:
        self.problem = problem
        self._memory = np.asarray(problem.memory, np.float64)
        self._weights = np.asarray(problem.weights)
        self._ways = Ways.of(problem.tables, problem.names)
        self._free = np.asarray(
            [[table.free(age).measured.validation for age in range(BUCKETS)] for table in problem.tables]
        )
        self._fresh, self._ages, self._turn_gains = problem.fresh, problem.ages, problem.turn_gains
        self._turns = Turns.of(problem.turn_shares, most=float(self._weights.max()) * (1 + problem.options.audit_gain))
        nothing = self._valued(np.zeros(len(problem.names), bool))
        relaxed = relax(problem, self._ways, self._free, nothing.price)
        starts = [nothing, *map(self._valued, [*relaxed.starts, *self._static()]), *map(self._given, also)]
        starts.sort(key=lambda start: -start.value)
        self._best = self._polished(max(map(self._improved, starts[:_IMPROVED]), key=lambda each: each.value))
        self._bound = relaxed.bound

    def best(self, *, model: str | None = None, runs: Runs | None = None) -> Found | None:
        """The best choice found; with one model to run in a given way, the best within reach of it by exchanges.

        Args:
            model: one that is to run in a given way, whatever that costs.
            runs: how: on every input, in turn, or not at all.

        Returns:
            The choice; None if the model can't run so.
        """
        if model is None or runs is None:
            return self._found(self._best)
        own = self.problem.names.index(model)
        resident = self._best.resident.copy()
        resident[own] = runs == "always"
        # What gives room: the residents that are worth least for what they take go first.
        room = self.problem.budget_bytes - (self._memory[own] if runs == "in turn" else 0)
        rest = [int(index) for index in np.flatnonzero(resident) if index != own]
        while float(self._memory @ resident) > room and rest:
            trials = [self._valued(_without(resident, index), own, runs, fits=False) for index in rest]
            losses = [(self._best.value - t.value) / self._memory[i] for t, i in zip(trials, rest, strict=True)]
            out = rest.pop(int(np.argmin(losses)))
            resident[out] = False
        start = self._valued(resident, own, runs)
        if start.value < -_ASKED / 2:
            return None
        return self._found(self._improved(start, own, runs, most=_MOST_ASKED))

    def _found(self, valued: _Valued) -> Found:
        names, choices_s = self.problem.names, self.problem.options.refresh_choices_s
        resident = tuple(name for name, stays in zip(names, valued.resident, strict=True) if stays)
        refresh_s = {name: choices_s[o - 1] for name, o in zip(names, valued.options, strict=True) if o}
        return Found(resident, refresh_s, valued.value, max(self._bound - valued.value, 0.0))

    def _static(self) -> Iterator[Array]:
        """The best selection where nothing rotates, and the paper's."""
        problem = self.problem
        sizes = dict(zip(problem.names, map(float, problem.memory), strict=True))
        memory = Resource("memory_bytes", problem.budget_bytes, sizes)
        static = SelectionProblem(
            problem.names, self._weights, self._free[:, NEVER], self._ways.at(NEVER), (memory,), self._fresh
        )
        found = [select(static, timeout_s=_MILP_TIMEOUT_S), *(paper_rule(static, skip=skip) for skip in (False, True))]
        for selection in found:
            yield np.isin(np.asarray(problem.names), selection.chosen)

    def _given(self, found: Found) -> _Valued:
        """A choice as it is, or with better turns."""
        names, choices_s = self.problem.names, self.problem.options.refresh_choices_s
        resident = np.isin(np.asarray(names), found.resident)
        options = [1 + choices_s.index(found.refresh_s[n]) if n in found.refresh_s else 0 for n in names]
        never, gains, _ = self._parts(resident)
        turns = np.flatnonzero(options)
        value = never + float(sum(gains[options[model] - 1, model] for model in turns))
        valued = self._valued(resident)
        return valued if valued.value >= value else _Valued(resident, tuple(options), value, valued.price)

    def _parts(self, resident: Array, *, fits: bool = True) -> tuple[float, Array, float]:
        """A resident set's value without turns, what turns add (refresh choices, models), and the time there is."""
        best = self._ways.best(resident)
        promised = np.where(best >= 0, best, self._free)
        never = float(self._weights @ np.where(resident, self._fresh, promised[:, NEVER]))
        left = self.problem.budget_bytes - float(self._memory @ resident)
        beside = ~resident & (self._memory <= left) if fits else ~resident
        gained = np.maximum(self._ages @ promised.T - promised[:, NEVER], 0.0) + self._turn_gains[:, None]
        gains = np.where(beside, self._weights * gained, 0.0)
        largest = np.asarray(self._memory[beside].max(initial=0.0))
        room = self.problem.options.max_load_share * float(
            self.problem.at_once(np.asarray(self._memory @ resident), largest)
        )
        return never, gains, room

    def _valued(self, resident: Array, own: int = -1, runs: Runs | None = None, *, fits: bool = True) -> _Valued:
        never, gains, room = self._parts(resident, fits=fits)
        extra = 0.0
        if own >= 0 and runs == "in turn":
            extra = _ASKED
            gains[:, own] = np.where(gains[:, own] > 0, gains[:, own] + extra, 0.0)
        elif own >= 0:
            gains[:, own] = 0.0
        if fits and float(self._memory @ resident) > self.problem.budget_bytes:
            return _Valued(resident, (0,) * len(self._memory), -_ASKED, 0.0)
        gain, options, price = self._turns.quick(gains, room)
        return _Valued(resident, options, never + gain - extra, price)

    def _polished(self, valued: _Valued) -> _Valued:
        """The same with the best turns, where few enough models could have one for that to be found."""
        never, gains, room = self._parts(valued.resident)
        models = np.flatnonzero((gains > 0).any(axis=0))
        if len(models) > MOST_MODELS:
            return valued
        turns = Turns(self._turns.shares[:, models], self._turns.prices)
        gain, options = turns.best(gains[:, models], room, at_least=valued.value - never)
        if never + gain <= valued.value:
            return valued
        chosen = np.zeros(len(self._memory), np.int64)
        chosen[models] = options
        return _Valued(valued.resident, tuple(int(option) for option in chosen), never + gain, valued.price)

    def _improved(self, start: _Valued, own: int = -1, runs: Runs | None = None, most: int = _MOST_TRIALS) -> _Valued:
        """The same after single changes, each taken as soon as it is better, until none is or all trials are used."""
        trials, improved = 0, True
        while improved and trials < most:
            improved = False
            for resident in _neighbours(start.resident, own):
                if float(self._memory @ resident) > self.problem.budget_bytes:
                    continue
                trials += 1
                if trials >= most:
                    break
                never, gains, room = self._parts(resident)
                # At any price of time this bounds what the set can reach: most need no closer look.
                hope = never + self._turns.at_price(gains, room, start.price)
                if own < 0 and hope <= start.value + _EPS:
                    continue
                valued = self._valued(resident, own, runs)
                if valued.value > start.value + _EPS:
                    start, improved = valued, True
                    break
        return start


def _without(resident: Array, index: int) -> Array:
    rest = resident.copy()
    rest[index] = False
    return rest


def _neighbours(resident: Array, fixed: int) -> Iterator[Array]:
    """All sets with one model more, one fewer, or one exchanged for another; `fixed` stays as it is."""
    inside = [int(index) for index in np.flatnonzero(resident) if index != fixed]
    outside = [int(index) for index in np.flatnonzero(~resident) if index != fixed]
    for changed in [*((index,) for index in outside), *((index,) for index in inside)]:
        trial = resident.copy()
        trial[list(changed)] ^= True
        yield trial
    for leaves in inside:
        for comes in outside:
            trial = resident.copy()
            trial[[leaves, comes]] ^= True
            yield trial

"""The choice of what stays loaded: every resident set with each size of what rotates beside it, or the nearest ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...outputs import Array
from .all_sets import subset_sums
from .mixture import Mixture, best_mixture
from .priced import PricedRoom, Room
from .problem import Problem

_MOST_SETS = 2**18
"""All sets are looked at up to so many, of all kinds of streams together: 18 models on one kind."""
_MOST_VISITS = 60
_VISITED_SETS = 2**20
_MOST_TRIED = 200
_NEARBY_SUBSETS = 2**19
"""Where many rooms are tried, fewer sets of sources are looked at in each."""
_BOUNDED_SETS = 2**19
"""Bounds are lowered after visits as long as no more sets than that were looked at for it."""
_SAME = 1e-6


@dataclass(frozen=True)
class Found:
    """The best choice.

    Attributes:
        room: what stays loaded.
        mixture: what is done then.
        gap: how much better another choice could be; 0: none is.
    """

    room: Room
    mixture: Mixture
    gap: float

    @property
    def value(self) -> float:
        """The weighted mean agreement."""
        return self.mixture.value


def find_best(problem: Problem, *, model: int = -1, stays: bool = True) -> Found | None:
    """The best plan.

    A resident set's value is bounded from above by pricing compute and room, with links from all residents as if they
    ran for nothing; sets are tried from the highest bound down, until none exceeds what was found. So the answer is
    exact; where it is not, as there are too many sets to try, `gap` says by how much another could be better.

    Args:
        problem: what is chosen from.
        model: one that is to stay loaded, or not, whatever that costs; -1: none.
        stays: which of both.

    Returns:
        The choice; None if the model can't be loaded.
    """
    search = _AllSets if len(problem.kinds) << len(problem.names) <= _MOST_SETS else _Nearby
    return search(problem, model, stays).best()


class _AllSets:
    """Tries all resident sets, bit i of one's number standing for model i; with each, what may rotate by its size."""

    def __init__(self, problem: Problem, model: int, stays: bool) -> None:
        self.problem = problem
        self._barred = -1 if stays else model
        everything = np.arange(len(problem.names))
        self._ages = [
            [expected.by_sets(everything).astype(np.float32) for expected in of_kind] for of_kind in problem.expected
        ]
        self._memory = subset_sums(problem.memory.astype(np.float64))
        sets = np.arange(len(self._memory))
        self._inside = sets >> np.arange(len(problem.names))[:, None] & 1 == 1
        fits = self._memory <= problem.budget_bytes
        if model >= 0:
            fits &= self._inside[model] == stays
        # The largest model that may rotate; 0: none does.
        self._sizes = np.append(0, problem.turned_sizes)
        beside = self._memory + self._sizes[:, None] <= problem.budget_bytes
        self._bounds = np.where(fits & beside, np.inf, -np.inf)

    def best(self) -> Found | None:
        best, reached = None, -np.inf
        self._bound(0.0, 0.0)
        runnable = self.problem.memory <= self.problem.budget_bytes
        if self._barred < 0 and self.problem.memory[runnable].sum() <= self.problem.budget_bytes:
            # Everything fits: there is nothing to choose.
            everything = (self._inside == runnable[:, None]).all(axis=0)
            self._bounds[:, ~everything] = self._bounds[1:] = -np.inf
        for visit in range(min(_MOST_VISITS, max(4, _VISITED_SETS // (len(self._ages) * self._memory.size)))):
            row, mask = (int(at) for at in np.unravel_index(int(self._bounds.argmax()), self._bounds.shape))
            highest = float(self._bounds[row, mask])
            if highest == -np.inf or (best is not None and highest <= best.value + _SAME):
                break
            room = _room(self.problem, self._inside[:, mask], float(self._sizes[row]), self._barred)
            priced = PricedRoom(self.problem, room)
            mixture = best_mixture(self.problem, priced, at_least=-np.inf if best is None else best.value)
            if mixture is not None and ((visit + 1) * self._memory.size <= _BOUNDED_SETS or not priced.exact):
                self._bound(mixture.core_price, mixture.slot_price)
            if mixture is not None:
                top = float(self._bounds[row, mask])
                reached = max(reached, min(top, mixture.bound) if priced.exact else top)
                if best is None or mixture.value > best.value:
                    best = Found(room, mixture, 0.0)
            self._bounds[row, mask] = -np.inf
        if best is None:
            return None
        gap = max(reached, float(self._bounds.max())) - best.value
        return replace(best, gap=gap if gap > _SAME else 0.0)

    def _bound(self, core_price: float, slot_price: float) -> None:
        """Lowers the bounds to what these prices show."""
        problem = self.problem
        stays, turned, never = (np.zeros(self._inside.shape) for _ in range(3))
        for own in range(len(problem.names)):
            ages = [of_kind[own] for of_kind in self._ages]
            stays[own], turned[own], never[own] = _worth(problem, own, ages, core_price, slot_price)
        room = core_price * problem.cores
        for row, size in enumerate(self._sizes):
            rotates = (problem.memory <= size) & (np.arange(len(stays)) != self._barred)
            beside = np.where(rotates[:, None], turned, never)
            value = np.where(self._inside, stays, beside).sum(axis=0) + room
            if size:
                slots = np.minimum(np.floor((problem.budget_bytes - self._memory) / size), rotates.sum())
                value = value + slot_price * np.maximum(slots, 0.0)
            np.minimum(self._bounds[row], value, out=self._bounds[row])


def _worth(
    problem: Problem, own: int, ages: Sequence[Array], core_price: float, slot_price: float
) -> tuple[Array, Array, Array]:
    """What a model is worth with each set of models that run, loaded, in turn or never: (sets,) each.

    Args:
        problem: what is chosen from.
        own: the model.
        ages: what is expected at each age, by kind: (BUCKETS, sets).
        core_price: of a processor second in a second.
        slot_price: of room for turns.
    """
    stays, turned, never = 0.0, 0.0, 0.0
    paid = problem.loaded_prices(core_price)[:, own]
    for at, expected in enumerate(ages):
        weight, shares, turns = problem.weights[at, own], problem.loaded.shares[at], problem.turns.shares[at]
        stays = stays + (weight * (shares[:, :1] + shares[:, 1:] @ expected) - paid[at][:, None]).max(axis=0)
        turned = turned + weight * (turns[:, :1] + turns[:, 1:] @ expected)
        never = never + weight * expected[-1]
    in_turn = (turned - problem.turn_prices(core_price, slot_price)[own][:, None]).max(axis=0)
    return np.asarray(stays), np.asarray(in_turn), np.asarray(never)


def _room(problem: Problem, resident: Array, largest: float, barred: int) -> Room:
    """What is beside a resident set where what rotates takes `largest` bytes at most."""
    rotates = ~resident & (problem.memory <= largest)
    if barred >= 0:
        rotates[barred] = False
    free = problem.budget_bytes - int(problem.memory[resident].sum())
    return Room(resident, rotates, min(int(free // largest), int(rotates.sum())) if largest else 0)


class _Nearby:
    """Tries what single changes lead to, where there are too many sets: good ones, with a bound on what is lost."""

    def __init__(self, problem: Problem, model: int, stays: bool) -> None:
        self.problem = problem
        self._barred = -1 if stays else model
        self._kept = model if stays else -1

    def best(self) -> Found | None:
        """Starts from what is worth most for its memory, adds and exchanges one model at a time."""
        problem = self.problem
        resident = np.zeros(len(problem.names), bool)
        if self._kept >= 0:
            resident[self._kept] = True
            if problem.memory[self._kept] > problem.budget_bytes:
                return None
        best = self._valued(resident, None)
        assert best is not None
        tried = 0
        improved = True
        while improved and tried < _MOST_TRIED:
            improved = False
            for changed in self._neighbours(best.room.resident):
                tried += 1
                found = self._valued(changed, best)
                if found is not None and found.value > best.value + _SAME:
                    best, improved = found, True
                    break
                if tried >= _MOST_TRIED:
                    break
        gap = self._bound(best.mixture) - best.value
        return replace(best, gap=gap if gap > _SAME else 0.0)

    def _valued(self, resident: Array, beyond: Found | None) -> Found | None:
        """A resident set with what may best rotate beside it, if that is more than is known."""
        problem, best = self.problem, beyond
        free = problem.budget_bytes - int(problem.memory[resident].sum())
        beside = problem.turned_sizes[problem.turned_sizes <= free]
        # Which sizes rotate matters little: all that fit, or none.
        for largest in (int(beside.max(initial=0)), 0)[: 1 + bool(len(beside))]:
            room = _room(problem, resident, largest, self._barred)
            priced = PricedRoom(problem, room, most=_NEARBY_SUBSETS)
            if best is not None:
                limits = problem.cores, room.slots
                prices = best.mixture.core_price, best.mixture.slot_price
                hope = priced.at(*prices)[1] + prices[0] * limits[0] + prices[1] * limits[1]
                if hope <= best.value + _SAME:
                    continue
            mixture = best_mixture(problem, priced, at_least=-np.inf if best is None else best.value)
            if mixture is not None and (best is None or mixture.value > best.value):
                best = Found(room, mixture, 0.0)
        return None if best is beyond else best

    def _neighbours(self, resident: Array) -> Iterator[Array]:
        """All sets that fit with one model more, one exchanged for another, or one fewer."""
        problem = self.problem
        inside = [int(at) for at in np.flatnonzero(resident) if at != self._kept]
        outside = [int(at) for at in np.flatnonzero(~resident) if at != self._barred]
        changes = [[at] for at in outside] + [[out, at] for out in inside for at in outside] + [[out] for out in inside]
        for change in changes:
            trial = resident.copy()
            trial[change] ^= True
            if problem.memory[trial].sum() <= problem.budget_bytes:
                yield trial

    def _bound(self, mixture: Mixture) -> float:
        """What no plan exceeds: everything may be linked from, and memory has a price as compute has."""
        problem, names = self.problem, self.problem.names
        core_price, slot_price = mixture.core_price, mixture.slot_price
        stays, beside = np.zeros(len(names)), np.zeros(len(names))
        everything = np.ones((1, len(names)), bool)
        for own in range(len(names)):
            ages = [of_kind[own].of_sets(everything) for of_kind in problem.expected]
            values = _worth(problem, own, ages, core_price, slot_price)
            stays[own], beside[own] = values[0][0], values[1][0]
        fits = problem.memory <= problem.budget_bytes
        gains = np.where(fits, np.maximum(stays - beside, 0.0), 0.0)
        order = np.argsort(-gains / problem.memory)
        before = np.cumsum(problem.memory[order]) - problem.memory[order]
        parts = np.clip((problem.budget_bytes - before) / problem.memory[order], 0.0, 1.0)
        slots = min(problem.budget_bytes // int(problem.memory.min()), len(names))
        room = core_price * problem.cores + slot_price * slots
        return float(beside.sum() + parts @ gains[order] + room)

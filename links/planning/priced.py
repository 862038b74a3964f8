"""What a site does best where processor seconds and room for turns have a price: every pair chooses for itself."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .problem import Problem
from .rates import Rates

_ROUNDS = 3
ALL_SUBSETS = 2**20
"""All sets of sources are looked at up to so many times the models, of all kinds of streams together: some 200 MB; of
more, those near to all and none."""


@dataclass(frozen=True)
class Room:
    """A resident set and what is beside it.

    Attributes:
        resident: which models stay loaded: bool (models,).
        rotates: which may take turns beside them: bool (models,).
        slots: how many of these are loaded at once.
    """

    resident: Array
    rotates: Array
    slots: int


@dataclass(frozen=True)
class Policy:
    """What a site does at some prices.

    Attributes:
        value: the weighted mean agreement.
        cores: processor seconds taken in a second.
        slots: room for turns taken.
        sources: by kind which models run on every input and are linked from: bool (kinds, models).
        runs_per_s: how often each pair runs: float (kinds, models).
        loads_per_s: how often each model is loaded: float (models,).
        agreements: of each pair, weighted: float (kinds, models).
    """

    value: float
    cores: float
    slots: float
    sources: Array
    runs_per_s: Array
    loads_per_s: Array
    agreements: Array


class PricedRoom:
    """One resident set with all that its pairs could do, for any number of prices.

    Args:
        problem: what is chosen from.
        room: the resident set.
        most: how many pairs of a set of sources and a model are looked at, of all kinds of streams together.

    Attributes:
        exact: whether all sets of sources are looked at.
    """

    def __init__(self, problem: Problem, room: Room, *, most: int = ALL_SUBSETS) -> None:
        self.problem = problem
        self.room = room
        self.sets, self.exact = _source_sets(room.resident, most // len(problem.kinds))
        self._stay, self._take = np.flatnonzero(room.resident), np.flatnonzero(~room.resident)
        self._sources = self.sets[:, self._stay].T
        self._all = int(self.sets.sum(axis=1).argmax())
        self._stays = self._reached(self._stay, problem.loaded)
        self._takes = self._reached(self._take, problem.turns)

    def at(self, core_price: float, slot_price: float) -> tuple[Policy, float]:
        """The best policy at these prices, and a bound: no policy's value less its price is higher.

        Turns are the same for all streams, sources are each stream's own: both are chosen one after the other. The
        bound takes turns to be linked from all residents.
        """
        kinds, take = np.arange(len(self.problem.kinds)), np.arange(len(self._take))
        paid = self.problem.loaded_prices(core_price)[:, self._stay]
        net = self._stays - paid[..., None]
        # A source runs on every input, which is the first choice.
        own = np.where(self._sources, net[:, :, 0], net.max(axis=2)).sum(axis=1)
        prices = self.problem.turn_prices(core_price, slot_price)[self._take]
        prices[~self.room.rotates[self._take], :-1] = np.inf
        hoped = self._takes[..., self._all].sum(axis=0) - prices
        bound = float(own.max(axis=1).sum() + hoped.max(axis=1).sum())
        turns = hoped.argmax(axis=1)
        for _ in range(_ROUNDS):
            sets = (own + self._takes[:, take, turns].sum(axis=1)).argmax(axis=1)
            turns = (self._takes[kinds, :, :, sets].sum(axis=0) - prices).argmax(axis=1)
        choices = np.where(self._sources[:, sets].T, 0, net[kinds, :, :, sets].argmax(axis=2))
        return self._policy(sets, choices, turns), bound

    def idle(self) -> Policy:
        """Nothing runs."""
        kinds, rates = len(self.problem.kinds), self.problem.loaded
        sets = np.full(kinds, int(self.sets.sum(axis=1).argmin()))
        return self._policy(
            sets, np.full((kinds, len(self._stay)), rates.never), np.full(len(self._take), self.problem.turns.never)
        )

    def _policy(self, sets: Array, choices: Array, turned: Array) -> Policy:
        problem, kinds = self.problem, np.arange(len(self.problem.kinds))
        shape = (len(kinds), len(problem.names))
        agreements, runs_per_s = np.zeros(shape), np.zeros(shape)
        stay, take = np.arange(len(self._stay)), np.arange(len(self._take))
        agreements[:, self._stay] = self._stays[kinds[:, None], stay, choices, sets[:, None]]
        agreements[:, self._take] = self._takes[kinds[:, None], take, turned, sets[:, None]]
        runs_per_s[:, self._stay] = problem.loaded.runs_per_s[kinds[:, None], choices]
        runs_per_s[:, self._take] = problem.turns.runs_per_s[:, turned]
        loads_per_s = np.zeros(len(problem.names))
        loads_per_s[self._take] = problem.turns.loads_per_s[turned]
        loading = float(problem.load_s @ loads_per_s)
        return Policy(
            float(agreements.sum()),
            float(problem.counts @ runs_per_s @ problem.infer_s) + loading,
            loading + float(problem.turns.occupied[turned].sum()),
            self.sets[sets],
            runs_per_s,
            loads_per_s,
            agreements,
        )

    def _reached(self, models: Array, rates: Rates) -> Array:
        """What models reach at each choice with each set of sources, weighted: (kinds, models, choices, sets)."""
        kinds, choices = rates.shares.shape[:2]
        reached = np.empty((kinds, len(models), choices, len(self.sets)))
        for at, of_kind in enumerate(self.problem.expected):
            ran, aged = rates.shares[at, :, :1], rates.shares[at, :, 1:]
            for place, model in enumerate(models):
                ages = of_kind[model].by_sets(self._stay) if self.exact else of_kind[model].of_sets(self.sets)
                reached[at, place] = self.problem.weights[at, model] * (ran + aged @ ages)
        return reached


def _source_sets(resident: Array, most: int) -> tuple[Array, bool]:
    """Sets of residents that run on every input, bool (sets, models), and whether these are all."""
    inside = np.flatnonzero(resident)
    if len(resident) << len(inside) <= most:
        masks = np.arange(1 << len(inside))
        sets = np.zeros((len(masks), len(resident)), bool)
        sets[:, inside] = masks[:, None] >> np.arange(len(inside)) & 1 == 1
        return sets, True
    rows = [np.zeros(len(resident), bool), resident]
    for index in inside:
        alone = np.arange(len(resident)) == index
        rows += [alone, resident & ~alone]
    return np.asarray(rows), False

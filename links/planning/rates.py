"""How often a model may run on a stream's inputs, and how old its last output is in between."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..table import AGE_EDGES_S, NEVER

EVERY = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
"""A loaded model runs on every so many inputs; what lies between is alternated."""
TURNS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""The times between two loads of a model that takes turns."""
STAYS = (0.0, 0.25, 0.5)
"""The share of that time that it stays loaded and runs on every input; 0: for one input of every stream."""


@dataclass(frozen=True)
class Rates:
    """The choices there are; the last one is never to run.

    Attributes:
        shares: how an input of each stream finds the model at each choice: it runs, or its last output has an age:
            float (streams, choices, 1 + BUCKETS), rows summing to 1.
        runs_per_s: how often it runs there: (streams, choices).
        loads_per_s: how often it is loaded: (choices,).
        occupied: the share of the time that it stays loaded after its loads: (choices,).
    """

    shares: Array
    runs_per_s: Array
    loads_per_s: Array
    occupied: Array

    @property
    def never(self) -> int:
        """The place of the last choice."""
        return len(self.loads_per_s) - 1


def loaded_rates(every_s: Sequence[float]) -> Rates:
    """The choices for a model that stays loaded, where inputs of each stream come every so many seconds."""
    shares = [[*(_shares(1.0, float(every), step_s) for every in EVERY), _never()] for step_s in every_s]
    runs = np.append(1.0 / np.asarray(EVERY), 0.0) / np.asarray(every_s)[:, None]
    return Rates(np.asarray(shares), runs, np.zeros(runs.shape[1]), np.zeros(runs.shape[1]))


@dataclass(frozen=True)
class _Turn:
    """One choice of turns: how long from one load to the next, and how long the model stays loaded."""

    cycle_s: float
    stays_s: float
    on_all: bool

    def runs(self, step_s: float) -> float:
        """On how many inputs of a stream it runs in each turn: one, or all that come while it stays."""
        return self.stays_s / step_s if self.on_all else 1.0


def turn_rates(every_s: Sequence[float]) -> Rates:
    """The choices for a model that takes turns, in each of which it runs on at least one input of every stream."""
    slowest_s = max(every_s)
    turns = [
        _Turn(max(turn_s, slowest_s), max(stay * turn_s, slowest_s), stay > 0)
        for turn_s in TURNS_S
        for stay in STAYS
        if not stay or stay * turn_s > slowest_s
    ]
    shares = [
        [*(_shares(turn.runs(step_s), turn.cycle_s / step_s, step_s) for turn in turns), _never()] for step_s in every_s
    ]
    runs = [[*(turn.runs(step_s) / turn.cycle_s for turn in turns), 0.0] for step_s in every_s]
    loads = [*(1.0 / turn.cycle_s for turn in turns), 0.0]
    occupied = [*(turn.stays_s / turn.cycle_s for turn in turns), 0.0]
    return Rates(np.asarray(shares), np.asarray(runs), np.asarray(loads), np.asarray(occupied))


def _shares(ran: float, cycle: float, every_s: float) -> Array:
    """How inputs find a model that runs on `ran` of each `cycle` inputs, one after another."""
    found = np.zeros(2 + NEVER)
    found[0] = ran / cycle
    rest = cycle - ran
    # Inputs of a cycle that is no whole number of them are as old as those of the whole ones beside it.
    ages_s = every_s * np.arange(1, int(np.ceil(rest - 1e-9)) + 1)
    parts = np.ones(len(ages_s))
    if len(parts):
        parts[-1] = rest - (len(parts) - 1)
    np.add.at(found, 1 + np.searchsorted(AGE_EDGES_S, ages_s + 1e-9, side="right"), parts / cycle)
    return found


def _never() -> Array:
    found = np.zeros(2 + NEVER)
    found[-1] = 1.0
    return found

"""What a plan is chosen from: the models, what they cost, what was measured, and the room there is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...models.cost import ModelCost
from ...outputs import Array
from ..table import ASSUMED_HELD, BUCKETS, NEVER, Measured, Table, bucket_bounds_s
from .options import SEEN_S, PlanOptions
from .weights import shares

_ASSUMED_CONSTANT = 0.3
ASSUMED = Table(Measured(_ASSUMED_CONSTANT, _ASSUMED_CONSTANT), tuple(Measured(value, value) for value in ASSUMED_HELD))
"""What is taken of a model that nothing was measured of."""
_NEVER_FITS = 2**60


@dataclass(frozen=True)
class Problem:
    """What is chosen from, in arrays over the models' order.

    Attributes:
        names: the models.
        memory: each one's bytes; of a virtual model, which can't run, more than any budget.
        turn_s: seconds of each turn of a rotating model: its load and one inference.
        infer_s: seconds of each inference.
        weights: each one's share of the objective; they sum to 1.
        tables: what was measured for each.
        budget_bytes: the memory there is.
        options: what else plans are made by.
    """

    names: tuple[str, ...]
    memory: tuple[int, ...]
    turn_s: tuple[float, ...]
    infer_s: tuple[float, ...]
    weights: tuple[float, ...]
    tables: tuple[Table, ...]
    budget_bytes: int
    options: PlanOptions

    @classmethod
    def of(
        cls,
        costs: Mapping[str, ModelCost],
        tables: Mapping[str, Table],
        budget_bytes: int,
        *,
        weights: Mapping[str, float],
        options: PlanOptions,
    ) -> "Problem":
        """The problem in arrays, the models in the order of their names; those without a cost are virtual."""
        names = tuple(sorted(tables))
        # Turns that never come take as long as the longest, so that nothing is scaled by them.
        longest_s = max((cost.load_s for cost in costs.values()), default=0.0)
        known = {name: costs.get(name, ModelCost(_NEVER_FITS, 0.0, longest_s)) for name in names}
        return cls(
            names,
            tuple(known[name].memory_bytes for name in names),
            tuple(known[name].load_s for name in names),
            tuple(known[name].infer_s for name in names),
            tuple(float(share) for share in shares(names, weights)),
            tuple(tables[name] for name in names),
            budget_bytes,
            options,
        )

    def unmeasured(self) -> "Problem":
        """The same where nothing is known: what hold + round-robin is planned by.

        Nothing is predicted there that could be seen to be wrong: turns are worth what they answer.
        """
        count = len(self.names)
        options = replace(self.options, audit_gain=0.0)
        return replace(self, weights=(1.0 / count,) * count, tables=(ASSUMED,) * count, options=options)

    @property
    def turns_s(self) -> Array:
        """How often a model's turns really come at each refresh time: never more often than inputs do."""
        return np.maximum(np.asarray(self.options.refresh_choices_s, np.float64), self.options.input_every_s)

    @property
    def ages(self) -> Array:
        """The share of each age bucket at each refresh time: float (refresh choices, BUCKETS)."""
        return np.asarray([age_weights(refresh_s) for refresh_s in self.turns_s]).reshape(-1, BUCKETS)

    @property
    def turn_shares(self) -> Array:
        """The share of real time that each model's turns take: float (refresh choices, models)."""
        return np.asarray(np.maximum(np.asarray(self.turn_s), 1e-6) / self.turns_s.reshape(-1, 1))

    @property
    def turn_gains(self) -> Array:
        """What turns are worth beside their agreement at each refresh time: float (refresh choices,)."""
        return self.seen_gains(self.turns_s)

    def seen_gains(self, turns_s: Array) -> Array:
        """The share of `audit_gain` that turns are worth which come so often."""
        often_s = max(SEEN_S, self.options.input_every_s)
        return np.asarray(self.options.audit_gain * np.minimum(1.0, often_s / turns_s))

    @property
    def fresh(self) -> Array:
        """What each model is worth that runs on every input, until the next one, `audit_gain` included."""
        worth = np.ones(len(self.names))
        if self.options.input_every_s:
            ages = age_weights(self.options.input_every_s)
            held = [[table.free(age).measured.validation for age in range(BUCKETS)] for table in self.tables]
            worth = np.asarray(held) @ ages
        return np.asarray(worth + self.options.audit_gain)

    def at_once(self, memory: Array, largest: Array) -> Array:
        """How many models may have their turn at once beside residents of `memory`, if the largest is `largest`."""
        return np.clip(np.floor((self.budget_bytes - memory) / np.maximum(largest, 1)), 1, self.options.max_at_once)


def age_weights(refresh_s: float) -> Array:
    """The share of each age bucket when ages are uniform from 0 to `refresh_s`: float (BUCKETS,)."""
    bounds = [bucket_bounds_s(index) for index in range(NEVER)]
    return np.asarray([*(max(0.0, min(high, refresh_s) - low) / refresh_s for low, high in bounds), 0.0])

"""How probably each way to answer for one target agrees on one input: what is read of it, and the weights of that."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Self

import numpy as np

from ...outputs import Array
from .logistic import SUREST, fit_logistic, log_odds

WAYS = ("held", "linked", "constant")
"""The ways to answer for a model that does not run, in the order of all arrays here."""
KNOTS_S = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0)
"""The ages at which the agreement of holding is known."""
NEVER_S = 64.0
"""The age that counts where a model never ran."""
READ = 5
"""How many numbers are read of a way: log-odds of what holding (or the constant) usually reaches, and of what this very
answer is expected to; 1; the logarithm of the last output's age; by how much more the input moved since than usual."""
PRIOR = np.asarray(
    [
        [[1.03, 0.35, -1.01, 0.04, -1.20], [1.01, 0.29, -0.88, 0.14, -0.95], [0.78, 0.27, 0.01, 0.01, -0.26]],
        [[0.87, 0.53, -1.01, 0.10, -0.64], [0.86, 0.52, -1.03, 0.27, -0.48], [0.63, 0.45, 0.04, -0.01, -0.17]],
    ]
)
"""The weights before anything was seen (from nothing or from some sources, ways, READ): what the first parts of eight
clips have in common."""
# However many cases are drawn of them: what weights are drawn to counts as so many inputs.
_PRIOR_INPUTS = 200.0
_STILL = 1e-3
_LOG_KNOTS = [math.log(age_s) for age_s in KNOTS_S]
_FEW_MOVES = 20


@dataclass(frozen=True)
class Expectation:
    """Of one target.

    Attributes:
        held: the agreement of holding at `KNOTS_S`.
        constant: that of the best constant, on inputs that it was not chosen on.
        moved: how far a stem's features usually move: its logarithm at an age of 1 s, and its slope by log age (2,).
        weights: float64 (2, ways, READ): where nothing is predicted from, and where sources are.
    """

    held: Array
    constant: float
    moved: Array
    weights: Array

    @classmethod
    def fit(
        cls,
        held: Array,
        constant: float,
        cases: Mapping[bool, "Cases"],
        *,
        inputs: int,
        prior: "Expectation | None" = None,
    ) -> Self:
        """Learns the weights.

        Args:
            held: the agreement of holding at `KNOTS_S`.
            constant: that of the best constant.
            cases: predictions whose agreement is known, from nothing (False) and from sources (True).
            inputs: of how many inputs these cases are.
            prior: what they are drawn to; None: `PRIOR`.
        """
        weights, pull = (PRIOR if prior is None else prior.weights).copy(), _PRIOR_INPUTS / inputs
        found = cls(held, constant, _usual(list(cases.values()), prior), weights)
        for told, each in cases.items():
            read = found.read(each.ages_s, each.expected, each.moved)
            for way in range(len(WAYS)):
                known = np.isfinite(each.agreements[:, way])
                towards = weights[int(told), way].copy()
                weights[int(told), way] = fit_logistic(
                    read[known, way], each.agreements[known, way], towards, pull=pull
                )
        return found

    def read(self, ages_s: Array, expected: Array, moved: Array) -> Array:
        """What is read of each way: (n, ways, READ).

        Args:
            ages_s: of the last output (n,); NaN: it never ran.
            expected: the agreement that predictions and their errors expect of each way (n, ways).
            moved: how far the stem's features moved since (n,); NaN: not known.
        """
        log_ages = np.log(np.where(np.isfinite(ages_s), np.maximum(ages_s, KNOTS_S[0]), NEVER_S))
        read = np.ones((len(ages_s), len(WAYS), READ))
        read[:, :2, 0] = np.interp(log_ages, _LOG_KNOTS, log_odds(self.held))[:, None]
        read[:, 2, 0] = log_odds(self.constant)
        read[:, :, 1] = log_odds(expected)
        read[:, :, 3] = log_ages[:, None]
        more = np.log(moved + _STILL) - self.moved[0] - self.moved[1] * log_ages
        read[:, :, 4] = np.where(np.isfinite(more), more, 0.0)[:, None]
        return read

    def log_odds(self, ages_s: Array, expected: Array, moved: Array, *, told: bool) -> Array:
        """The log-odds of agreeing, of each way (n, ways): as for `read`; `told`: whether there were sources."""
        return np.asarray((self.read(ages_s, expected, moved) * self.weights[int(told)]).sum(axis=2))

    def log_odds_of(
        self, age_s: float, expected: Sequence[float], moved: float, *, told: bool, reached: float | None = None
    ) -> list[float]:
        """The same of one input, of each way: what is called for every input, so without arrays.

        `reached`: what the constant reaches; None: what was learnt.
        """
        log_age = math.log(max(age_s, KNOTS_S[0]) if math.isfinite(age_s) else NEVER_S)
        more = 0.0
        if math.isfinite(moved):
            more = math.log(moved + _STILL) - self._plain.moved[0] - self._plain.moved[1] * log_age
        held, weights = self._plain.held_at(log_age), self._plain.weights[int(told)]
        usual = (held, held, self._plain.constant if reached is None else _log_odds(reached))
        return [
            w[0] * base + w[1] * _log_odds(each) + w[2] + w[3] * log_age + w[4] * more
            for w, base, each in zip(weights, usual, expected, strict=True)
        ]

    @cached_property
    def _plain(self) -> "_Plain":
        held = log_odds(self.held).tolist()
        return _Plain(held, float(log_odds(self.constant)), self.moved.tolist(), self.weights.tolist())

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        return {f"{prefix}.{each.name}": np.asarray(getattr(self, each.name), np.float64) for each in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self | None:
        """Reads what `as_arrays` wrote; None: an earlier version wrote none."""
        if f"{prefix}.weights" not in arrays:
            return None
        held, constant, moved, weights = (arrays[f"{prefix}.{each.name}"] for each in fields(cls))
        return cls(held, float(constant), moved, weights)


@dataclass(frozen=True)
class Cases:
    """Predictions whose agreement is known.

    Attributes:
        ages_s: of the last output (n,); NaN: it never ran.
        expected: what was expected of each way (n, ways).
        moved: how far the stem's features moved since (n,); NaN: not known.
        agreements: what each way reached (n, ways); NaN: it can't answer.
    """

    ages_s: Array
    expected: Array
    moved: Array
    agreements: Array


def _usual(cases: Sequence[Cases], prior: Expectation | None) -> Array:
    """How far features move by age, of cases with a last output."""
    moved = np.concatenate([np.zeros(0), *(each.moved for each in cases)])
    ages_s = np.concatenate([np.zeros(0), *(each.ages_s for each in cases)])
    known = np.isfinite(moved) & np.isfinite(ages_s)
    if known.sum() < _FEW_MOVES:
        return np.zeros(2) if prior is None else prior.moved
    slope, level = np.polyfit(np.log(np.maximum(ages_s[known], KNOTS_S[0])), np.log(moved[known] + _STILL), 1)
    return np.asarray([level, slope])


@dataclass(frozen=True)
class _Plain:
    """The same as plain numbers, with log-odds for shares."""

    held: list[float]
    constant: float
    moved: list[float]
    weights: list[list[list[float]]]

    def held_at(self, log_age: float) -> float:
        if log_age >= _LOG_KNOTS[-1]:
            return self.held[-1]
        at = max(1, bisect_right(_LOG_KNOTS, log_age))
        share = max(0.0, (log_age - _LOG_KNOTS[at - 1]) / (_LOG_KNOTS[at] - _LOG_KNOTS[at - 1]))
        return self.held[at - 1] + share * (self.held[at] - self.held[at - 1])


def _log_odds(share: float) -> float:
    inside = min(max(share, 1.0 - SUREST), SUREST)
    return math.log(inside / (1.0 - inside))

"""Which of the inputs it has seen an online filter asks the model's real outputs for, and with what probability."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Picks:
    """Inputs of a stretch that are to be labelled.

    Attributes:
        rows: int64, which of the stretch's inputs, rising.
        probabilities: float64, with which each of them was to be picked; 1: it was certain. 0: other inputs could not
            have been picked at all, so that it tells nothing of them.
    """

    rows: Array
    probabilities: Array


class Policy(Protocol):
    """Spends the label budget: `share` of the inputs.

    Attributes:
        name: what it is called in tables and in saved states.
        by_lot: whether its probabilities are those of a random draw; if not, they hold while the scene is the same.
    """

    name: ClassVar[str]
    by_lot: ClassVar[bool]

    def asks_at_s(self, now_s: float, *, period_s: float, share: float) -> float:
        """When, after `now_s`, it asks next; both in seconds since the stream began."""

    def eligible(self, at_s: Array, *, period_s: float, share: float) -> Array:
        """Which inputs, by seconds since the stream began, it may ask for: bool."""

    def pick(self, scores: Array, *, threshold: float, share: float, random: np.random.Generator) -> Picks:
        """What to label of the eligible inputs since it last asked; scores that are NaN were given by no network."""


class AtEnd:
    """What policies have in common that look at a whole period before they pick."""

    def asks_at_s(self, now_s: float, *, period_s: float, share: float) -> float:
        """At the end of each period."""
        return (math.floor(now_s / period_s + _ROUNDING) + 1) * period_s

    def eligible(self, at_s: Array, *, period_s: float, share: float) -> Array:
        """All."""
        return np.ones(len(at_s), bool)


class AllEligible:
    """What policies have in common that label a stretch of inputs whole."""

    def pick(self, scores: Array, *, threshold: float, share: float, random: np.random.Generator) -> Picks:
        """All; they stand for the others on the assumption that nothing changes."""
        return Picks(np.arange(len(scores)), np.full(len(scores), share))


@dataclass(frozen=True)
class Offline(AllEligible):
    """Labels all of the stream's first `stretch_s` seconds and never again: an ordinary filter."""

    name: ClassVar[str] = "offline"
    by_lot: ClassVar[bool] = False
    stretch_s: float

    def __post_init__(self) -> None:
        if not self.stretch_s > 0.0:
            raise InvalidInput(f"stretch_s must be above 0, not {self.stretch_s:g}; give the seconds to learn from")

    def asks_at_s(self, now_s: float, *, period_s: float, share: float) -> float:
        """Once."""
        return self.stretch_s if now_s < self.stretch_s else math.inf

    def eligible(self, at_s: Array, *, period_s: float, share: float) -> Array:
        """The first stretch."""
        return np.asarray(at_s < self.stretch_s)


@dataclass(frozen=True)
class Periodic(AllEligible):
    """Labels the first inputs of each period, and is updated before the others of it come."""

    name: ClassVar[str] = "periodic"
    by_lot: ClassVar[bool] = False

    def asks_at_s(self, now_s: float, *, period_s: float, share: float) -> float:
        """When `share` of a period is over."""
        return (math.floor(now_s / period_s - share + _ROUNDING) + 1 + share) * period_s

    def eligible(self, at_s: Array, *, period_s: float, share: float) -> Array:
        """The first part of each period."""
        return np.asarray(np.mod(at_s, period_s) < share * period_s)


@dataclass(frozen=True)
class Random(AtEnd):
    """Labels inputs at random."""

    name: ClassVar[str] = "random"
    by_lot: ClassVar[bool] = True

    def pick(self, scores: Array, *, threshold: float, share: float, random: np.random.Generator) -> Picks:
        """Any, all with the same probability."""
        count = round(share * len(scores))
        rows = np.sort(random.permutation(len(scores))[:count])
        return Picks(rows, np.full(count, count / max(1, len(scores))))


@dataclass(frozen=True)
class Active(AtEnd):
    """Labels the inputs that the filter is least sure of: least |score - threshold| (for REUSE: greatest 1 - theta).

    They tell nothing of the others, so no threshold can be calibrated on them.
    """

    name: ClassVar[str] = "active"
    by_lot: ClassVar[bool] = False

    def pick(self, scores: Array, *, threshold: float, share: float, random: np.random.Generator) -> Picks:
        """The least sure; of equals any."""
        rows = np.sort(_least_sure(scores, threshold, round(share * len(scores)), random))
        return Picks(rows, np.zeros(len(rows)))


@dataclass(frozen=True)
class Mixed(AtEnd):
    """Labels the least sure inputs with half of the budget, and random others with the rest.

    The two are the strata of one sample: the least sure are labelled with certainty, the others at random.
    """

    name: ClassVar[str] = "mixed"
    by_lot: ClassVar[bool] = True

    def pick(self, scores: Array, *, threshold: float, share: float, random: np.random.Generator) -> Picks:
        """Half of each; all at random while there is nothing to be sure by."""
        count = round(share * len(scores))
        if np.isnan(scores).any():
            return Random().pick(scores, threshold=threshold, share=share, random=random)
        sure = _least_sure(scores, threshold, count // 2, random)
        others = np.setdiff1d(np.arange(len(scores)), sure)
        drawn = random.permutation(others)[: count - len(sure)]
        probabilities = np.full(len(scores), len(drawn) / max(1, len(others)))
        probabilities[sure] = 1.0
        rows = np.sort(np.concatenate([sure, drawn]))
        return Picks(rows, probabilities[rows])


def _least_sure(scores: Array, threshold: float, count: int, random: np.random.Generator) -> Array:
    shuffled = random.permutation(len(scores))
    distance = np.nan_to_num(np.abs(scores - threshold))
    return np.asarray(shuffled[np.argsort(distance[shuffled], kind="stable")[:count]])


POLICIES: dict[str, type[Offline | Periodic | Random | Active | Mixed]] = {
    policy.name: policy for policy in (Offline, Periodic, Random, Active, Mixed)
}

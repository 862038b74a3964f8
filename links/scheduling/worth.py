"""What a run on one stream's input is worth: the loss it prevents now, and what later inputs gain from its answer."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...outputs import Array
from ..table import AGE_EDGES_S, ASSUMED_HELD, BUCKETS, NEVER

_LEVEL_INPUTS, _SCALE_INPUTS = 5.0, 20.0
"""The level and the steepness of what was measured before count as so many inputs beside those that came since."""
_SPREAD = 0.02
"""The variance of losses over ages by which the latter is counted."""
_STEEPEST = 3.0
_KEPT = 0.995
"""What counts of an input one input later."""
_LASTS = 3.0
"""For so many inputs lasts what is lost more than usual."""
_BELIEVED = 0.5
"""How much of what a run would spare others is believed: the best of many links looks better than it is."""
_LATELY = 0.2
"""How much of what is lost lately is believed of the last input."""
EDGES_S = np.asarray([0.25, 0.5, *AGE_EDGES_S])
"""Ages as they are told apart here: the first of those that were measured in three."""
_FIRST = 0.69, 0.91, 1.15
"""What is lost with answers of these three beside what is with all of them: outputs change at once, then slower."""
_BOUNDS_S = np.asarray([0.0, *EDGES_S, np.inf])
_LATEST_S = 32.0
"""What is gained later than that is not counted on."""
_LEAST_S = 4.0
"""Nor what is gained after more than a stream has lasted; so long it is taken to go on at least."""
_GONE_S = 3.0
"""A stream that has sent nothing for so long, or for so many of its inputs, waits for nothing."""
_PACE = 0.98
"""What counts of an input and of the time before it one input later, where the time between two is measured."""


class StreamWorth:
    """One stream: how old its answers are, and what is expected to be lost with them; arrays are by model.

    Args:
        weight: how much each model's answers matter, float (models,).
        fresh: what is expected to be lost with the best answer of each age, float (models, ages).
        linked: what is expected to be lost where another model ran on the input, float (that, models, ages and never).

    Attributes:
        ran_s: when each model last ran; long ago: never.
        joined_s: when the first input came.
        seen_s: when the last input came.
        every_s: the time between two inputs.
        fresh: as given, rising with the age; moved, and made flatter or steeper, as a whole: what only some ages
            have seen must not look like a gain of these over others.
        gain: of a run on the last input: losses prevented, by weight; 0 once the model ran.
        offered: the same, whatever ran since.
        tells_any: whether any tells of another at all.
        tells: what each model's runs spare others lately: losses an input, by weight.
        runs: how often each model ran.
        booked_s: the seconds set aside for runs that were chosen.
        frame_s: those set aside for the input itself.
    """

    def __init__(self, weight: Array, fresh: Array, linked: Array) -> None:
        count = len(weight)
        self.weight = weight
        self.fresh = self._given = np.maximum.accumulate(fresh, axis=1)
        self.gain = np.zeros(count)
        self.offered = np.zeros(count)
        self.ran_s = np.full(count, -np.inf)
        self.joined_s = np.inf
        self.seen_s = -np.inf
        self.every_s = 1.0
        # Those that came lately, and the time they took; several may come at once.
        self._passed_s, self._inputs = 1.0, 1.0
        self.runs = np.zeros(count, np.int64)
        self.booked_s: dict[int, float] = {}
        self.frame_s = 0.0
        # Of the given losses x at the ages that were seen, and what was lost y: 1, x, xx, y, xy, added up.
        self._sums = np.zeros((5, count))
        self.linked = linked
        self.tells_any = bool((linked < 1.0).any())
        self.tells = np.zeros(count)
        self._spared = np.zeros((count, count))
        self._rows, self._ones = np.arange(count), np.ones(count)
        self._joined = False
        self._lately = np.zeros(count)
        self._anew = np.ones(count, bool)

    def see(self, now_s: float, losses: Array, *, factors: Array | float = 1.0) -> Array:
        """Another input came, on which so much is lost by each model that does not run; what a run gains, (models,).

        What matters more or less on this input than on others is weighted by `factors`.
        """
        # What is not known to be right may be all wrong.
        losses = np.where(losses >= 0.0, np.minimum(losses, 1.0), np.where(losses < 0.0, 0.0, 1.0))
        # What ran on the last input needs no link on this one, either.
        waits = self.ran_s < self.seen_s if self._joined else True
        if self._joined:
            passed_s = min(max(0.0, now_s - self.seen_s), _GONE_S * max(1.0, self.every_s))
            self._passed_s, self._inputs = _PACE * self._passed_s + passed_s, _PACE * self._inputs + 1.0
            self.every_s = self._passed_s / self._inputs
        else:
            self.joined_s, self._joined = now_s, True
        self.seen_s = now_s
        ages = np.searchsorted(EDGES_S, now_s - np.maximum(self.ran_s, -1e300), side="right")
        never = self.ran_s == -np.inf
        self._learn(ages, ~never, losses)
        weight = factors * self.weight
        self.gain = weight * (losses + self._ahead(ages, never, losses))
        if self.tells_any:
            spared = losses - self.linked[:, self._rows, np.where(never, NEVER, np.maximum(ages - len(_FIRST) + 1, 0))]
            self._spared = _BELIEVED * weight * waits * np.maximum(spared, 0.0)
            told = self._spared.sum(axis=1)
            self.tells += _LATELY * (told - self.tells)
            self.gain += told
        self.offered = self.gain.copy()
        return self.gain

    def told_of(self, model: int, other: int) -> float:
        """The loss an input that a model spares another which has not run for long, by weight."""
        spared = self.fresh[other, -1] - self.linked[model, other, NEVER - 1]
        return float(_BELIEVED * self.weight[other] * max(spared, 0.0)) if self.tells_any else 0.0

    def told(self, model: int) -> None:
        """A model is to run on this input: what it tells of others need not be gained again."""
        spared = self._spared[model].copy()
        # Others may tell the same of them, and by themselves they gain so much less.
        less = np.minimum(self._spared, spared)
        self._spared -= less
        self.gain -= less.sum(axis=1) + spared
        self._spared[model] = 0.0

    def ran(self, model: int, now_s: float) -> None:
        """A model's answer is fresh."""
        self.gain[model] = 0.0
        self.ran_s[model] = now_s
        self._anew[model] = True
        self.runs[model] += 1

    def sends(self, now_s: float) -> bool:
        """Whether it still sends inputs."""
        return now_s - self.seen_s <= _GONE_S * max(1.0, self.every_s)

    def late(self, now_s: float, least_every_s: float) -> Array:
        """By how much of `least_every_s` each model has not run for longer than that; 0: it need not yet."""
        if least_every_s <= 0.0:
            return np.zeros(len(self.weight))
        unserved_s = now_s - np.maximum(self.ran_s, self.joined_s)
        result: Array = np.maximum(unserved_s / least_every_s - 1.0, 0.0) * (self.weight > 0.0)
        return result

    def _ahead(self, ages: Array, never: Array, losses: Array) -> Array:
        """What later inputs gain from a fresh answer, float (models,).

        Whittle's index of an answer that ages: they lose what answers of their age do on average, and not what is lost
        without. That is no more than what was lost lately: one high loss among others lasts for some inputs only. A
        model that never ran goes on to lose what it does now, and its first run gains most.
        """
        usual = np.where(never, losses, self.fresh[self._rows, ages])
        self._lately += np.where(self._anew, 1.0, _LATELY) * (losses - self._lately)
        self._anew[:] = False
        without = np.where(never, losses, np.minimum(usual, self._lately))
        lasts_s = min(max(self.seen_s - self.joined_s, _LEAST_S), _LATEST_S)
        bounds_s = np.minimum(_BOUNDS_S, lasts_s)
        spared = np.maximum(without[:, None] - self.fresh, 0.0) @ (bounds_s[1:] - bounds_s[:-1])
        result: Array = np.maximum(spared / self.every_s + _LASTS * (losses - usual), 0.0)
        return result

    def _learn(self, ages: Array, known: Array, losses: Array) -> None:
        """Fits what is lost by age as `level + scale * given`, drawn towards 0 and 1."""
        given = self._given[self._rows, ages]
        seen = np.array([self._ones, given, given * given, losses, given * losses])
        self._sums = np.where(known, _KEPT * self._sums + seen, self._sums)
        ones, x, xx, y, xy = self._sums
        ones, drawn = ones + _LEVEL_INPUTS, _SCALE_INPUTS * _SPREAD
        residual = y - x
        scale = 1.0 + ((xy - xx) - x * residual / ones) / (xx + drawn - x * x / ones)
        scale = np.clip(scale, 0.0, _STEEPEST)
        level = (y - scale * x) / ones
        self.fresh = np.clip(level[:, None] + scale[:, None] * self._given, 0.0, 1.0)


def fresh_losses(names: Sequence[str], measured: Mapping[str, Sequence[float]] | None) -> Array:
    """What is lost with answers of each age, float (models, ages): measured, or what is assumed of holding."""
    assumed = [1.0 - agreement for agreement in ASSUMED_HELD]
    losses = np.asarray([(measured or {}).get(name, assumed) for name in names], float)[:, : len(assumed)]
    return np.concatenate([np.minimum(losses[:, :1] * _FIRST, 1.0), losses[:, 1:]], axis=1)


def told_losses(names: Sequence[str], linked: Mapping[str, Mapping[str, Sequence[float]]] | None) -> Array:
    """What is lost of each model where another ran on the input, float (that, models, ages); 1 without a link."""
    losses = np.ones((len(names), len(names), BUCKETS))
    for source, targets in (linked or {}).items():
        for target, row in targets.items():
            if source in names and target in names:
                losses[names.index(source), names.index(target)] = row
    return losses

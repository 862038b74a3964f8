"""Sets an online filter's threshold anew from its newest labelled inputs. NumPy only."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from ...evidence import CONFIDENCE, clopper_pearson, fixed_sequence
from ...outputs import Array
from ..spec import Level

CLOSED = -1.0
_MOST = 0.5
_WINDOW_PERIODS = 8


@dataclass(frozen=True)
class Judged:
    """The labelled inputs of one stretch.

    Attributes:
        scores: float64, as they were before the filter learnt from these labels.
        needed: float64, the loss if they are skipped, 0 to 1.
        probabilities: float64, with which each was picked; 1: certain, 0: it tells nothing of the others.
        inputs: how many inputs the stretch had, labelled or not.
    """

    scores: Array
    needed: Array
    probabilities: Array
    inputs: int


class OnlineThreshold:
    """The widest threshold that the newest labelled inputs show to keep the accuracy.

    Each labelled input counts for as many as it stands for: one over its probability. What was drawn at random has
    an exact one-sided bound (Clopper-Pearson, with Kish's effective number) on the mean loss over the window itself:
    the window is what was drawn from, and losses that come in runs do no harm. That is what is promised: of the inputs
    of the window, not of those that come, of which it holds as far as they are like the window; the window ends where
    the newest stretch contradicts it. What was labelled with certainty is known, but stands under a bound as well, as
    if it were drawn. A label is judged by the score it got before the filter learnt from it: what is bounded is the
    loss of the filters in force over the window, at one threshold.

    What was not drawn at random promises nothing: its threshold is set by a bound over the runs in which losses come
    (`evidence.fixed_sequence`), and never called certified.

    Args:
        target: the mean loss over all inputs that was promised: one minus the accuracy.
        by_lot: whether the probabilities are those of a random draw; otherwise the inputs are taken for ones that the
            rest are like, and count as runs.
        window: of how many stretches it consists at most.

    Attributes:
        value: the threshold: an input is kept if its score is above; `CLOSED` while nothing is proven: all are kept.
        level: what it brings and costs by the window, and the bound.
        drifts: how often the newest stretch contradicted the window.
    """

    def __init__(self, target: float, *, by_lot: bool, window: int = _WINDOW_PERIODS) -> None:
        self.target = target
        self.by_lot = by_lot
        self.window: deque[Judged] = deque(maxlen=window)
        self.value = CLOSED
        self.level = Level(threshold=CLOSED, rate=0.0, error=0.0, upper_bound=0.0)
        self.drifts = 0

    @property
    def certified(self) -> bool:
        """Whether a bound that rests on a random draw meets the target."""
        return self.by_lot and self.value > CLOSED

    def add(self, judged: Judged) -> None:
        """Takes the labels of a stretch in and sets the threshold anew."""
        if self._least([judged], self.value) > self.target:
            self.window.clear()
            self.drifts += 1
        self.window.append(judged)
        self.set()

    def set(self) -> None:
        """Sets the threshold from the window."""
        thresholds = self._thresholds()
        # The bound rises with the threshold, so the widest that meets the target is found by bisection.
        low, high = 0, len(thresholds)
        while low < high:
            middle = (low + high) // 2
            met = self.at(float(thresholds[middle])).upper_bound <= self.target
            low, high = (middle + 1, high) if met else (low, middle)
        self.value = float(thresholds[low - 1]) if low else CLOSED
        self.level = self.at(self.value)

    def table(self, rows: int = 25) -> tuple[Level, ...]:
        """What other thresholds would bring and cost, in rising order."""
        thresholds = self._thresholds()
        wanted = np.unique(np.linspace(0, max(0, len(thresholds) - 1), rows).round().astype(int))
        return tuple(self.at(float(threshold)) for threshold in (CLOSED, *thresholds[wanted[: len(thresholds)]]))

    def at(self, threshold: float) -> Level:
        """What a threshold brings and costs by the window."""
        parts = list(self.window)
        if not parts or threshold <= CLOSED:
            return Level(threshold=threshold, rate=0.0, error=0.0, upper_bound=0.0)
        known, others = self._known(parts, threshold)
        mean, effective = _sampled(parts, _losses(parts, threshold), self._tau(parts))
        skipped = np.concatenate([part.scores for part in parts]) <= threshold
        probabilities = np.concatenate([part.probabilities for part in parts])
        share, _ = _sampled(parts, skipped.astype(np.float64), 1.0)
        inputs = sum(part.inputs for part in parts)
        return Level(
            threshold=threshold,
            rate=(float(skipped[probabilities == 1.0].sum()) + others * share) / inputs,
            error=(known.sum() + others * mean) / inputs,
            upper_bound=_upper(known, others, mean=mean, effective=effective),
        )

    def effective_inputs(self) -> float:
        """How many independent draws the labels of the window are worth."""
        parts = list(self.window)
        if not parts:
            return 0.0
        known, _ = self._known(parts, self.value)
        drawn = _sampled(parts, _losses(parts, self.value), self._tau(parts))[1]
        return drawn + len(known)

    def _thresholds(self) -> Array:
        """What is worth trying: the scores of labelled inputs that stand for others."""
        found = [part.scores[(part.probabilities > 0) & (part.scores <= _MOST)] for part in self.window]
        return np.unique(np.concatenate(found)) if found else np.empty(0)

    def _known(self, parts: list[Judged], threshold: float) -> tuple[Array, int]:
        """The losses that are certain, and how many inputs there are beside."""
        certain = np.concatenate([part.probabilities for part in parts]) == 1.0
        return _losses(parts, threshold)[certain], sum(part.inputs for part in parts) - int(certain.sum())

    def _least(self, parts: list[Judged], threshold: float) -> float:
        """A lower bound on the mean loss, as sure as the upper one."""
        known, others = self._known(parts, threshold)
        mean, effective = _sampled(parts, _losses(parts, threshold), self._tau(parts))
        right = (1.0 - mean) * effective
        lower = 1.0 - clopper_pearson(right, effective, confidence=CONFIDENCE) if effective > 0 else 0.0
        return (float(known.sum()) + others * lower) / max(1, sum(part.inputs for part in parts))

    def _tau(self, parts: list[Judged]) -> float:
        """How many labels are worth one draw where the question is decided: 1 of what was drawn at random."""
        thresholds = self._thresholds()
        if self.by_lot or not len(thresholds):
            return 1.0
        rows = np.stack([_losses(parts, float(threshold)) for threshold in thresholds])
        nearest = int(np.argmin(np.abs(rows.mean(axis=1) - self.target)))
        runs = float(fixed_sequence(rows, target=self.target, whole=_losses(parts, math.inf)).runs[nearest])
        return rows.shape[1] / runs if runs else math.inf


def provable(certain: int, drawn: int, inputs: int, *, target: float) -> bool:
    """Whether so many labels, certain ones and drawn ones, could prove that no more than `target` is lost of `inputs`.

    They could if nothing at all were lost: the bounds are then what they are below, in closed form.
    """
    parts = [part for part in ((certain, certain), (inputs - certain, drawn)) if part[0] > 0]
    confidence_left = (1.0 - CONFIDENCE) / max(1, len(parts))
    upper = sum(count * (1.0 - confidence_left ** (1.0 / worth) if worth else 1.0) for count, worth in parts)
    return upper <= target * inputs


def _upper(known: Array, others: int, *, mean: float, effective: float) -> float:
    """The bound on the mean loss: of what is known and of what was drawn, each a part of the inputs with its own."""
    parts = [(len(known), float(known.mean()), float(len(known)))] if len(known) else []
    parts += [(others, mean, effective)] if others > 0 else []
    confidence = 1.0 - (1.0 - CONFIDENCE) / max(1, len(parts))
    uppers = [
        inputs * (clopper_pearson(error * worth, worth, confidence=confidence) if worth > 0 else 1.0)
        for inputs, error, worth in parts
    ]
    return min(1.0, sum(uppers) / max(1, sum(inputs for inputs, _, _ in parts)))


def _losses(parts: list[Judged], threshold: float) -> Array:
    return np.concatenate([np.where(part.scores <= threshold, part.needed, 0.0) for part in parts])


def _sampled(parts: list[Judged], values: Array, tau: float) -> tuple[float, float]:
    """The weighted mean over what was drawn, not certain, and how many independent draws that is worth."""
    probabilities = np.concatenate([part.probabilities for part in parts])
    drawn = (probabilities > 0.0) & (probabilities < 1.0)
    if not drawn.any():
        return 0.0, 0.0
    weights = 1.0 / probabilities[drawn]
    mean = float(np.average(values[drawn], weights=weights))
    effective = float(weights.sum()) ** 2 / float((weights**2).sum()) / tau
    return mean, effective if math.isfinite(effective) else 0.0

"""Runs a candidate over a stretch of a replay in closed loop, for many thresholds at once, and what that brings."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .candidates import Candidate, EveryCandidate, OracleCandidate, RandomCandidate
from .losses import Losses
from .replay import LONGEST_S, Replay, Singles, sample_pairs
from .workload import Workload

_LEVELS = 60
_SAMPLED = 400


@dataclass(frozen=True)
class Sweep:
    """What each threshold brought over a stretch.

    Attributes:
        name: the candidate's.
        thresholds: in rising order.
        kept: bool (thresholds, inputs).
        losses: float64 (thresholds, inputs), 0 where an input was kept.
        dropped: float64 (inputs,), the losses if all but the first were dropped: they show how what can be lost comes
            together; None: the loosest threshold's do.
    """

    name: str
    thresholds: Array
    kept: Array
    losses: Array
    dropped: Array | None = None

    def within(self, part: slice) -> "Sweep":
        """The same on a part of the inputs."""
        dropped = None if self.dropped is None else self.dropped[part]
        return Sweep(self.name, self.thresholds, self.kept[:, part], self.losses[:, part], dropped)

    @property
    def rates(self) -> Array:
        """The filtering rate per threshold: the share of the inputs that was not kept."""
        return np.asarray(1.0 - self.kept.mean(axis=1))

    @property
    def errors(self) -> Array:
        """The mean loss per threshold."""
        return np.asarray(self.losses.mean(axis=1))


def sweep(
    candidate: Candidate,
    thresholds: Array,
    *,
    replay: Replay | Singles,
    losses: Losses,
    start: int,
    stop: int,
    longest_s: float | None = None,
) -> Sweep:
    """Runs every threshold over the inputs from `start` up to `stop`; the first one is kept."""
    reference = references(candidate, thresholds, replay=replay, start=start, stop=stop, longest_s=longest_s)
    return _with_losses(candidate.name, thresholds, reference, losses, start)


def references(
    candidate: Candidate,
    thresholds: Array,
    *,
    replay: Replay | Singles,
    start: int,
    stop: int,
    longest_s: float | None = None,
) -> Array:
    """Per threshold and input, the last kept input (itself, if it is kept): int (thresholds, inputs)."""
    if candidate.alone is not None and longest_s is None:
        return _references_alone(candidate.alone[start:stop], thresholds, start)
    last = np.full(len(thresholds), start)
    reference = np.empty((len(thresholds), stop - start), np.int64)
    reference[:, 0] = start
    for j in range(start + 1, stop):
        # Many thresholds share their last kept input: each is scored once.
        distinct, place = np.unique(last, return_inverse=True)
        keep = ~(candidate.scores(distinct, j)[place] <= thresholds)
        if longest_s is not None:
            keep |= replay.captured_s[j] - replay.captured_s[last] >= longest_s
        last[keep] = j
        reference[:, j - start] = last
    return reference


def _references_alone(scores: Array, thresholds: Array, start: int) -> Array:
    """The same for scores that do not depend on what was kept."""
    keep = ~(scores <= thresholds[:, None])
    keep[:, 0] = True
    return np.asarray(np.maximum.accumulate(np.where(keep, np.arange(start, start + len(scores)), start), axis=1))


def _with_losses(name: str, thresholds: Array, reference: Array, losses: Losses, start: int) -> Sweep:
    current = np.broadcast_to(np.arange(start, start + reference.shape[1]), reference.shape)
    kept = reference == current
    lost = np.zeros(reference.shape)
    lost[~kept] = losses.of(reference[~kept], current[~kept])
    dropped = np.zeros(reference.shape[1])
    dropped[1:] = losses.of(np.full(reference.shape[1] - 1, start), current[0, 1:])
    return Sweep(name, thresholds, kept, lost, dropped)


def calibrate(candidate: Candidate, work: Workload) -> Sweep:
    """The candidate over the calibration part, at thresholds that suit its scores there; each camera's by itself."""
    split, replay = work.split, work.replay
    thresholds = levels(candidate, replay, start=split.calibrated, stop=split.stop, seed=work.seed)
    longest_s = LONGEST_S if replay.pairwise else None
    runs = [
        sweep(candidate, thresholds, replay=replay, losses=work.losses, start=start, stop=stop, longest_s=longest_s)
        for start, stop in split.stretches
    ]
    kept, losses = (np.concatenate([getattr(run, name) for run in runs], axis=1) for name in ("kept", "losses"))
    dropped = np.concatenate([run.losses[-1] if run.dropped is None else run.dropped for run in runs])
    return Sweep(candidate.name, thresholds, kept, losses, dropped)


def levels(
    candidate: Candidate, replay: Replay | Singles, *, start: int, stop: int, seed: int = 0, count: int = _LEVELS
) -> Array:
    """Thresholds worth trying on a stretch: `count` quantiles of the candidate's scores there, and one below them all.

    Of scores that do not depend on what was kept there are twice as many.
    """
    if candidate.alone is not None:
        quantiles = np.quantile(candidate.alone[start:stop], np.linspace(0.0, 1.0, 2 * count))
        return np.append(-1.0, np.unique(np.minimum(quantiles, candidate.most)))
    random = np.random.default_rng(seed)
    sampled = max(_SAMPLED, 10 * count // 3)
    draws = [sample_pairs(replay, start, stop, random) for _ in range(-(-sampled // (stop - start)))]
    kept = np.concatenate([pairs.kept for pairs in draws])
    current = np.concatenate([pairs.current for pairs in draws])
    scores = [float(candidate.scores(kept[i : i + 1], int(current[i]))[0]) for i in range(min(len(kept), 2 * sampled))]
    sensible = np.minimum(np.quantile(scores, np.linspace(0.0, 1.0, count)), candidate.most)
    return np.append(-1.0, np.unique(sensible))


@dataclass(frozen=True)
class Bounds:
    """What free filters, and one that knows the outputs, reach on a stretch.

    Attributes:
        constant: the accuracy of dropping everything but the first input.
        optimal: the filtering rate of a filter that knows the outputs.
        random: that of dropping inputs at random.
        every: `unchanged`: that of keeping every K-th input, the best K; 0 for other rules.
    """

    constant: float
    optimal: float
    random: float
    every: float

    @classmethod
    def of(cls, losses: Losses, replay: Replay | Singles, start: int, stop: int, accuracy: float) -> "Bounds":
        """Measured on the inputs from `start` up to `stop`, in closed loop, at an accuracy."""
        current = np.arange(start + 1, stop)
        constant = 1.0 - float(losses.of(np.full(len(current), start), current).sum()) / max(1, stop - start)
        if not losses.pairwise:
            needed = float(losses.needed[:, start:stop].mean())
            random = min(1.0, (1.0 - accuracy) / max(needed, 1e-12))
            return cls(1.0 - needed, min(1.0, 2.0 - needed - accuracy), random, 0.0)
        count = stop - start
        ladder = np.append(np.arange(1, 64), np.geomspace(64, max(65, count), 16).round()) - 0.5
        rates = []
        oracle = OracleCandidate(losses, stop)
        candidates: tuple[tuple[Candidate, Array], ...] = (
            (oracle, levels(oracle, replay, start=start, stop=stop)),
            (RandomCandidate(stop), np.linspace(0.0, 1.0, 81)),
            (EveryCandidate(), ladder),
        )
        for candidate, thresholds in candidates:
            run = sweep(candidate, thresholds, replay=replay, losses=losses, start=start, stop=stop)
            rates.append(rate_at(run, accuracy))
        return cls(constant, *rates)


def rate_at(run: Sweep, accuracy: float) -> float:
    """The greatest filtering rate that keeps an accuracy."""
    return float(run.rates[run.errors <= 1.0 - accuracy + 1e-12].max(initial=0.0))

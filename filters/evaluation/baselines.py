"""What a filter is measured against: free gates, at the very filtering rate that it reached."""

from dataclasses import dataclass

import numpy as np

from ...reporting import Progress
from ..training.candidates import Candidate, EveryCandidate, OracleCandidate, RandomCandidate, ScalarCandidate
from ..training.losses import Losses
from ..training.replay import Replay, Singles
from ..training.sweep import Sweep, levels, rate_at, sweep


@dataclass(frozen=True)
class Baseline:
    """A free gate at the filter's rate.

    Attributes:
        name: what it does.
        rate: its filtering rate; that of "constant" is what it is.
        accuracy: its mean agreement with what the models would have said.
        note: where its threshold comes from.
    """

    name: str
    rate: float
    accuracy: float
    note: str


@dataclass(frozen=True)
class Baselines:
    """The free gates at one rate, and what skill is measured between.

    Attributes:
        at_rate: the free gates.
        random_rate: the rate at which dropping at random has the filter's accuracy.
        oracle_rate: the rate at which a gate that knew the outputs would have it.
    """

    at_rate: tuple[Baseline, ...]
    random_rate: float
    oracle_rate: float


def measure_baselines(
    replay: Replay | Singles, losses: Losses, *, rate: float, accuracy: float, progress: Progress | None = None
) -> Baselines:
    """Runs the free gates over a whole trace, in closed loop."""
    inputs = len(replay)
    free: list[Candidate] = [RandomCandidate(inputs), EveryCandidate()]
    if isinstance(replay, Replay):
        free.append(ScalarCandidate("difference", replay))
        free += [] if replay.pairwise else [ScalarCandidate("background", replay)]
    sweeps = []
    for i, candidate in enumerate(free):
        if progress is not None:
            progress(i / len(free), f"baseline: {candidate.name}")
        sweeps.append(_run(candidate, replay, losses))
    tuned = "threshold tuned on this trace to the filter's rate"
    notes = ("drawn at random", "between the two nearest K", *(tuned for _ in free[2:]))
    at_rate = [Baseline(s.name, rate, _accuracy_at(s, rate), note) for s, note in zip(sweeps, notes, strict=True)]
    at_rate.append(_constant(replay, losses))
    if losses.pairwise:
        random_rate = rate_at(sweeps[0], accuracy)
        oracle_rate = rate_at(_run(OracleCandidate(losses, inputs), replay, losses), accuracy)
    else:
        needed = float(losses.of(np.arange(inputs), np.arange(inputs)).mean())
        random_rate = min(1.0, (1.0 - accuracy) / max(needed, 1e-12))
        oracle_rate = min(1.0, (1.0 - needed) + 1.0 - accuracy)
    return Baselines(tuple(at_rate), random_rate, oracle_rate)


def _run(candidate: Candidate, replay: Replay | Singles, losses: Losses) -> Sweep:
    inputs = len(replay)
    if isinstance(candidate, EveryCandidate):
        thresholds = np.append(np.arange(1, 64), np.geomspace(64, max(65, inputs), 16).round()) - 0.5
    elif isinstance(candidate, RandomCandidate):
        thresholds = np.linspace(0.0, 1.0, 81)
    else:
        assert isinstance(replay, Replay), "the other candidates look at pictures"
        thresholds = levels(candidate, replay, start=0, stop=inputs)
    return sweep(candidate, thresholds, replay=replay, losses=losses, start=0, stop=inputs)


def _accuracy_at(found: Sweep, rate: float) -> float:
    """The accuracy at a rate: between two thresholds, that of switching between them."""
    order = np.argsort(found.rates, kind="stable")
    return float(1.0 - np.interp(rate, found.rates[order], found.errors[order]))


def _constant(replay: Replay | Singles, losses: Losses) -> Baseline:
    current = np.arange(1, len(replay))
    error = float(losses.of(np.zeros_like(current), current).sum()) / len(replay)
    note = "holds the first answer for ever" if losses.pairwise else "skips all but the first"
    return Baseline("constant", 1.0 - 1.0 / len(replay), 1.0 - error, note)

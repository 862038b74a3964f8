"""What any filter is measured between on a stretch: what costs nothing, and what knowing the outputs would bring."""

from dataclasses import dataclass

import numpy as np

from ..outputs import Array
from .candidates import EveryCandidate, OracleCandidate, RandomCandidate
from .losses import Losses
from .replay import Replay
from .singles import Singles
from .sweep import Candidate, Sweep, levels, sweep


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

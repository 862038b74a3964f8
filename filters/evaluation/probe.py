"""How candidates and free gates do on later inputs: thresholds are chosen on one part of them, judged on another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..training.candidates import Candidate
from ..training.free_gates import LAST_KEPT, difference_threshold, keep_changed, keep_every, keep_random
from ..training.replay import LONGEST_S, Replay
from ..training.sweep import Bounds, Sweep, levels, sweep
from ..training.workload import Workload
from .baselines import measure_room
from .verdict import judge_losses

# Of the later inputs so much chooses the threshold; the rest judges it.
_CHOOSING = 0.5
_SHARES = np.linspace(1.0, 0.02, 50)
"""Of the inputs, what free gates send, the most careful first."""


@dataclass(frozen=True)
class Probe:
    """What the candidates reached that were trained on a part of the inputs.

    Attributes:
        inputs: how many they were trained on.
        name: the candidate that promised the most where thresholds are chosen.
        rate: the share of the judged inputs that it drops.
        accuracy: its accuracy there.
        holds: whether that is the accuracy that was asked for, as far as the runs there can tell.
        skill: 0 is dropping at random, 1 a filter that knows the outputs; below 0 it is worse than random; None where
            there is nothing between them.
    """

    inputs: int
    name: str
    rate: float
    accuracy: float
    holds: bool
    skill: float | None


@dataclass(frozen=True)
class FreeProbe:
    """What a free gate reaches in the same way.

    Attributes:
        name: what it does.
        gate: how `--gate` names it.
        rate: the share of the judged inputs that it drops.
        accuracy: its accuracy there.
        holds: whether that is what was asked for, as far as the runs there can tell.
    """

    name: str
    gate: str
    rate: float
    accuracy: float
    holds: bool


class Trial:
    """The inputs after those that are trained on, in two parts.

    Args:
        work: what is learnt from.
        accuracy: that is asked for.
        models_s: what the models take for an input.

    Attributes:
        bounds: what is possible at that accuracy on the part that judges.
    """

    def __init__(self, work: Workload, accuracy: float, *, models_s: float) -> None:
        self.work = work
        self.accuracy = accuracy
        self._models_s = models_s
        self._start, self._stop = work.split.calibrated, work.split.stop
        self._middle = self._start + round(_CHOOSING * (self._stop - self._start))
        self.bounds = Bounds.of(work.losses, work.replay, self._middle, self._stop, accuracy)

    def of(self, candidates: Sequence[Candidate], costs_s: Sequence[float], inputs: int) -> tuple[Probe, int]:
        """The candidate that saves the most where thresholds are chosen, and how it does where it is judged.

        Args:
            candidates: that compete.
            costs_s: what a decision of each takes.
            inputs: how many they were trained on.

        Returns:
            It, and which of them it is.
        """
        start, middle = self._start, self._middle
        chosen = []
        for candidate, cost_s in zip(candidates, costs_s, strict=True):
            tried = levels(candidate, self.work.replay, start=start, stop=middle, seed=self.work.seed)
            run = self._sweep(candidate, tried, start, middle)
            row = self._last_that_keeps(run.losses)
            cost = cost_s / self._models_s if self._models_s else 0.0
            chosen.append((float(run.rates[row]) - cost, float(tried[row])))
        best = max(range(len(chosen)), key=lambda index: chosen[index][0])
        run = self._sweep(candidates[best], np.asarray([chosen[best][1]]), middle, self._stop)
        rate, accuracy = float(run.rates[0]), float(1.0 - run.errors[0])
        room = measure_room(self.work.replay, self.work.losses, accuracy=accuracy, start=middle, stop=self._stop)
        holds = self._holds(run.losses[0])
        return Probe(inputs, candidates[best].name, rate, accuracy, holds, room.skill(rate)), best

    def free(self) -> tuple[FreeProbe, ...]:
        """The free gates: evenly spaced inputs, inputs at random, and those that differ from the last kept one."""
        found = [self._drawn("every K-th", keep_every), self._drawn("random", keep_random)]
        if isinstance(self.work.replay, Replay):
            found.append(self._changed(self.work.replay.pictures))
        return tuple(found)

    def _drawn(self, name: str, keep: Callable[[int, int], Array]) -> FreeProbe:
        choosing, judging = self._middle - self._start, self._stop - self._middle
        lost = [self._lost(keep(choosing, _count(share, choosing)), self._start) for share in _SHARES]
        share = float(_SHARES[self._last_that_keeps(np.stack(lost))])
        gate = f"every:{1 / share:.3g}" if keep is keep_every else f"random:{share:.3g}"
        return self._free(name, gate, keep(judging, _count(share, judging)))

    def _changed(self, pictures: Array) -> FreeProbe:
        choosing = pictures[self._start : self._middle]
        tried = [0.0, *(difference_threshold(choosing, _count(share, len(choosing))) for share in _SHARES[1:])]
        lost = np.stack([self._lost(keep_changed(choosing, threshold), self._start) for threshold in tried])
        chosen = tried[self._last_that_keeps(lost)]
        judged = keep_changed(pictures[self._middle : self._stop], chosen)
        return self._free(LAST_KEPT, f"difference:{chosen:.3g}", judged)

    def _free(self, name: str, gate: str, kept: Array) -> FreeProbe:
        lost = self._lost(kept, self._middle)
        return FreeProbe(name, gate, float(1.0 - kept.mean()), float(1.0 - lost.mean()), self._holds(lost))

    def _sweep(self, candidate: Candidate, thresholds: Array, start: int, stop: int) -> Sweep:
        replay = self.work.replay
        longest_s = LONGEST_S if replay.pairwise else None
        return sweep(
            candidate,
            thresholds,
            replay=replay,
            losses=self.work.losses,
            start=start,
            stop=stop,
            longest_s=longest_s,
        )

    def _lost(self, kept: Array, start: int) -> Array:
        """The losses on the stretch from `start` if `kept` of it is kept."""
        current = np.arange(start, start + len(kept))
        reference = np.maximum.accumulate(np.where(kept, current, start))
        return np.where(kept, 0.0, self.work.losses.of(reference, current))

    def _last_that_keeps(self, losses: Array) -> int:
        """Of thresholds in the order of care the last one up to which the accuracy is kept; else the first."""
        missed = losses.mean(axis=1) > 1.0 - self.accuracy + 1e-12
        return max(0, (int(np.argmax(missed)) if missed.any() else len(missed)) - 1)

    def _holds(self, losses: Array) -> bool:
        return judge_losses("accuracy", self.accuracy, losses).verdict != "broken"


def _count(share: float, inputs: int) -> int:
    return max(1, round(share * inputs))

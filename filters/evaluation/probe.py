"""How candidates and free gates do on later inputs: thresholds are chosen on one half of them, judged on the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ..training.candidates import Candidate
from ..training.free_gates import LAST_KEPT, difference_threshold, keep_changed, keep_every, keep_random
from ..training.replay import LONGEST_S, Replay
from ..training.selection import Choice, choose
from ..training.sweep import Sweep, levels, sweep
from ..training.workload import Workload
from .baselines import measure_room

_SHARES = np.linspace(1.0, 0.02, 50)
"""Of the inputs, what free gates send, the most careful first."""

_Settings = Callable[[slice], list[float]]
"""What is tried on a stretch, the most careful first."""
_Keep = Callable[[slice, float], Array]
"""What a free gate keeps of a stretch at a setting: bool (inputs,)."""


@dataclass(frozen=True)
class Probe:
    """What the candidates reached that were trained on a part of the inputs.

    Attributes:
        inputs: how many they were trained on.
        name: the candidate that training would choose on the earlier half of the later inputs.
        rate: the filtering rate at the accuracy that is asked for: where it was missed, of what was dropped so much is
            kept after all, at random, that it is met.
        dropped: the share of the inputs that was dropped.
        accuracy: the accuracy then.
        skill: of the rate: 0 is dropping at random, 1 a filter that knows the outputs; below 0 it is worse than random;
            None where there is nothing between them.
    """

    inputs: int
    name: str
    rate: float
    dropped: float
    accuracy: float
    skill: float | None


@dataclass(frozen=True)
class FreeProbe:
    """What a free gate reaches in the same way.

    Attributes:
        name: what it does.
        gate: how `--gate` names it.
        rate: the filtering rate at the accuracy that is asked for.
        dropped: the share of the inputs that was dropped.
        accuracy: the accuracy then.
    """

    name: str
    gate: str
    rate: float
    dropped: float
    accuracy: float


class Trial:
    """The inputs after those that are trained on, in two halves: what one chooses, the other judges, and in turn.

    Args:
        work: what is learnt from.
        accuracy: that is asked for.
        models_s: what the models take for an input.

    Attributes:
        room: what dropping at random, and knowing the outputs, reach there at that accuracy.
    """

    def __init__(self, work: Workload, accuracy: float, *, models_s: float) -> None:
        self.work = work
        self.accuracy = accuracy
        self._models_s = models_s
        start, stop = work.split.calibrated, work.split.stop
        halves = (slice(start, (start + stop) // 2), slice((start + stop) // 2, stop))
        self._folds = ((halves[1], halves[0]), (halves[0], halves[1]))
        self.room = measure_room(work.replay, work.losses, accuracy=accuracy, start=start, stop=stop)

    def of(self, candidates: Sequence[Candidate], costs_s: Sequence[float], inputs: int) -> tuple[Probe, int]:
        """What training would choose on one half, and how that does on the other.

        Args:
            candidates: that compete.
            costs_s: what a decision of each takes.
            inputs: how many they were trained on.

        Returns:
            Both halves together, and which of the candidates was chosen on the earlier one.
        """
        costs = [cost_s / self._models_s if self._models_s else 0.0 for cost_s in costs_s]
        kept, lost, chosen = [], [], 0
        for choosing, judging in self._folds:
            sweeps = [self._sweep(candidate, choosing) for candidate in candidates]
            choice = self._chosen(sweeps, costs)
            if choice is None:
                kept.append(np.ones(judging.stop - judging.start, bool))
                lost.append(np.zeros(judging.stop - judging.start))
                continue
            chosen = [sweep.name for sweep in sweeps].index(choice.name)
            run = self._sweep(candidates[chosen], judging, np.asarray([choice.threshold]))
            kept.append(run.kept[0])
            lost.append(run.losses[0])
        rate, dropped, accuracy = self._judged(kept, lost)
        skill = self.room.skill(rate)
        return Probe(inputs, candidates[chosen].name, rate, dropped, accuracy, skill), chosen

    def free(self) -> tuple[FreeProbe, ...]:
        """The free gates: evenly spaced inputs, inputs at random, and those that differ from the last kept one."""
        found = [
            self._free("every K-th", lambda share: f"every:{1 / share:.3g}", *self._drawn(keep_every)),
            self._free("random", lambda share: f"random:{share:.3g}", *self._drawn(keep_random)),
        ]
        if isinstance(self.work.replay, Replay):
            pictures = self.work.replay.pictures
            found.append(self._free(LAST_KEPT, lambda value: f"difference:{value:.3g}", *self._changed(pictures)))
        return tuple(found)

    def _drawn(self, keep: Callable[[int, int], Array]) -> tuple[_Settings, _Keep]:
        return lambda _: _SHARES.tolist(), lambda part, share: keep(
            part.stop - part.start, max(1, round(share * (part.stop - part.start)))
        )

    def _changed(self, pictures: Array) -> tuple[_Settings, _Keep]:
        def settings(part: slice) -> list[float]:
            count = part.stop - part.start
            tried = (difference_threshold(pictures[part], max(1, round(share * count))) for share in _SHARES[1:])
            return [0.0, *tried]

        return settings, lambda part, threshold: keep_changed(pictures[part], threshold)

    def _free(self, name: str, gate: Callable[[float], str], settings: _Settings, keep: _Keep) -> FreeProbe:
        kept, lost, chosen = [], [], 0.0
        for choosing, judging in self._folds:
            tried = settings(choosing)
            masks = np.stack([keep(choosing, setting) for setting in tried])
            losses = np.stack([self._lost(mask, choosing.start) for mask in masks])
            dropped = self._lost(np.arange(masks.shape[1]) == 0, choosing.start)
            run = Sweep(name, np.arange(len(tried), dtype=np.float64), masks, losses, dropped)
            choice = self._chosen([run])
            chosen = tried[0 if choice is None else int(choice.threshold)]
            kept.append(keep(judging, chosen))
            lost.append(self._lost(kept[-1], judging.start))
        return FreeProbe(name, gate(chosen), *self._judged(kept, lost))

    def _chosen(self, sweeps: Sequence[Sweep], costs: Sequence[float] = ()) -> Choice | None:
        """What training would choose; None if nothing, so that all is kept."""
        try:
            return choose(sweeps, accuracy=self.accuracy, costs=costs)
        except InvalidInput:
            return None

    def _judged(self, kept: Sequence[Array], lost: Sequence[Array]) -> tuple[float, float, float]:
        """Over both halves: the rate at the accuracy asked for, the share dropped, and the accuracy then."""
        dropped, error = float(1.0 - np.concatenate(kept).mean()), float(np.concatenate(lost).mean())
        allowed = 1.0 - self.accuracy
        return dropped if error <= allowed else dropped * allowed / error, dropped, 1.0 - error

    def _sweep(self, candidate: Candidate, part: slice, thresholds: Array | None = None) -> Sweep:
        replay = self.work.replay
        if thresholds is None:
            thresholds = levels(candidate, replay, start=part.start, stop=part.stop, seed=self.work.seed)
        return sweep(
            candidate,
            thresholds,
            replay=replay,
            losses=self.work.losses,
            start=part.start,
            stop=part.stop,
            longest_s=LONGEST_S if replay.pairwise else None,
        )

    def _lost(self, kept: Array, start: int) -> Array:
        """The losses on the stretch from `start` if `kept` of it is kept."""
        current = np.arange(start, start + len(kept))
        reference = np.maximum.accumulate(np.where(kept, current, start))
        return np.where(kept, 0.0, self.work.losses.of(reference, current))

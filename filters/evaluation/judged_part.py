"""The part of a recording that has no say in a filter: where it begins, and what comes of sending some of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...traces.events import delays, distinct
from ...traces.trace import Trace
from ..training.losses import Losses
from ..training.replay import Replay, Singles, Unseen
from ..training.workload import GAP_S, LEAST_INPUTS
from .baselines import Baseline, measure_baselines
from .outcome import Answers, Outcome

MOST_INPUTS = 8000
"""Of a longer recording the newest are taken, as in training."""
JUDGED_SHARE = 0.25
MOST_SHOWN = 24
"""So many of the inputs of which nobody has said anything are named, evenly over time."""


@dataclass(frozen=True)
class Cut:
    """Where a recording is cut: inputs before `stop` choose, those from `judged` on judge.

    Attributes:
        stop: the end of what is learnt and calibrated on.
        judged: the first input that is judged on, a gap later.
        inputs: how many there are in all.
    """

    stop: int
    judged: int
    inputs: int


def cut_of(trace: Trace) -> Cut:
    """The cut between what chooses and what judges.

    Raises:
        InvalidInput: the trace is too short, or its times do not rise.
    """
    # What is left to choose from must be enough to be learnt from.
    if len(trace) * (1.0 - JUDGED_SHARE) < LEAST_INPUTS:
        least = int(np.ceil(LEAST_INPUTS / (1.0 - JUDGED_SHARE)))
        raise InvalidInput(
            f"{trace.path.name}: {len(trace)} inputs are too few to learn from and to judge on: record at least "
            f"{least}, better 1000"
        )
    if not (np.diff(trace.captured_s) > 0).all():
        raise InvalidInput(f"{trace.path.name}: the times of capture do not rise from input to input")
    stop = round((1.0 - JUDGED_SHARE) * len(trace))
    gap = int(np.searchsorted(trace.captured_s, trace.captured_s[stop] + GAP_S)) - stop
    return Cut(stop, stop + min(gap, round(0.05 * len(trace))), len(trace))


@dataclass(frozen=True)
class Point:
    """A gate at a threshold, on the judged part.

    Attributes:
        gate: its name.
        threshold: an input is kept if its score is above.
        found: what came of it.
        size_bytes: of the inputs that it sends, as they were recorded.
        late_s: per event, from its start to the answer that states it; infinite for a miss.
        baselines: what costs nothing, at the same number of inputs.
        ahead: those of them that did better.
        skipped: some of the inputs that it does not send, by their indices: those on which nothing is stated, if any.
        in_vain: some of those that it sends and on which nothing is stated.
    """

    gate: str
    threshold: float
    found: Outcome
    size_bytes: int
    late_s: tuple[float, ...]
    baselines: tuple[Baseline, ...]
    ahead: tuple[str, ...]
    skipped: tuple[int, ...] = ()
    in_vain: tuple[int, ...] = ()


class Judge:
    """Tells what comes of sending some inputs of the judged part, beside what costs nothing.

    Args:
        trace: the judged part.
        losses: on it.
        learnt_free: the free gates' thresholds on what chose, at a filtering rate.

    Attributes:
        sizes: of each input as it was recorded, in bytes.
        events: the true ones, in the order of time.
    """

    def __init__(self, trace: Trace, losses: Losses, learnt_free: Callable[[float], Mapping[str, float]]) -> None:
        self.trace = trace
        self.losses = losses
        self.sizes = np.asarray([len(payload) for payload in trace.payloads()], np.int64)
        self._learnt_free = learnt_free
        pictures = trace.info.input == "image"
        self._replay: Replay | Singles = (
            Replay(trace, pairwise=losses.pairwise) if pictures else Unseen(trace.captured_s)
        )
        self._answers = {held: Answers(losses, trace.captured_s, held=held) for held in (True, False)}
        self.events = distinct(self._answers[True].events)
        there = list(losses.truth.values()) or [np.asarray(losses.needed.any(axis=0))]
        self._quiet = ~np.any(there, axis=0)
        self._free: dict[tuple[int, bool], tuple[Baseline, ...]] = {}

    def point(self, name: str, threshold: float, kept: Array, *, held: bool) -> Point:
        """What comes of sending `kept`, bool (inputs,).

        Args:
            name: the gate's.
            threshold: its.
            kept: what it sends.
            held: whether the answer for the last input that was sent stands in for one that is not.
        """
        answers = self._answers[held]
        found = answers.outcome(kept)
        sent = int(kept.sum())
        if (sent, held) not in self._free:
            learnt = self._learnt_free(1.0 - sent / len(kept))
            self._free[sent, held] = measure_baselines(self._replay, answers, kept=sent, learnt=learnt)
        baselines = self._free[sent, held]
        return Point(
            gate=name,
            threshold=threshold,
            found=found,
            size_bytes=int(self.sizes[kept].sum()),
            late_s=tuple(delays(self.events, answers.stated(kept), self.trace.captured_s).tolist()),
            baselines=baselines,
            ahead=tuple(each.name for each in baselines if not kept.all() and each.is_ahead(found)),
            skipped=_some(self._quiet & ~kept) or _some(~kept),
            in_vain=_some(self._quiet & kept),
        )


def _some(of: Array) -> tuple[int, ...]:
    """The indices of some, evenly over time."""
    parts = np.array_split(np.flatnonzero(of), MOST_SHOWN)
    return tuple(int(part[len(part) // 2]) for part in parts if len(part))

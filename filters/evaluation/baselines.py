"""What a filter is measured against: free gates that send exactly as much."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...reporting import Progress
from ...traces.events import EventScore
from ..training.free_gates import keep_changed, keep_free
from ..training.losses import Losses
from ..training.replay import Replay, Singles
from ..training.sweep import Bounds
from .outcome import Answers, Outcome

_NOTES = {"random": "one draw", "every K-th": "evenly spaced"}
TUNED = "threshold tuned on this trace"
# What is more accurate by less than this is not ahead.
_EQUAL = 0.01
# Where the rates at random and with the outputs known differ by less, skill says nothing.
_ROOM = 0.01


@dataclass(frozen=True)
class Baseline:
    """A free gate.

    Attributes:
        name: what it does.
        rate: its filtering rate: the filter's own, but for "constant" and a gate whose threshold is the learnt one.
        accuracy: its mean agreement with what the models would have said.
        note: where its threshold comes from.
        events: what it finds.
    """

    name: str
    rate: float
    accuracy: float
    note: str
    events: EventScore

    @classmethod
    def of(cls, name: str, note: str, found: Outcome) -> "Baseline":
        """A gate with what came of it."""
        return cls(name, 1.0 - found.sent, found.accuracy, note, found.events)

    def is_ahead(self, of: Outcome) -> bool:
        """Whether it sends no more and finds more events; or as many, and is more accurate."""
        if 1.0 - self.rate > of.sent + _EQUAL / 2:
            return False
        if self.events.found != of.events.found:
            return self.events.found > of.events.found
        return self.accuracy > of.accuracy + _EQUAL


@dataclass(frozen=True)
class Room:
    """What skill is measured between.

    Attributes:
        random_rate: the rate at which dropping at random has the filter's accuracy.
        oracle_rate: the rate at which a gate that knew the outputs would have it.
    """

    random_rate: float
    oracle_rate: float

    def skill(self, rate: float) -> float | None:
        """0 is dropping at random, 1 a gate that knows the outputs, -1 the least; None where both are the same."""
        room = self.oracle_rate - self.random_rate
        return max(-1.0, (rate - self.random_rate) / room) if room > _ROOM else None


def measure_baselines(
    replay: Replay | Singles,
    answers: Answers,
    *,
    kept: int,
    learnt: Mapping[str, float],
    progress: Progress | None = None,
) -> tuple[Baseline, ...]:
    """Runs the free gates over a whole trace, in closed loop.

    Args:
        replay: the trace, as a filter sees it.
        answers: on it.
        kept: how many inputs the filter sends.
        learnt: thresholds that were fitted on what the filter was learnt from, by the gate's name.
        progress: is told the share done, and what is being done.
    """
    if progress is not None:
        progress(0.0, "free gates")
    found = [
        Baseline.of(name, _NOTES.get(name, TUNED), answers.outcome(keep))
        for name, keep in keep_free(replay, max(1, kept)).items()
    ]
    if isinstance(replay, Replay) and "difference" in learnt:
        threshold = learnt["difference"]
        note = "threshold fitted on what was learnt from"
        found.append(
            Baseline.of(f"difference:{threshold:.3g}", note, answers.outcome(keep_changed(replay.pictures, threshold)))
        )
    first = np.arange(len(replay)) == 0
    note = "holds the first answer for ever" if answers.losses.pairwise else "skips all but the first"
    return (*found, Baseline.of("constant", note, answers.outcome(first)))


def measure_room(
    replay: Replay | Singles, losses: Losses, *, accuracy: float, start: int = 0, stop: int | None = None
) -> Room:
    """The rates of dropping at random, and of knowing the outputs, at an accuracy, on a stretch of the inputs."""
    stop = len(replay) if stop is None else stop
    bounds = Bounds.of(losses, replay, start, stop, accuracy)
    return Room(bounds.random, bounds.optimal)

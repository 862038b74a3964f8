"""What a policy's answers were worth: agreement, events, and how sure both are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cameras import STEP_S, Camera, Site, Turn
from infilink.outputs import Array
from infilink.traces.events import delays, distinct, events_of

_WITHIN_S = 2.0
_BLOCK_S = 5.0
_DRAWS = 1000
_DAY_MINUTES = 24 * 60.0


@dataclass(frozen=True)
class Outcome:
    """One policy in one turn.

    Attributes:
        agreement: of every answer: float (cameras, models, ticks).
        ran: which were exact: bool (cameras, models, ticks).
        stated: per camera and model, on which ticks each class is stated: bool (ticks,).
        expected: what was promised of every answer, shaped likewise; None: nothing was.
        origin: how every answer came to be, likewise.
        spent_s: the models' seconds.
    """

    agreement: Array
    ran: Array
    stated: Sequence[Mapping[str, Mapping[str, Array]]]
    spent_s: float
    expected: Array | None = None
    origin: Array | None = None

    @property
    def mean(self) -> float:
        """Mean agreement over cameras, of the mean over a camera's models and inputs."""
        return float(self.agreement.mean(axis=(1, 2)).mean())


def of_rows(site: Site, turn: Turn, said: Array, ran: Array) -> Outcome:
    """The outcome where every answer is an output of an earlier row, or the constant.

    Args:
        site: the cameras.
        turn: what was served.
        said: whose output is the answer: int (cameras, models, ticks).
        ran: where it is the input's own.
    """
    agreement = np.ones(said.shape)
    stated = []
    for at, camera in enumerate(site.cameras):
        for place, name in enumerate(site.names):
            agreement[at, place] = camera.agreements(name, said[at, place], turn.rows[at])
        stated.append(
            {
                name: {what: on[said[at, place]] for what, on in camera.there[name].items()}
                for place, name in enumerate(site.names)
            }
        )
    return Outcome(agreement, ran, stated, float((ran.sum(axis=(0, 2)) * site.infer_s).sum()))


@dataclass
class Found:
    """Events, added up over cameras and turns.

    Attributes:
        events: how many there were.
        within: those found within 2 s of their beginning.
        delays_s: from each one's beginning to the answer that found it; infinite for a miss.
        false_s: seconds in which a model states a class that is in no event.
        watched_s: seconds of all models' answers.
    """

    events: int = 0
    within: int = 0
    delays_s: list[float] = field(default_factory=list)
    false_s: float = 0.0
    watched_s: float = 0.0

    @property
    def share(self) -> float:
        """Found within 2 s."""
        return self.within / self.events if self.events else float("nan")

    @property
    def false_minutes(self) -> float:
        """Per day of one camera and model."""
        return _DAY_MINUTES * self.false_s / self.watched_s if self.watched_s else 0.0


def events(site: Site, turn: Turn, outcome: Outcome) -> list[Found]:
    """The events of every camera, all classes of all models; one that is played again counts once."""
    found = []
    for at, camera in enumerate(site.cameras):
        total = Found()
        times_s, source_s = turn.times_s(at), turn.rows[at] * STEP_S
        for name, classes in camera.there.items():
            truth = {what: on[turn.rows[at]] for what, on in classes.items()}
            all_of = {what: events_of(what, on, times_s, source_s=source_s) for what, on in truth.items() if on.any()}
            counted = distinct(all_of)
            late_s = delays(counted, outcome.stated[at][name], times_s)
            total.events += len(counted)
            total.within += int((late_s <= _WITHIN_S + 1e-6).sum())
            total.delays_s += late_s.tolist()
            false = np.zeros(len(times_s), bool)
            for what, states in outcome.stated[at][name].items():
                true = truth[what].copy() if what in truth else np.zeros(len(times_s), bool)
                for event in all_of.get(what, ()):
                    true[event.first : event.last + 1] = True
                false |= states & ~true
            total.false_s += STEP_S * float(false.sum())
            total.watched_s += STEP_S * len(times_s)
        found.append(total)
    return found


def together(parts: Sequence[Found]) -> Found:
    """All of several."""
    return Found(
        sum(part.events for part in parts),
        sum(part.within for part in parts),
        [late for part in parts for late in part.delays_s],
        sum(part.false_s for part in parts),
        sum(part.watched_s for part in parts),
    )


def by_source(cameras: Sequence[Camera], turns: Sequence[Turn], values: Sequence[Array]) -> list[tuple[Array, Array]]:
    """Per camera: sums and counts of a value by the row of the clip it was of, over all turns and plays.

    Args:
        cameras: the site's.
        turns: what was served.
        values: per turn, of every input: float (cameras, ticks).
    """
    found = []
    for at, camera in enumerate(cameras):
        sums, counts = np.zeros(len(camera)), np.zeros(len(camera))
        for turn, each in zip(turns, values, strict=True):
            np.add.at(sums, turn.rows[at], each[at])
            np.add.at(counts, turn.rows[at], 1.0)
        found.append((sums, counts))
    return found


def interval(parts: Sequence[tuple[Array, Array]], *, seed: int = 0) -> tuple[float, float]:
    """Where the mean over cameras lies with 95 % confidence.

    A block bootstrap: cameras are drawn anew, and of each its clip in blocks of 5 s, as frames are not independent.

    Args:
        parts: what `by_source` made.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    block = round(_BLOCK_S / STEP_S)
    means = np.empty((_DRAWS, len(parts)))
    for at, (sums, counts) in enumerate(parts):
        n = len(sums)
        starts = random.integers(0, n, (_DRAWS, -(-n // block)))
        rows = ((starts[:, :, None] + np.arange(block)) % n).reshape(_DRAWS, -1)[:, :n]
        means[:, at] = sums[rows].sum(axis=1) / np.maximum(counts[rows].sum(axis=1), 1e-9)
    drawn = random.integers(0, len(parts), (_DRAWS, len(parts)))
    whole = np.take_along_axis(means, drawn, axis=1).mean(axis=1)
    return float(np.quantile(whole, 0.025)), float(np.quantile(whole, 0.975))

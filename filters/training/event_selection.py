"""Chooses the gate that sends the fewest inputs and still finds the events, by what the events of a trace prove."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...evidence import CONFIDENCE, clopper_pearson
from ...outputs import Array
from ...traces.events import Event, clusters_of, distinct, events_of, worth
from ..budget import WINDOW_S, Budget

_SLACK_S = 1e-6
# Of gates that send as many, to this share, the one that is preferred wins.
_EQUAL_SENT = 0.05
# A threshold that was picked by a few events without a miss finds fewer of others. In simulation (events whose lengths
# are exponential or lognormal, met at random moments) 3 to 40 events then find .96 of others and more.
_FEW = 5.0


@dataclass(frozen=True)
class EventTarget:
    """What is asked of a filter.

    Attributes:
        recall: the least share of the events that is found.
        within_s: so many seconds after an event began at the latest; infinite: while it lasts.
        heartbeat_s: an input is sent at the latest after so many seconds without one; None: there is no latest.
        budget: the share of the inputs that is sent: of what keeps to it the most is found; None: as few as do.
        window_s: over so long at most twice that share is sent.
    """

    recall: float
    within_s: float = math.inf
    heartbeat_s: float | None = None
    budget: float | None = None
    window_s: float = WINDOW_S


@dataclass(frozen=True)
class Watch:
    """The distinct events that lie within a stretch, and where each could be found.

    Attributes:
        events: in the order of time.
        clusters: which cluster each is of.
        chances: per event, the inputs of the stretch by which it would be found in time, counted from its start.
    """

    events: Sequence[Event]
    clusters: Array
    chances: Sequence[Array]

    @classmethod
    def of(
        cls, truth: Mapping[str, Array], captured_s: Array, *, start: int, stop: int, within_s: float = math.inf
    ) -> Self:
        """Those of a trace that begin at `start` or later and end before `stop`."""
        found = distinct({what: events_of(what, there, captured_s) for what, there in truth.items()})
        events = [event for event in found if event.first >= start and event.last < stop]
        chances = []
        for event in events:
            part = slice(event.first, event.last + 1)
            in_time = captured_s[part] - event.start_s <= within_s + _SLACK_S
            chances.append(event.first - start + np.flatnonzero(truth[event.what][part] & in_time))
        return cls(events, clusters_of(events), chances)

    @property
    def worth(self) -> float:
        """How many independent events these are worth."""
        return worth(self.clusters)

    def lost(self, kept: Array) -> Array:
        """Per threshold and event, whether no input is sent that finds it: bool, of `kept` (thresholds, inputs)."""
        if not self.chances:
            return np.zeros((len(kept), 0), bool)
        return np.stack([~kept[:, chance].any(axis=1) for chance in self.chances], axis=1)


@dataclass(frozen=True)
class EventSweep:
    """What each threshold of a candidate sends over a stretch.

    Attributes:
        name: the candidate's.
        thresholds: in rising order: the most careful first.
        kept: bool (thresholds, inputs).
        watch: the events of the stretch.
        calibrated: where in the stretch the part begins whose rates are compared; no candidate learnt from it.
        cost: what a decision takes, as a share of the models' time for an input.
    """

    name: str
    thresholds: Array
    kept: Array
    watch: Watch
    calibrated: int = 0
    cost: float = 0.0

    @property
    def sent(self) -> Array:
        """Per threshold, the share of the inputs that is sent in the part that is compared."""
        return np.asarray(self.kept[:, self.calibrated :].mean(axis=1))


@dataclass(frozen=True)
class EventJudged:
    """A candidate with what its thresholds are proven to find, and the one that it would use.

    Attributes:
        sweep: what it sends.
        missed: per threshold, the share of the events that it does not find.
        uppers: of that, with the confidence that was asked for.
        best: the threshold's index.
        certified: whether it is proven.
        budget: what it holds; None: its threshold stays where it is.
    """

    sweep: EventSweep
    missed: Array
    uppers: Array
    best: int
    certified: bool
    budget: Budget | None = None

    @property
    def sent(self) -> float:
        """What it sends, its own cost added."""
        return float(self.sweep.sent[self.best]) + self.sweep.cost

    @property
    def found_share(self) -> float:
        """The share of the events that it finds."""
        return 1.0 - float(self.missed[self.best])

    @property
    def found(self) -> int:
        """How many events it finds."""
        events = len(self.sweep.watch.events)
        return events - round(float(self.missed[self.best]) * events)


def confidence_of(candidates: int) -> float:
    """With which each of several candidates is tested, so that all bounds hold at once (Bonferroni)."""
    return 1.0 - (1.0 - CONFIDENCE) / max(1, candidates)


def judge_sweep(sweep: EventSweep, target: EventTarget, *, confidence: float) -> EventJudged:
    """Tests the thresholds from the most careful on, up to the first that fails; of those the one that sends least.

    The bound is Clopper-Pearson's over independent events. Without a certificate it stays before the threshold at which
    the share of the events found, one more of them taken as missed, first falls below what was asked for (with a few
    events the first that is missed ends it), and sends more than there by a margin for that few.
    """
    missed = sweep.watch.lost(sweep.kept).mean(axis=1) if sweep.watch.events else np.zeros(len(sweep.kept))
    independent = sweep.watch.worth
    uppers = np.asarray(
        [clopper_pearson(share * independent, independent, confidence=confidence) for share in missed.tolist()]
    )
    proven = _before_first(uppers > 1.0 - target.recall)
    if proven.any():
        return EventJudged(sweep, missed, uppers, _least_sent(sweep, proven), certified=True)
    events = max(1, len(sweep.watch.events))
    likely = _before_first((missed > 0) & (missed + 1.0 / events > 1.0 - target.recall))
    # The most careful one is there, whatever it finds.
    likely[0] = True
    least = float(sweep.sent[_least_sent(sweep, likely)]) * (1.0 + _FEW / events)
    enough = likely & (sweep.sent >= min(least, float(sweep.sent[likely].max())))
    return EventJudged(sweep, missed, uppers, _least_sent(sweep, enough), certified=False)


def best_of(judged: Sequence[EventJudged]) -> EventJudged:
    """The one that sends the fewest inputs of those that are proven, or of all if none is; the first among equals."""
    eligible = [each for each in judged if each.certified] or list(judged)
    least = min(each.sent for each in eligible)
    return next(each for each in eligible if each.sent <= (1.0 + _EQUAL_SENT) * least)


def more_events(judged: EventJudged, target: EventTarget, *, confidence: float) -> int:
    """How many more independent events, all of them found, would prove it; 0 if it is proven."""
    if judged.certified:
        return 0
    have = judged.sweep.watch.worth
    lost = float(judged.missed[judged.best]) * have
    low, high = have, max(2.0 * have, 16.0)
    while clopper_pearson(lost, high, confidence=confidence) > 1.0 - target.recall:
        low, high = high, 2.0 * high
    while high - low > 1e-6:
        middle = (low + high) / 2.0
        proven = clopper_pearson(lost, middle, confidence=confidence) <= 1.0 - target.recall
        low, high = (low, middle) if proven else (middle, high)
    return max(1, math.ceil(high - have - 1e-5))


def _least_sent(sweep: EventSweep, fine: Array) -> int:
    return int(np.argmin(np.where(fine, sweep.sent, np.inf)))


def _before_first(failed: Array) -> Array:
    return np.asarray(np.cumsum(failed) == 0)

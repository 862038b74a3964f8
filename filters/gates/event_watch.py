"""What the audits show of the events that a file promises to find. NumPy only."""

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from ...evidence import interval
from ...traces.events import GAP_S
from .parts import TOO_FEW

# Sightings that are further apart are of two events, even where nobody looked in between.
_JOINED_S = 10.0
_SLACK_S = 1e-6
# More than a camera gives while sightings can still be joined.
_UNSEEN = 1024


@dataclass(frozen=True)
class EventReport:
    """How many of the events were found that a draw came into: the longer an event, the likelier that is.

    What is seen by one audit only counts as an event, however short it was, so that the share is rather too low. Where
    an input that the filter sent close to what was seen was looked at by no model, nobody knows whether it was found.

    Attributes:
        recall: the share that was promised.
        within_s: so many seconds after an event was first seen at the latest; None: while it lasts.
        events: how many events a draw came into: what the verdict rests on.
        found: for how many of them the filter sent an input in time.
        unknown: for how many of the others nobody knows.
        interval: where the share lies with 95 % confidence, whatever became of the unknown ones.
        verdict: "kept", "broken" or "too few to tell".
    """

    recall: float
    within_s: float | None
    events: int
    found: int
    unknown: int
    interval: tuple[float, float]
    verdict: str


@dataclass
class _Event:
    """Sightings of one thing that belong together.

    Attributes:
        first_s: when it was first seen.
        last_s: when it was last seen.
        sent_s: when the filter first sent an input of it; None: it did not.
        drawn: whether a draw came into it.
        gone_s: when a model last looked before it was first seen.
    """

    first_s: float
    last_s: float
    sent_s: float | None = None
    drawn: bool = False
    gone_s: float = -math.inf


class EventWatch:
    """Follows the events on one stream, by the inputs that models ran on.

    Args:
        recall: the share of the events that was promised to be found.
        within_s: so many seconds after they began at the latest; None: while they last.
    """

    def __init__(self, recall: float, within_s: float | None) -> None:
        self.recall = recall
        self.within_s = within_s
        self._open: dict[str, _Event] = {}
        self._events = self._found = self._unknown = 0
        self._interval = (0.0, 1.0)
        self._looked_s = -math.inf
        # When inputs were sent that no model looked at.
        self._unseen: deque[float] = deque(maxlen=_UNSEEN)

    def add(self, captured_s: float, things: Collection[str], *, sent: bool, drawn: bool) -> None:
        """Takes what the models say of the next input.

        Args:
            captured_s: when it was captured.
            things: what is there, of what the rule tells apart.
            sent: whether the filter would have sent it by itself.
            drawn: whether it was drawn.
        """
        for thing in list(self._open):
            apart_s = captured_s - self._open[thing].last_s
            if apart_s > (_JOINED_S if thing in things else GAP_S) + _SLACK_S:
                self._end(self._open.pop(thing), captured_s)
        for thing in things:
            event = self._open.setdefault(thing, _Event(captured_s, captured_s, gone_s=self._looked_s))
            event.last_s = captured_s
            event.drawn |= drawn
            if sent and event.sent_s is None:
                event.sent_s = captured_s
        self._looked_s = captured_s

    def pass_by(self, captured_s: float) -> None:
        """Takes note of an input that the filter sent by itself and that no model looked at."""
        self._unseen.append(captured_s)

    @property
    def broken(self) -> bool:
        """Whether it is shown that fewer are found than were promised."""
        return self._interval[1] < self.recall

    def report(self) -> EventReport:
        """What is shown so far, by the events that have ended."""
        verdict = "kept" if self._interval[0] >= self.recall else "broken" if self.broken else TOO_FEW
        counts = self._events, self._found, self._unknown
        return EventReport(self.recall, self.within_s, *counts, self._interval, verdict)

    def _end(self, event: _Event, now_s: float) -> None:
        """Counts an event; it was over when a model looked at `now_s`."""
        if not event.drawn:
            return
        latest_s = math.inf if self.within_s is None else event.first_s + self.within_s + _SLACK_S
        # Between two sightings of it, it was there.
        seen = [at_s for at_s in self._unseen if event.first_s <= at_s <= event.last_s]
        sent_s = min(seen, default=math.inf) if event.sent_s is None else min([*seen, event.sent_s])
        begin_s = max(event.gone_s, event.first_s - _JOINED_S)
        end_s = min(now_s, event.last_s + _JOINED_S, latest_s)
        self._events += 1
        if sent_s <= latest_s and sent_s < math.inf:
            self._found += 1
        elif any(begin_s < at_s < end_s for at_s in self._unseen):
            self._unknown += 1
        least, most = interval(self._found, self._events), interval(self._found + self._unknown, self._events)
        self._interval = least[0], most[1]

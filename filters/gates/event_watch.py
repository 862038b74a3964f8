"""What the audits show of the events that a file promises to find. NumPy only."""

from collections.abc import Collection
from dataclasses import dataclass

from ...evidence import interval
from ...traces.events import GAP_S
from .parts import TOO_FEW

# Sightings that are further apart are of two events, even where nobody looked in between.
_JOINED_S = 10.0
_SLACK_S = 1e-6


@dataclass(frozen=True)
class EventReport:
    """How many of the events were found that a draw came into: the longer an event, the likelier that is.

    What is seen by one audit only counts as an event, however short it was, so that the share is rather too low.

    Attributes:
        recall: the share that was promised.
        within_s: so many seconds after an event was first seen at the latest; None: while it lasts.
        events: how many events a draw came into: what the verdict rests on.
        found: for how many of them the filter sent an input in time.
        interval: where the share lies with 95 % confidence.
        verdict: "kept", "broken" or "too few to tell".
    """

    recall: float
    within_s: float | None
    events: int
    found: int
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
    """

    first_s: float
    last_s: float
    sent_s: float | None = None
    drawn: bool = False


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
        self._events = self._found = 0
        self._interval = (0.0, 1.0)

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
                self._end(self._open.pop(thing))
        for thing in things:
            event = self._open.setdefault(thing, _Event(captured_s, captured_s))
            event.last_s = captured_s
            event.drawn |= drawn
            if sent and event.sent_s is None:
                event.sent_s = captured_s

    @property
    def broken(self) -> bool:
        """Whether it is shown that fewer are found than were promised."""
        return self._interval[1] < self.recall

    def report(self) -> EventReport:
        """What is shown so far, by the events that have ended."""
        verdict = "kept" if self._interval[0] >= self.recall else "broken" if self.broken else TOO_FEW
        return EventReport(self.recall, self.within_s, self._events, self._found, self._interval, verdict)

    def _end(self, event: _Event) -> None:
        if event.drawn:
            self._events += 1
            late_s = None if event.sent_s is None else event.sent_s - event.first_s
            self._found += late_s is not None and (self.within_s is None or late_s <= self.within_s + _SLACK_S)
            self._interval = interval(self._found, self._events)

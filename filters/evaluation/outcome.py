"""What a choice of the inputs that are sent brings: agreement, and events."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...outputs import Array
from ...traces.events import Event, EventScore, delays, distinct, events_of, score_events
from ..training.losses import Losses


@dataclass(frozen=True)
class Outcome:
    """What came of sending some inputs and answering for the others.

    Attributes:
        sent: the share of the inputs that was sent.
        accuracy: the mean agreement with what the models would have said, with 1 for what was sent.
        events: how many of all events were found, and how late.
        by_thing: the same for each thing that the rule tells apart.
    """

    sent: float
    accuracy: float
    events: EventScore
    by_thing: dict[str, EventScore]


class Answers:
    """The answers on a trace if some inputs are sent: of those not sent, the rule's, or that for the last one sent.

    Args:
        losses: of a trace, by the rule.
        captured_s: when each of its inputs was captured.
        held: whether the answer for the last input that was sent stands in for one that is not; else the rule's does.
    """

    def __init__(self, losses: Losses, captured_s: Array, *, held: bool) -> None:
        self.losses = losses
        self.captured_s = captured_s
        self.held = held

    @cached_property
    def events(self) -> dict[str, list[Event]]:
        """The true events, per thing."""
        return {what: events_of(what, there, self.captured_s) for what, there in self.losses.truth.items()}

    def references(self, kept: Array) -> Array:
        """Per input, the last one that was sent; before the first of them, the first input."""
        return np.maximum.accumulate(np.where(kept, np.arange(len(kept)), 0))

    def lost(self, kept: Array) -> Array:
        """Per input, the loss: float64, 0 where it was sent."""
        return np.where(kept, 0.0, self.losses.of(self.references(kept), np.arange(len(kept))))

    def stated(self, kept: Array) -> dict[str, Array]:
        """Per thing, which answers state it: bool (inputs,)."""
        truth = self.losses.truth
        if self.held:
            references = self.references(kept)
            return {what: there[references] for what, there in truth.items()}
        # The rule's own answer is redundant: it states nothing.
        return {what: there & kept for what, there in truth.items()}

    def outcome(self, kept: Array) -> Outcome:
        """What comes of sending `kept`, bool (inputs,)."""
        stated, truth = self.stated(kept), self.losses.truth
        return Outcome(
            sent=float(kept.mean()),
            accuracy=float(1.0 - self.lost(kept).mean()),
            events=score_events(self.events, truth, stated, self.captured_s),
            by_thing={
                what: score_events({what: events}, {what: truth[what]}, {what: stated[what]}, self.captured_s)
                for what, events in self.events.items()
                if events or stated[what].any()
            },
        )

    def sent_within(self, kept: Array, within_s: float | None) -> tuple[int, int]:
        """Of how many events an input was sent within so many seconds (None: while they last), and how many there are.

        What stands in between counts for nothing here: an answer that always states an event would find them all.
        """
        counted = distinct(self.events)
        sent = {what: there & kept for what, there in self.losses.truth.items()}
        late_s = delays(counted, sent, self.captured_s)
        found = np.isfinite(late_s) if within_s is None else late_s <= within_s + 1e-9
        return int(found.sum()), len(counted)

"""Events: what people ask of a camera is whether something was seen, and how late. NumPy only.

An event is a run of inputs on which something is there: a class, in a zone, on one stream. It is *found* by the first
answer within it that states it, however that answer was made (executed, linked, held, reused, local).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..evidence import interval
from ..outputs import Array, OutputSpec

GAP_S = 1.0
"""Runs with no more than that between them are one event."""
MIN_S = 0.5
"""A run that is shorter is no event."""
WITHIN_S = (2.0, 10.0)
"""The delays for which the share of events found is told; also where events are split by their length."""
_DAY_MINUTES = 24 * 60.0


@dataclass(frozen=True)
class Event:
    """One event on one stream.

    Attributes:
        what: a class, or whatever is there ("person", "person in door").
        first: the index of its first input.
        last: that of its last one.
        start_s: when the first was captured.
        end_s: when the last was captured.
        source: which source event it is: one that is played twice counts once.
    """

    what: str
    first: int
    last: int
    start_s: float
    end_s: float
    source: int = 0

    @property
    def length_s(self) -> float:
        """How long it lasts."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class EventScore:
    """How many events were found, and how late.

    Attributes:
        events: distinct source events.
        found: of those.
        recall: the share found; None without events.
        interval: where that share lies with 95 % confidence (Clopper-Pearson, events taken as independent).
        delay_p50_s: median time from an event's start to the answer that found it; infinite where it is a miss.
        delay_p95_s: likewise.
        within: share of the events found within so many seconds.
        by_length: (found, events) of those shorter than 2 s, of 2 to 10 s, and longer.
        false_minutes: minutes per camera and day in which an event is stated and there is none.
        f1: FilterForward's event F1: recall of events against precision of inputs.
    """

    events: int
    found: int
    recall: float | None
    interval: tuple[float, float]
    delay_p50_s: float
    delay_p95_s: float
    within: dict[float, float]
    by_length: dict[str, tuple[int, int]]
    false_minutes: float
    f1: float | None


def presence(outputs: Sequence[Array], spec: OutputSpec) -> dict[str, Array]:
    """Per class, on which inputs it is there: bool (inputs,); of a label, the most probable class.

    Kinds without classes give one entry, "something": a count above 0, a mask or text that is not empty. Vectors and
    scalars give none.
    """
    raise NotImplementedError


def events_of(
    what: str, there: Array, captured_s: Array, *, gap_s: float = GAP_S, min_s: float = MIN_S
) -> list[Event]:
    """The events in a stream.

    Args:
        what: what is there.
        there: bool (inputs,).
        captured_s: float64 (inputs,), rising.
        gap_s: runs with no more than that between them are joined.
        min_s: shorter ones are left out.
    """
    raise NotImplementedError


def score_events(
    events: Mapping[str, Sequence[Event]],
    there: Mapping[str, Array],
    stated: Mapping[str, Array],
    captured_s: Array,
    *,
    delivered_s: Array | None = None,
) -> EventScore:
    """How a stream of answers did.

    Args:
        events: per what, the true events.
        there: per what, on which inputs it truly is: bool (inputs,).
        stated: per what, on which inputs the answer states it: bool (inputs,).
        captured_s: when each input was captured.
        delivered_s: when each answer was there; None: at once.
    """
    raise NotImplementedError

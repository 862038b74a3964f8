"""Events: what people ask of a camera is whether something was seen, and how late. NumPy only.

An event is a run of inputs on which something is there: a class, in a zone, on one stream. It is *found* by the first
answer to one of its inputs that states it and was delivered before it ended, however that answer was made (executed,
linked, held, reused, local).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InvalidInput
from ..evidence import interval
from ..outputs import Array, OutputSpec

GAP_S = 1.0
"""Runs with no more than that between them are one event."""
MIN_S = 0.5
"""A run that is shorter is no event."""
WITHIN_S = (2.0, 10.0)
"""The delays for which the share of events found is told; also where events are split by their length."""
LENGTHS = ("< 2 s", "2-10 s", "> 10 s")
"""What the events of each length are called."""

_DAY_MINUTES = 24 * 60.0
# A step that is so many times the usual one is a hole in the recording: what was there before is not known to last.
_HOLE_STEPS = 5.0
# Events come in bunches if the mean time between them is so many times that of the nearest third: 2.5 by chance.
_BUNCHED = 10.0
# FilterForward's weights of an event's existence and of the share of its inputs that were found.
_EXISTENCE, _OVERLAP = 0.9, 0.1
# Times are sums of steps.
_SLACK_S = 1e-6


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

    Without events there is no recall, and delays and shares are NaN.

    Attributes:
        events: distinct source events.
        found: of those.
        recall: the share found; None without events.
        interval: where that share lies with 95 % confidence (Clopper-Pearson, over `clusters`).
        delay_p50_s: median time from an event's start to the answer that found it; infinite where it is a miss.
        delay_p95_s: likewise.
        within: share of the events found within so many seconds.
        by_length: (found, events) of those shorter than 2 s, of 2 to 10 s, and longer.
        false_minutes: minutes per camera and day in which an event is stated and there is none.
        f1: FilterForward's event F1: recall of events against precision of inputs.
        clusters: how many independent events they are worth: fewer where they come in bunches.
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
    clusters: float = 0.0


def presence(outputs: Sequence[Array], spec: OutputSpec) -> dict[str, Array]:
    """Per class, on which inputs it is there: bool (inputs,); of a label, the most probable class.

    Kinds without classes give one entry, "something": a count above 0, a mask or text that is not empty. Vectors and
    scalars give none.
    """
    if spec.kind in ("vector", "scalar"):
        return {}
    if spec.kind == "tokens":
        return {"something": np.asarray([len(output) > 0 for output in outputs], bool)}
    if spec.kind in ("mask", "count"):
        return {"something": np.asarray([bool((output >= 0.5).any()) for output in outputs], bool)}
    seen = np.zeros((len(outputs), len(spec.classes)), bool)
    for row, output in zip(seen, outputs, strict=True):
        if spec.kind == "boxes":
            row[output[:, 5].astype(np.int64)] = True
        elif spec.kind == "label":
            row[int(np.argmax(output))] = True
        else:
            row[:] = output >= 0.5
    return {name: seen[:, column] for column, name in enumerate(spec.classes)}


def events_of(
    what: str,
    there: Array,
    captured_s: Array,
    *,
    gap_s: float = GAP_S,
    min_s: float = MIN_S,
    source_s: Array | None = None,
) -> list[Event]:
    """The events in a stream.

    An event lasts from its first input to its last: a run of one input lasts 0 s. It ends where the recording has a
    hole (a step above `gap_s` and above five times the usual one).

    Args:
        what: what is there.
        there: bool (inputs,).
        captured_s: float64 (inputs,), rising.
        gap_s: runs with no more than that between them are joined.
        min_s: shorter ones are left out.
        source_s: where in the source each input was, if that is played again and again: events that overlap there are
            one source event. None: each event is one.

    Raises:
        InvalidInput: times go back, or there are not as many as inputs.
    """
    there = np.asarray(there, bool)
    _check_times(captured_s, len(there))
    if source_s is not None and len(source_s) != len(there):
        raise InvalidInput(f"events: {len(source_s)} places in the source for {len(there)} inputs; give one for each")
    steps = np.diff(captured_s)
    ends = steps > max(gap_s, _HOLE_STEPS * _step(captured_s)) + _SLACK_S
    if source_s is not None:
        ends |= np.diff(source_s) < 0.0
    held = np.concatenate(([0], np.cumsum(ends)))
    found: list[tuple[int, int]] = []
    for i in np.flatnonzero(there).tolist():
        if found:
            first, last = found[-1]
            near = last == i - 1 or captured_s[i] - captured_s[last] <= gap_s + _SLACK_S
            if near and held[last] == held[i]:
                found[-1] = (first, i)
                continue
        found.append((i, i))
    events = [
        Event(what, first, last, float(captured_s[first]), float(captured_s[last]))
        for first, last in found
        if captured_s[last] - captured_s[first] >= min_s - _SLACK_S
    ]
    sources = range(len(events)) if source_s is None else _sources(events, source_s)
    return [replace(event, source=source) for event, source in zip(events, sources, strict=True)]


def distinct(events: Mapping[str, Sequence[Event]]) -> list[Event]:
    """The first play of every source event, in the order of time.

    A later play is left out, also where the first was missed: it is no new event, and what learns may know it by then.
    """
    seen: dict[tuple[str, int], Event] = {}
    for event in sorted((event for each in events.values() for event in each), key=lambda event: event.start_s):
        seen.setdefault((event.what, event.source), event)
    return list(seen.values())


def clusters_of(events: Sequence[Event], cluster_s: float | None = None) -> Array:
    """Which cluster each event (in the order of time) is of: int (events,), from 0.

    Args:
        events: of one stream, of all that is looked for.
        cluster_s: events with no more than that between them are of one cluster; None: events that overlap are, and
            where they come in bunches those of a bunch.
    """
    if not events:
        return np.zeros(0, int)
    starts = np.asarray([event.start_s for event in events])
    ends = np.maximum.accumulate([event.end_s for event in events])
    gaps = np.maximum(starts[1:] - ends[:-1], 0.0)
    if cluster_s is None:
        cluster_s = _bunch_s(gaps)
    return np.concatenate(([0], np.cumsum(gaps > cluster_s)))


def worth(clusters: Array) -> float:
    """How many independent events clusters are worth, if the events of one share their fate: (sum m)² / sum m²."""
    sizes = np.bincount(clusters)
    return float(len(clusters) ** 2 / (sizes**2).sum()) if len(clusters) else 0.0


def delays(
    events: Sequence[Event], stated: Mapping[str, Array], captured_s: Array, *, delivered_s: Array | None = None
) -> Array:
    """Per event: from its start to the answer that found it, in seconds; infinite for a miss."""
    arrived = captured_s if delivered_s is None else delivered_s
    found = np.full(len(events), math.inf)
    for row, event in enumerate(events):
        part = slice(event.first, event.last + 1)
        times = arrived[part][stated[event.what][part] & (arrived[part] <= event.end_s)]
        if len(times):
            found[row] = max(0.0, float(times.min()) - event.start_s)
    return found


def score_events(
    events: Mapping[str, Sequence[Event]],
    there: Mapping[str, Array],
    stated: Mapping[str, Array],
    captured_s: Array,
    *,
    delivered_s: Array | None = None,
    cluster_s: float | None = None,
) -> EventScore:
    """How a stream of answers did.

    An answer stands until the next input, at most `GAP_S`; where what it states is not there and no event is, that
    time is false. Source events count once, by their first play.

    Args:
        events: per what, the true events.
        there: per what, on which inputs it truly is: bool (inputs,).
        stated: per what, on which inputs the answer states it: bool (inputs,).
        captured_s: when each input was captured.
        delivered_s: when each answer was there; None: at once.
        cluster_s: events with no more than that between them share their fate; None: those that overlap, and those of
            a bunch where they come in bunches.

    Raises:
        InvalidInput: times go back, or something is missing in `there` or `stated`.
    """
    for what in events:
        for name, given in (("there", there), ("stated", stated)):
            if what not in given or len(given[what]) != len(captured_s):
                raise InvalidInput(
                    f"events of {what!r}: `{name}` must have one entry for each of {len(captured_s)} inputs"
                )
    _check_times(captured_s, len(captured_s))
    counted = distinct(events)
    late_s = delays(counted, stated, captured_s, delivered_s=delivered_s)
    hits = np.isfinite(late_s)
    independent = worth(clusters_of(counted, cluster_s))
    stands_s = _stands(captured_s)
    false, precision = _false(events, there, stated)
    watched_s = float(stands_s.sum())
    return EventScore(
        events=len(counted),
        found=int(hits.sum()),
        recall=float(hits.mean()) if counted else None,
        interval=_interval(int(hits.sum()), len(counted), independent),
        delay_p50_s=_quantile(late_s, 0.5),
        delay_p95_s=_quantile(late_s, 0.95),
        within={limit: float((late_s <= limit + _SLACK_S).mean()) if counted else math.nan for limit in WITHIN_S},
        by_length=_by_length(counted, hits),
        false_minutes=_DAY_MINUTES * float(stands_s[false].sum()) / watched_s if watched_s else 0.0,
        f1=_event_f1(counted, stated, precision) if counted else None,
        clusters=independent,
    )


def _check_times(captured_s: Array, inputs: int) -> None:
    if len(captured_s) != inputs:
        raise InvalidInput(f"events: {len(captured_s)} times for {inputs} inputs; give one for each")
    back = np.flatnonzero(~(np.diff(captured_s) >= 0.0))
    if len(back):
        i = int(back[0])
        raise InvalidInput(
            f"events: input {i + 1} was captured at {captured_s[i + 1]:g} s, before input {i} at {captured_s[i]:g} s; "
            "times must not go back: score each recording by itself"
        )


def _step(captured_s: Array) -> float:
    steps = np.diff(captured_s)
    return float(np.median(steps)) if len(steps) else 0.0


def _stands(captured_s: Array) -> Array:
    """How long the answer to each input stands."""
    if not len(captured_s):
        return np.zeros(0)
    steps = np.append(np.diff(captured_s), _step(captured_s) if len(captured_s) > 1 else GAP_S)
    return np.asarray(np.minimum(steps, GAP_S))


def _sources(events: Sequence[Event], source_s: Array) -> list[int]:
    """Numbers for events, the same where they overlap in the source."""
    spans = [(float(source_s[event.first]), float(source_s[event.last]), row) for row, event in enumerate(events)]
    numbers = [0] * len(events)
    end, number = -math.inf, -1
    for first_s, last_s, row in sorted(spans):
        if first_s > end:
            number += 1
        end = max(end, last_s)
        numbers[row] = number
    return numbers


def _bunch_s(gaps: Array) -> float:
    """How far events of one bunch are apart; 0 where they come in none (then only those that overlap are one)."""
    apart = gaps[gaps > 0.0]
    if len(apart) < 3:
        return 0.0
    near, mean = max(float(np.quantile(apart, 1 / 3)), _SLACK_S), float(apart.mean())
    return math.sqrt(near * mean) if mean > _BUNCHED * near else 0.0


def _interval(found: int, events: int, independent: float) -> tuple[float, float]:
    if not events:
        return (0.0, 1.0)
    if independent >= events - _SLACK_S:
        return interval(found, events)
    # Whole numbers of clusters, rounded to the wider side.
    count = max(1, int(independent))
    share = found / events * count
    return interval(math.floor(share), count)[0], interval(math.ceil(share), count)[1]


def _quantile(late_s: Array, share: float) -> float:
    """The delay that so many of the events keep to; no interpolation, for a miss is never."""
    return float(np.quantile(late_s, share, method="inverted_cdf")) if len(late_s) else math.nan


def _by_length(events: Sequence[Event], hits: Array) -> dict[str, tuple[int, int]]:
    short, long = WITHIN_S
    lengths = np.asarray([event.length_s for event in events])
    parts = (lengths < short, (lengths >= short) & (lengths <= long), lengths > long)
    return {name: (int(hits[part].sum()), int(part.sum())) for name, part in zip(LENGTHS, parts, strict=True)}


def _false(
    events: Mapping[str, Sequence[Event]], there: Mapping[str, Array], stated: Mapping[str, Array]
) -> tuple[Array, float]:
    """On which inputs something is stated that is not there, and the precision of all that is stated."""
    inputs = len(next(iter(there.values()))) if there else 0
    false = np.zeros(inputs, bool)
    right = said = 0
    for what, truth in there.items():
        if what not in stated:
            continue
        states, true = stated[what], np.array(truth, bool)
        for event in events.get(what, ()):
            true[event.first : event.last + 1] = True
        false |= states & ~true
        right += int((states & true).sum())
        said += int(states.sum())
    return false, right / said if said else 0.0


def _event_f1(events: Sequence[Event], stated: Mapping[str, Array], precision: float) -> float:
    shares = np.asarray([float(stated[event.what][event.first : event.last + 1].mean()) for event in events])
    recall = float((_EXISTENCE * (shares > 0.0) + _OVERLAP * shares).mean())
    return 2.0 * precision * recall / (precision + recall) if precision + recall > 0.0 else 0.0

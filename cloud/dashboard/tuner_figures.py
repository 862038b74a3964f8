"""A tuning as plain values for the page, and in words how each of its figures came to be."""

from collections.abc import Sequence
from typing import Any

from ...filters.evaluation.baselines import Baseline
from ...filters.evaluation.judged_part import Point
from ...filters.evaluation.outcome import Outcome
from ...filters.evaluation.side_by_side import SideBySide
from ...filters.evaluation.tune import Level, Tuning
from ...filters.evaluation.words import contract_text, finite
from ...traces.events import Event, EventScore
from .tuner_recordings import proof_text


def plain(found: Tuning) -> dict[str, Any]:
    """A tuning as JSON has it; what is infinite (a miss) is None."""
    values = {
        "aim": found.aim,
        "rule": found.rule,
        "models": list(found.models),
        "competed": list(found.competed),
        "learnt": found.learnt,
        "calibrated": found.calibrated,
        "judged": found.judged,
        "judged_bytes": found.judged_bytes,
        "judged_s": found.judged_s,
        "first": found.first,
        "warnings": list(found.warnings),
        "events": _events(found.events, found.first),
        "levels": [_level(level, found) for level in found.levels],
        "points": [_point(point) | _quiet(point, found.first) for point in found.points],
        "how": how(found),
    }
    return dict(finite(values))


def plain_sides(found: SideBySide) -> dict[str, Any]:
    """Filters side by side, as JSON has them."""
    values = {
        "judged": found.judged,
        "judged_bytes": found.judged_bytes,
        "judged_s": found.judged_s,
        "events": _events(found.events, found.first),
        "sides": [
            {
                "name": side.name,
                "kind": side.spec.kind,
                "asked": list(side.spec.asked),
                "certified": side.spec.certificate.certified,
                "proof": proof_text(side.spec),
                "contract": contract_text(side.evaluation),
                "promises": [promise.text for promise in side.evaluation.promises],
                "warnings": list(side.evaluation.warnings),
                **_point(side.point),
            }
            for side in found.sides
        ],
    }
    return dict(finite(values))


def how(found: Tuning) -> list[str]:
    """How the figures came to be, a sentence or two for each kind of them."""
    learnt = (
        f"The gates learnt from the first {found.learnt} inputs."
        if found.learnt
        else "The filter is a file: nothing was learnt from this recording here."
    )
    rival = f"; the {len(found.competed)} that competed share the 5 %" if len(found.competed) > 1 else ""
    what = "the accuracy" if found.aim == "accuracy" else "the share of events"
    return [
        f"{learnt} Thresholds were chosen and certified on the {found.calibrated} inputs that follow{rival}.",
        f"What is sent, found and missed, delays, bytes and the table beside: from the last {found.judged} inputs, "
        "which had no say in what was chosen. The gate has seen the inputs before them, too, as it would have at work.",
        f"Promised is {what} that the certificate proves with 95 % confidence for scenes like those of the part that "
        "chose (Clopper-Pearson's bound over independent runs, or eventss).",
        "An event is found by the first answer that states it while it lasts; its delay is from its start to the "
        "input that was sent. The way to the coordinator and back comes on top.",
        "Bytes are those of the inputs as they were recorded; as H.264 pictures take less.",
        "Free gates send as many inputs; where it says so, their threshold was tuned on the judged inputs, which "
        "flatters them.",
    ]


def _events(events: Sequence[Event], first: int) -> list[dict[str, Any]]:
    return [
        {
            "what": event.what,
            "first": first + event.first,
            "last": first + event.last,
            "start_s": event.start_s,
            "seconds": event.length_s,
        }
        for event in events
    ]


def _level(level: Level, found: Tuning) -> dict[str, Any]:
    told: dict[str, Any] = {"asked": level.asked, "point": level.point, "why": level.why}
    proof = level.certificate
    if proof is None:
        return told
    events = found.aim == "events"
    return told | {
        "certified": proof.certified,
        "promised": 1.0 - proof.upper_bound,
        "measured": 1.0 - proof.error,
        "confidence": proof.confidence,
        "inputs": proof.inputs,
        "runs": proof.runs,
        "lost": proof.lost,
        "method": proof.method,
        "sent": 1.0 - proof.rate,
        "sent_interval": sorted(1.0 - share for share in proof.rate_interval),
        "more": proof.more_runs,
        "unit": "events" if events else "runs",
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "gate": point.gate,
        "threshold": point.threshold,
        **_outcome(point.found),
        "size_bytes": point.size_bytes,
        "late_s": list(point.late_s),
        "baselines": [_baseline(each) for each in point.baselines],
        "ahead": list(point.ahead),
    }


def _quiet(point: Point, first: int) -> dict[str, Any]:
    return {name: [first + index for index in getattr(point, name)] for name in ("skipped", "in_vain")}


def _outcome(found: Outcome) -> dict[str, Any]:
    return {"sent": found.sent, "accuracy": found.accuracy, **score(found.events)}


def _baseline(found: Baseline) -> dict[str, Any]:
    return {
        "name": found.name,
        "note": found.note,
        "sent": 1.0 - found.rate,
        "accuracy": found.accuracy,
        **score(found.events),
    }


def score(found: EventScore) -> dict[str, Any]:
    """What was found of events."""
    return {
        "events": found.events,
        "found": found.found,
        "recall": found.recall,
        "interval": list(found.interval),
        "clusters": found.clusters,
        "p50_s": found.delay_p50_s,
        "p95_s": found.delay_p95_s,
        "false_minutes": found.false_minutes,
    }

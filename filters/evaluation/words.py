"""A judgement in words and cells: what events were found, who is ahead, and numbers that JSON can hold."""

import math
from typing import Any

from ...traces.events import EventScore
from .baselines import TUNED
from .evaluate import FilterEvaluation

GATE_COLUMNS = ("sent", "accuracy", "found", "2 s", "10 s", "p50 s", "p95 s", "false min", "F1")
GATE_CAPTION = (
    "found: events; 2 s, 10 s: the share found within that; p50, p95: delay; false min: minutes a day in which an "
    "event is stated and there is none; F1: FilterForward's"
)
_CONTRACT = {
    "kept": "kept",
    "not proven": "kept, but on so few runs that it is not proven",
    "undecided": "undecided: missed, but on so few runs that it may be luck",
    "broken": "BROKEN",
    "none": "there is none",
}


def gate_rows(found: FilterEvaluation) -> list[tuple[str, ...]]:
    """The filter and the free gates, a row of cells each, with where its threshold is from as the last one."""
    ours = (found.gate, f"{1 - found.rate:.3f}", f"{found.accuracy:.3f}", *score_cells(found.events), "")
    free = (
        (each.name, f"{1 - each.rate:.3f}", f"{each.accuracy:.3f}", *score_cells(each.events), each.note)
        for each in found.baselines
    )
    return [ours, *free]


def contract_text(found: FilterEvaluation) -> str:
    """What became of the promises together, whether they were certified, and the skill."""
    skill = "" if found.skill is None else f"; skill {found.skill:.2f} (0 is dropping at random, 1 knows the outputs)"
    certified = "" if found.certified or not found.promises else " (not certified)"
    return f"accuracy contract: {_CONTRACT[found.contract]}{certified}{skill}"


def tuned_text(found: FilterEvaluation) -> str:
    """Which free gates are flattered."""
    tuned = [each.name for each in found.baselines if each.note == TUNED]
    if not tuned:
        return ""
    return f"Of {', '.join(tuned)} the threshold is tuned on this trace to the filter's send rate, which flatters them."


def score_cells(found: EventScore) -> tuple[str, ...]:
    """What was found of events, in the cells of the columns from `found` on."""
    shares = tuple(_share(found.within.get(limit, math.nan)) for limit in (2.0, 10.0))
    delays = (_seconds(found.delay_p50_s), _seconds(found.delay_p95_s))
    f1 = "-" if found.f1 is None else _share(found.f1)
    return (f"{found.found}/{found.events}", *shares, *delays, f"{found.false_minutes:.0f}", f1)


def events_text(judged: FilterEvaluation) -> str:
    """How many events were found, with how sure that is, and of which length."""
    found = judged.events
    if not judged.timed:
        return "Its inputs have an order and no times, so that there are no events among them."
    if found.recall is None:
        return "There is no event in this trace, so nothing is known of how many are found."
    low, high = found.interval
    ones = f"{found.clusters:.0f} independent {'one' if round(found.clusters) == 1 else 'ones'}"
    worth = "" if found.clusters >= found.events - 0.5 else f", worth {ones}"
    lengths = ", ".join(f"{name} {hits} of {count}" for name, (hits, count) in found.by_length.items() if count)
    return (
        f"Found {found.found} of {found.events} events{worth}: {found.recall:.2f} (95 % interval {low:.2f} to "
        f"{high:.2f}); by length: {lengths}."
    )


def ahead_text(found: FilterEvaluation) -> str:
    """That free gates are ahead, with the numbers of the best of them."""
    best = max(
        (each for each in found.baselines if each.name in found.ahead),
        key=lambda each: (each.events.found, each.accuracy),
    )
    free = f"{best.name} sends {1 - best.rate:.3f}, finds {best.events.found} of {best.events.events} events"
    ours = f"{found.gate} sends {1 - found.rate:.3f}, finds {found.events.found}"
    free_are = "costs nothing, is" if len(found.ahead) == 1 else "cost nothing, are"
    return (
        f"{' and '.join(found.ahead)}, which {free_are} ahead of {found.gate}: "
        f"{free} and is right on {best.accuracy:.3f}; {ours} and is right on {found.accuracy:.3f}"
    )


def finite(value: Any) -> Any:
    """The same with None for what is infinite (never) or not known, which JSON has no number for."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else "never" if math.isinf(value) else f"{value:.1f}"

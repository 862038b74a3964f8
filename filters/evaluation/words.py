"""A judgement in words and cells: what events were found, who is ahead, and numbers that JSON can hold."""

import math
from typing import Any

from ...traces.events import EventScore
from .evaluate import FilterEvaluation


def score_cells(found: EventScore) -> tuple[str, ...]:
    """Events found, within 2 and 10 s, delays, false minutes a day, F1: cells of a table."""
    shares = tuple(_share(found.within.get(limit, math.nan)) for limit in (2.0, 10.0))
    delays = (_seconds(found.delay_p50_s), _seconds(found.delay_p95_s))
    f1 = "-" if found.f1 is None else _share(found.f1)
    return (f"{found.found}/{found.events}", *shares, *delays, f"{found.false_minutes:.0f}", f1)


def events_text(found: EventScore) -> str:
    """How many events were found, with how sure that is, and of which length."""
    if found.recall is None:
        return "There is no event in this trace, so nothing is known of how many are found."
    low, high = found.interval
    worth = "" if found.clusters >= found.events - 0.5 else f", worth {found.clusters:.0f} independent ones"
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
    return (
        f"{' and '.join(found.ahead)}, which cost nothing, {'is' if len(found.ahead) == 1 else 'are'} ahead of "
        f"{found.gate}: {free} and is right on {best.accuracy:.3f}; {ours} and is right on {found.accuracy:.3f}"
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

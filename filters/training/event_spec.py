"""What a filter's file says of the events that it finds: the promise, the table, the certificate."""

import math
from collections.abc import Sequence

import numpy as np

from ...evidence import CONFIDENCE, share_interval
from ..event_promise import EventPromise
from ..spec import CandidateResult, Certificate, FilterSpec, Level
from .entrants import Entrant
from .event_selection import EventJudged, EventTarget, more_events
from .selection import Choice
from .train import filter_spec
from .workload import Workload

_TABLE_ROWS = 25


def agreement(best: EventJudged, entrant: Entrant, work: Workload) -> float:
    """Of the answers that stand in for what is not sent in the calibration part, the share that states the truth."""
    kept = best.sweep.kept[best.best]
    current = np.flatnonzero(~kept)
    current = current[current >= best.sweep.calibrated]
    if not len(current):
        return 1.0
    right = np.ones(len(current), bool)
    last = np.maximum.accumulate(np.where(kept, np.arange(len(kept)), 0))
    for there in work.losses.truth.values():
        truth = there[work.split.stop - len(kept) : work.split.stop]
        stated = truth[last[current]] if _holds(entrant, work) else False
        right &= truth[current] == stated
    return float(right.mean())


def _holds(entrant: Entrant, work: Workload) -> bool:
    return work.losses.pairwise or entrant.compares or entrant.keeps == "flip"


def event_spec(
    work: Workload,
    winner: Entrant,
    best: EventJudged,
    judged: Sequence[EventJudged],
    target: EventTarget,
    confidence: float,
) -> FilterSpec:
    """What the file of the winner says of itself, and of the events that it finds."""
    watch, missed = best.sweep.watch, best.missed
    rows = np.unique(np.append(np.linspace(0, len(missed) - 1, _TABLE_ROWS).round().astype(int), best.best))
    choice = Choice(
        name=best.sweep.name,
        threshold=float(best.sweep.thresholds[best.best]),
        certificate=certificate_of(best, target, confidence),
        table=tuple(
            Level(
                threshold=float(best.sweep.thresholds[row]),
                rate=1.0 - float(best.sweep.sent[row]),
                error=float(missed[row]),
                upper_bound=float(best.uppers[row]),
            )
            for row in rows.tolist()
        ),
        candidates={
            each.sweep.name: CandidateResult(
                rate=1.0 - float(each.sweep.sent[each.best]),
                error=float(each.missed[each.best]),
                threshold=float(each.sweep.thresholds[each.best]),
                certified=each.certified,
            )
            for each in judged
        },
    )
    lower_bound = 1.0 - float(best.uppers[best.best])
    # Without a share that was asked for, what is proven is promised.
    proven = math.floor(100.0 * lower_bound) / 100.0
    recall = target.recall or float(np.clip(proven, 0.01, 0.99))
    promise = EventPromise(
        recall=recall,
        within_s=target.within_s if np.isfinite(target.within_s) else None,
        confidence=confidence,
        certified=best.certified and lower_bound >= recall and not work.trace.unproven,
        events=len(watch.events),
        clusters=watch.worth,
        found=best.found,
        lower_bound=lower_bound,
        rate=choice.certificate.rate,
        more_events=more_events(best, target, confidence=confidence),
        agreement=agreement(best, winner, work),
    )
    spec = filter_spec(work, choice, accuracy=0.0, modality=winner.modality, stem=winner.stem, compared=winner.compared)
    compares = winner.compares or work.losses.pairwise
    return spec.model_copy(
        update={
            "reference": "last kept" if compares else "previous",
            "keeps": winner.keeps,
            "state_weights": winner.state_weights,
            "longest_s": target.heartbeat_s,
            "events": promise,
            "budget": best.budget,
        }
    )


def certificate_of(best: EventJudged, target: EventTarget, confidence: float) -> Certificate:
    """What is proven of the events that are lost, in the terms of any filter's certificate."""
    watch = best.sweep.watch
    lost = float(best.missed[best.best])
    return Certificate(
        certified=best.certified,
        confidence=CONFIDENCE,
        inputs=best.sweep.kept.shape[1] - best.sweep.calibrated,
        runs=round(watch.worth, 1),
        lost=round(lost * watch.worth, 4),
        error=lost,
        upper_bound=float(best.uppers[best.best]),
        method="clopper-pearson over events",
        rate=1.0 - float(best.sweep.sent[best.best]),
        rate_interval=share_interval(~best.sweep.kept[best.best][best.sweep.calibrated :])[0],
        more_runs=more_events(best, target, confidence=confidence),
    )

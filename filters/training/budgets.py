"""Which gate finds the most within a budget: every candidate in closed loop with its threshold moving as at work."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...evidence import clopper_pearson
from ...outputs import Array
from ..budget import Budget, BudgetControl
from .candidates import Candidate
from .event_selection import EventJudged, EventSweep, EventTarget
from .workload import Workload

# Of candidates that find as much, to this share of the events, the one that is preferred wins.
_EQUAL_FOUND = 0.02
_AROUND = 2.0
_LEAST_PROVEN = 0.01


def held(
    candidate: Candidate,
    threshold: float,
    budget: Budget,
    *,
    captured_s: Array,
    start: int,
    stop: int,
    longest_s: float | None = None,
) -> Array:
    """What is sent of the inputs from `start` up to `stop`, as at work: bool (inputs,); the first one is."""
    kept = np.zeros(stop - start, bool)
    control, last = BudgetControl(budget), start
    for j in range(start, stop):
        score = float(candidate.scores(np.asarray([last]), j)[0])
        overdue = longest_s is not None and captured_s[j] - captured_s[last] >= longest_s
        sent = j == start or overdue or not score <= control.threshold(threshold)
        control.note(sent=sent)
        if sent:
            last, kept[j - start] = j, True
    return kept


def fit_budget(sweep: EventSweep, share: float, *, window_s: float, step_s: float) -> tuple[float, Budget]:
    """The threshold at which a candidate sends that share where it was calibrated, and how it moves from there."""
    order = np.argsort(sweep.sent, kind="stable")
    sent, thresholds = np.maximum(sweep.sent[order], 1e-6), sweep.thresholds[order]
    # A threshold below all scores is only a bound.
    real = thresholds > sweep.thresholds.min() if len(thresholds) > 1 else np.ones(1, bool)
    at = np.interp(np.log([share * _AROUND, share, share / _AROUND]), np.log(sent[real]), thresholds[real])
    step = float(at[2] - at[0]) / (2.0 * np.log(_AROUND))
    # Where nothing lies around, what all thresholds span.
    step = step if step > 0 else float(np.ptp(thresholds[real])) / 10.0
    return float(at[1]), Budget.over(share, window_s=window_s, step_s=step_s, step=step)


def judge_held(
    sweep: EventSweep, candidate: Candidate, work: Workload, target: EventTarget, *, confidence: float
) -> EventJudged:
    """What a candidate is proven to find that holds the budget of `target`.

    Args:
        sweep: what it sends at thresholds that stay where they are.
        candidate: scores the inputs.
        work: what it competes for.
        target: what is asked for, with a budget.
        confidence: of the bound.
    """
    assert target.budget is not None, "what holds no budget is judged by its sweep"
    times = work.trace.captured_s
    step_s = float(np.median(np.diff(times)))
    threshold, budget = fit_budget(sweep, target.budget, window_s=target.window_s, step_s=step_s)
    stop = work.split.stop
    start = stop - sweep.kept.shape[1]
    kept = held(candidate, threshold, budget, captured_s=times, start=start, stop=stop, longest_s=target.heartbeat_s)
    one = replace(sweep, thresholds=np.asarray([threshold]), kept=kept[None])
    missed = one.watch.lost(one.kept).mean(axis=1) if one.watch.events else np.ones(1)
    worth = one.watch.worth
    upper = clopper_pearson(float(missed[0]) * worth, worth, confidence=confidence)
    proven = 1.0 - upper >= max(target.recall, _LEAST_PROVEN)
    return EventJudged(one, missed, np.asarray([upper]), 0, certified=proven, budget=budget)


def most_found(judged: Sequence[EventJudged]) -> EventJudged:
    """The one that finds the most of the events; the first among equals."""
    least = min(float(each.missed[0]) for each in judged)
    return next(each for each in judged if float(each.missed[0]) <= least + _EQUAL_FOUND)

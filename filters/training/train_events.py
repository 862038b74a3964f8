"""Learns a filter that finds events: the gate that sends the fewest inputs, certified over events."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import InvalidInput, NotCertified
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress, part_of
from ...traces.events import distinct, events_of
from ...traces.trace import Trace
from ..proof import check_times
from ..rules.parser import Rule
from .budgets import judge_held, most_found
from .candidates import Candidate, EveryCandidate, RandomCandidate
from .contest import Contest
from .costs import Costs, counted_s, measured_s
from .entrants import Entrant
from .event_gates import scored_once
from .event_selection import (
    EventJudged,
    EventSweep,
    EventTarget,
    Watch,
    best_of,
    confidence_of,
    judge_sweep,
    more_events,
)
from .event_spec import event_spec
from .fit_loop import one_thread
from .graphs import save_filter
from .losses import Losses
from .replay import Replay, Singles, sample_pairs
from .selection import EQUAL
from .stem_view import StemView
from .sweep import references
from .train import FilterTraining
from .workload import GAP_S, LEAST_INPUTS, Split, Workload, check_fires, modality_of, read_inputs

MOST_INPUTS = 40_000
"""Events are rare: of a longer trace the newest inputs are learnt from, at about 25 KB of memory each."""
_LEAST_PART = 0.25
_SAMPLED = 1500
# Where a thousandth of the inputs matters, so does a thousandth of the thresholds.
_QUANTILES = np.concatenate((np.linspace(0.0, 0.9, 31), 1.0 - np.geomspace(0.09, 0.0005, 32), [1.0]))


def train_event_filter(
    trace: Trace,
    *,
    models: Sequence[str] = (),
    rule: Rule,
    target: EventTarget,
    out: Path,
    modality: str = "",
    candidates: Sequence[str] = (),
    stem: Stem | None = None,
    int8: bool = False,
    uncertified: bool = False,
    resume: bool = True,
    seed: int = 0,
    costs: Costs = counted_s,
    progress: Progress | None = None,
) -> FilterTraining:
    """Learns which inputs must be sent so that events are found, and writes that to `out`.

    The arguments are those of `train_filter`, with what is asked of events in place of an accuracy. What learns nothing
    is certified over the events of the whole trace, what learns over those of its later part.

    Args:
        trace: what is learnt from; of a longer one, the newest `MOST_INPUTS`.
        models: whose outputs count.
        rule: what is redundant; events are of what it tells apart.
        target: the share of the events to find, how soon, and the longest time without an input.
        out: the filter's file.
        modality: how inputs are seen that are no pictures; "": as the trace says.
        candidates: which compete, by name; "all" of them; none: those that cost little to train.
        stem: whose features the candidates with a stem read; None: they do not compete.
        int8: whether large weights are kept as int8.
        uncertified: whether a filter is written although nothing is proven of it; its file then says so.
        resume: whether a training that was interrupted is resumed.
        seed: of everything that is drawn.
        costs: what a decision of a candidate costs, which is weighed against what it saves.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the trace is too short, has no events early or late, or what wins (of candidates that were not
            named) sends no fewer inputs than a random draw.
        NotCertified: nothing is proven to find so many events; the text says how many more it takes.
        UnknownModel: the trace has no such model.
    """
    began_s = time.perf_counter()
    check_target(target)
    if not uncertified:
        check_times(trace)
    check_timed(trace)
    trace = trace.part(max(0, len(trace) - MOST_INPUTS), len(trace))
    losses = Losses(trace, tuple(dict.fromkeys(models)) or tuple(trace.models), rule)
    check_fires(losses)
    modality = modality_of(trace, modality)
    split = split_by_events(trace, losses.truth)
    with one_thread():
        inputs = read_inputs(trace, losses, modality, inputs=split.trained, progress=part_of(progress, 0.0, 0.15))
        seen = StemView.beside(stem, trace, modality)
        work = Workload(trace, losses, split, inputs, modality, seed, seen)
        checkpoint = out if resume else None
        contest = Contest(work, int8=int8, checkpoint=checkpoint, progress=part_of(progress, 0.15, 0.7), events=True)
        entered = contest.enter(candidates)
        told = part_of(progress, 0.7, 1.0)
        judged = _judge_all(work, entered, target, costs, told)
    best = best_of(judged) if target.budget is None else most_found(judged)
    confidence = confidence_of(len(judged))
    if not best.certified and not uncertified:
        raise NotCertified(_missing(best, target, confidence, len(judged)))
    free = judge_free(work, target, confidence=confidence)
    if not candidates:
        _check_useful(best, free, target)
    winner = entered[judged.index(best)]
    spec = event_spec(work, winner, best, [*judged, free], target, confidence)
    save_filter(out, winner.graph, spec)
    contest.clear()
    return FilterTraining(
        path=out,
        spec=spec,
        trained=split.trained,
        calibrated=split.stop - split.calibrated,
        redundant=None if losses.pairwise else float(1.0 - losses.needed.mean()),
        curves={each.candidate.name: each.curve for each in entered if each.curve},
        decision_s={each.candidate.name: measured_s(each, work) for each in entered},
        seconds=time.perf_counter() - began_s,
    )


def check_timed(trace: Trace) -> None:
    """Refuses inputs that have an order and no times.

    Raises:
        InvalidInput: saying what can be asked for instead.
    """
    if trace.info.times == "order":
        raise InvalidInput(
            f"{trace.path}: its inputs have an order and no times, so that there are no events among them: ask for "
            "--accuracy"
        )


def check_target(target: EventTarget) -> None:
    """Refuses what can't be asked for.

    Raises:
        InvalidInput: saying what can.
    """
    if not 0.0 < target.recall < 1.0 and not (target.recall == 0.0 and target.budget is not None):
        raise InvalidInput(f"event recall must be above 0 and below 1, not {target.recall:g}")
    if not target.within_s >= 0.0:
        raise InvalidInput(f"events can be found within 0 s or more, not {target.within_s:g} s")
    if target.budget is not None and not 0.0 < target.budget < 1.0:
        raise InvalidInput(f"a budget must be above 0 and below 1, not {target.budget:g}")
    if not target.window_s > 0.0:
        raise InvalidInput(f"a budget's window must be above 0 s, not {target.window_s:g} s")
    if target.heartbeat_s is not None and not target.heartbeat_s > 0.0:
        raise InvalidInput(f"a heartbeat must be above 0 s, not {target.heartbeat_s:g} s")


def split_by_events(trace: Trace, truth: Mapping[str, Array]) -> Split:
    """The cut in time, between two events, with about as many of them after it as before, and a gap.

    Raises:
        InvalidInput: the trace is too short, its times do not rise, or it has fewer than two events.
    """
    if len(trace) < LEAST_INPUTS:
        raise InvalidInput(
            f"{trace.path}: {len(trace)} inputs are too few to learn a filter from: record an hour or more"
        )
    if not (np.diff(trace.captured_s) > 0).all():
        raise InvalidInput(f"{trace.path}: the times of capture do not rise from input to input")
    if not truth:
        raise InvalidInput(
            f"{trace.path}: by this rule nothing comes and goes that could be an event, as its models give numbers or "
            "vectors: ask for an accuracy, or give a rule such as value <= 3"
        )
    events = distinct({what: events_of(what, there, trace.captured_s) for what, there in truth.items()})
    if len(events) < 2:
        raise InvalidInput(
            f"{trace.path}: has {len(events)} events of {', '.join(truth)}: one to learn from and one to "
            "certify with is the least; record longer"
        )
    # A little before the middle one begins, but never within the one before it.
    middle = events[len(events) // 2].first
    ended = max(event.last for event in events[: len(events) // 2])
    least = round(_LEAST_PART * len(trace))
    trained = int(np.clip((min(ended, middle) + middle) // 2, least, len(trace) - least))
    end_s = min(trace.captured_s[trained] + GAP_S, trace.captured_s[middle] if middle > trained else np.inf)
    calibrated = max(trained + 1, int(np.searchsorted(trace.captured_s, end_s)))
    return Split(trained, calibrated, len(trace))


def _judge_all(
    work: Workload, entered: Sequence[Entrant], target: EventTarget, costs: Costs, progress: Progress | None
) -> list[EventJudged]:
    confidence = confidence_of(len(entered))
    recorded = work.trace.info.costs
    models_s = sum(recorded[name].infer_s for name in work.losses.models if name in recorded)
    found = []
    for i, each in enumerate(entered):
        if progress is not None:
            progress(i / len(entered), f"calibrating: {each.candidate.name}")
        sweep = sweep_events(each.candidate, work, target, learnt=each.learnt)
        cost = costs(each, work) / models_s if models_s else 0.0
        # Rates are not known more exactly.
        sweep = replace(sweep, cost=EQUAL * (cost // EQUAL))
        if target.budget is None:
            found.append(judge_sweep(sweep, target, confidence=confidence))
        else:
            candidate = scored_once(each.candidate, work)
            found.append(judge_held(sweep, candidate, work, target, confidence=confidence))
    if progress is not None:
        progress(1.0, "choosing")
    return found


def judge_free(work: Workload, target: EventTarget, *, confidence: float) -> EventJudged:
    """The best of the free gates that are no filter: a random draw, and every K-th input."""
    free: tuple[tuple[Candidate, Array], ...] = (
        (RandomCandidate(work.split.stop, seed=work.seed), 1.0 - np.geomspace(1.0, 1e-3, 61)),
        (EveryCandidate(), np.unique(np.append(0.0, np.geomspace(1, 2000, 60).round())) + 0.5),
    )
    sweeps = [sweep_events(each, work, target, learnt=False, thresholds=levels) for each, levels in free]
    if target.budget is None:
        return best_of([judge_sweep(sweep, target, confidence=confidence) for sweep in sweeps])
    candidates = [each for each, _ in free]
    held = [judge_held(*each, work, target, confidence=confidence) for each in zip(sweeps, candidates, strict=True)]
    return most_found(held)


def sweep_events(
    candidate: Candidate, work: Workload, target: EventTarget, *, learnt: bool, thresholds: Array | None = None
) -> EventSweep:
    """A candidate in closed loop at many thresholds: over the whole trace, or where it was not learnt from.

    Args:
        candidate: scores the inputs.
        work: what it competes for.
        target: what is asked for.
        learnt: whether it learnt from the training part.
        thresholds: to try; None: those that suit its scores.
    """
    split, losses = work.split, work.losses
    start = split.calibrated if learnt or not isinstance(work.replay, Replay) else 0
    candidate = scored_once(candidate, work)
    replay = getattr(candidate, "replay", work.replay)
    if thresholds is None:
        thresholds = levels_of(candidate, replay, start=split.calibrated, stop=split.stop, seed=work.seed)
    longest_s = target.heartbeat_s
    last = references(candidate, thresholds, replay=replay, start=start, stop=split.stop, longest_s=longest_s)
    return EventSweep(
        name=candidate.name,
        thresholds=thresholds,
        kept=last == np.arange(start, split.stop),
        watch=Watch.of(losses.truth, work.trace.captured_s, start=start, stop=split.stop, within_s=target.within_s),
        calibrated=split.calibrated - start,
    )


def levels_of(candidate: Candidate, replay: Replay | Singles, *, start: int, stop: int, seed: int) -> Array:
    """Thresholds worth trying on a stretch: quantiles of the scores, the denser the higher; one below all."""
    own = getattr(candidate, "levels", None)
    if own is not None:
        return np.asarray(own)
    if candidate.alone is not None:
        return np.append(-1.0, np.unique(np.quantile(candidate.alone[start:stop], _QUANTILES)))
    random = np.random.default_rng(seed)
    pairs = [sample_pairs(replay, start, stop, random) for _ in range(-(-_SAMPLED // (stop - start)))]
    kept, current = (np.concatenate([getattr(each, name) for each in pairs]) for name in ("kept", "current"))
    drawn = random.permutation(len(kept))[:_SAMPLED].tolist()
    scores = [float(candidate.scores(kept[i : i + 1], int(current[i]))[0]) for i in drawn]
    return np.append(-1.0, np.unique(np.quantile(scores, _QUANTILES)))


def _missing(best: EventJudged, target: EventTarget, confidence: float, candidates: int) -> str:
    watch = best.sweep.watch
    worth = "" if watch.worth > len(watch.events) - 0.5 else f", worth {watch.worth:.0f} independent ones,"
    return (
        f"nothing is certified to find {target.recall:g} of the events{in_time(target)}: {len(watch.events)} "
        f"events{worth} are too few for {candidates} candidates at 95% confidence; some "
        f"{more_events(best, target, confidence=confidence)} more would do if all of them were found (fewer for one "
        f"candidate by name: --candidate {best.sweep.name}); the best, {best.sweep.name}, found {best.found} of "
        f"{len(watch.events)} and sent {float(best.sweep.sent[best.best]):.3f} of the inputs; record longer, ask for "
        "less, or have it without a proof with --uncertified (what was learnt is kept beside it in *.training, "
        "so that another try takes seconds)"
    )


def in_time(target: EventTarget) -> str:
    """In words."""
    return f" within {target.within_s:g} s" if np.isfinite(target.within_s) else ""


def _check_useful(best: EventJudged, free: EventJudged, target: EventTarget) -> None:
    if target.budget is not None:
        if free.found_share > best.found_share:
            raise InvalidInput(
                f"what was learnt is useless: within a budget of {target.budget:g} of the inputs the best candidate, "
                f"{best.sweep.name}, finds {best.found_share:.3f} of the events{in_time(target)}, and "
                f"{free.sweep.name} {free.found_share:.3f}; record longer, or have it all the same with --candidate "
                f"{best.sweep.name}"
            )
        return
    if free.certified >= best.certified and float(free.sweep.sent[free.best]) <= best.sent - EQUAL / 2:
        raise InvalidInput(
            f"what was learnt is useless: to find {target.recall:g} of the events{in_time(target)} the best candidate, "
            f"{best.sweep.name}, sends {best.sent:.3f} of the inputs, and {free.sweep.name} "
            f"{float(free.sweep.sent[free.best]):.3f}; record longer, or have it all the same with --candidate "
            f"{best.sweep.name}"
        )

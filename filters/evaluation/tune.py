"""What can be asked of a recording: the gate that training would choose at each level, judged on a part without a say.

A recording is cut in three. The first two parts are those of training: one to learn from, one to choose and certify
thresholds with. The last part has no say in anything: what a gate sends, finds and misses is told from it alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...errors import InvalidInput
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress, part_of
from ...traces.events import Event
from ...traces.trace import Trace
from ..proof import unproven
from ..rules.parser import Rule
from ..spec import Certificate
from ..training.candidates import Candidate, EveryCandidate, RandomCandidate
from ..training.contest import Contest
from ..training.costs import counted_s
from ..training.entrants import Entrant
from ..training.event_gates import scored_once
from ..training.event_selection import EventSweep, EventTarget, best_of, confidence_of, judge_sweep
from ..training.event_spec import certificate_of
from ..training.fit_loop import one_thread
from ..training.free_gates import fit_free
from ..training.losses import Losses
from ..training.replay import LONGEST_S
from ..training.selection import EQUAL, choose
from ..training.stem_view import StemView
from ..training.sweep import Sweep, calibrate, references
from ..training.train_events import check_timed, split_by_events, sweep_events
from ..training.workload import (
    Split,
    Workload,
    check_fires,
    check_worth,
    modality_of,
    read_inputs,
    split_of,
)
from .judged_part import MOST_INPUTS, Cut, Judge, Point, cut_of

Aim = Literal["accuracy", "events"]
"""What is asked for: agreement with the models, or that events are found."""

LEVELS = tuple(round(level / 100, 2) for level in range(50, 100))
"""The accuracies, or shares of the events, that are asked for."""


@dataclass(frozen=True)
class Competitor:
    """A gate with all its thresholds.

    Attributes:
        name: what it competes as.
        sweep: what each threshold brings on the calibration part.
        judge: what thresholds keep of the judged part: bool (thresholds, inputs).
        held: whether the answer for the last kept input stands in for one that is not kept.
        cost: of a decision, as a share of the models' time.
    """

    name: str
    sweep: Sweep | EventSweep
    judge: Callable[[Array], Array]
    held: bool
    cost: float = 0.0


@dataclass(frozen=True)
class Level:
    """What is chosen where so much is asked for, and what is proven of it.

    Attributes:
        asked: the least accuracy, or the least share of the events.
        point: which of the points it is; None: nothing can be chosen.
        certificate: of the calibration part; None likewise.
        why: why nothing can be chosen, or what speaks against it; empty: nothing.
    """

    asked: float
    point: int | None
    certificate: Certificate | None
    why: str = ""


@dataclass(frozen=True)
class Tuning:
    """Everything that can be asked of a recording.

    Attributes:
        aim: what was asked for.
        rule: what is redundant.
        models: whose outputs count.
        competed: the candidates' names.
        learnt: how many inputs were learnt from; 0: none, the filter is a file.
        calibrated: how many chose and certified thresholds.
        judged: how many judged.
        judged_bytes: their size as they were recorded.
        judged_s: how long they last.
        first: the index of the first judged input in the recording.
        events: those of the judged part; indices count from `first`.
        levels: what is chosen, level by level.
        points: the gates that are.
        warnings: why this recording may say little.
    """

    aim: Aim
    rule: str
    models: tuple[str, ...]
    competed: tuple[str, ...]
    learnt: int
    calibrated: int
    judged: int
    judged_bytes: int
    judged_s: float
    first: int
    events: tuple[Event, ...]
    levels: tuple[Level, ...]
    points: tuple[Point, ...]
    warnings: tuple[str, ...] = ()


def tune(
    trace: Trace,
    *,
    rule: Rule,
    models: Sequence[str] = (),
    aim: Aim = "accuracy",
    within_s: float = np.inf,
    candidates: Sequence[str] = (),
    modality: str = "",
    stem: Stem | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuning:
    """Trains what competes and judges what would be chosen at each level.

    Candidates are trained, calibrated and chosen among as `train_filter` and `train_event_filter` do on the trace
    without the judged part.

    Args:
        trace: a recording; of a longer one the newest `MOST_INPUTS` are taken.
        rule: what is redundant.
        models: whose outputs count; none: all.
        aim: what is asked for.
        within_s: events: how soon after they began.
        candidates: who competes; none: those that training enters.
        modality: how inputs are seen that are no pictures; "": as the trace says.
        stem: whose features candidates read; None: there is none.
        seed: of everything that is drawn.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: there is too little to learn from or to judge on, or the rule does not fit.
        UnknownModel: the trace has no such model.
    """
    if aim == "events":
        check_timed(trace)
    offset = max(0, len(trace) - MOST_INPUTS)
    with trace.part(offset, len(trace)) as newest:
        cut = cut_of(newest)
        chosen = tuple(dict.fromkeys(models)) or tuple(newest.models)
        losses = Losses(newest, chosen, rule)
        with newest.part(0, cut.stop) as before:
            own = Losses(before, chosen, rule)
            check_fires(own)
            split = split_of(before) if aim == "accuracy" else split_by_events(before, own.truth)
            target = EventTarget(0.5, within_s)
            modality = modality_of(newest, modality)
            with one_thread():
                read = part_of(progress, 0.0, 0.15)
                inputs = read_inputs(newest, losses, modality, inputs=split.trained, progress=read)
                seen = StemView.beside(stem, newest, modality, progress=part_of(progress, 0.15, 0.3))
                work = Workload(newest, losses, split, inputs, modality, seed, seen)
                told = part_of(progress, 0.3, 0.7)
                entered = Contest(work, progress=told, events=aim == "events").enter(candidates)
                # Chosen is by what was recorded before the cut, which goes through an event.
                chooses = replace(work, trace=before, losses=own)
                competitors = [trained_competitor(each, chooses, cut, target, aim) for each in entered]
                free = [] if aim == "events" else _free(chooses, [each.name for each in competitors])

            def worth(asked: float) -> None:
                if aim == "accuracy":
                    check_worth(own, split, asked)

            return measure(
                newest,
                cut,
                losses,
                competitors,
                references=free,
                aim=aim,
                target=target,
                worth=worth,
                learnt_free=lambda rate: fit_free(inputs, split.calibrated, split.stop, rate),
                split=split,
                offset=offset,
                progress=part_of(progress, 0.7, 1.0),
            )


def trained_competitor(each: Entrant, work: Workload, cut: Cut, target: EventTarget, aim: Aim) -> Competitor:
    """A candidate that was trained, with what its decisions cost."""
    recorded = work.trace.info.costs
    models_s = sum(recorded[name].infer_s for name in work.losses.models if name in recorded)
    cost = counted_s(each, work) / models_s if models_s else 0.0
    held = work.losses.pairwise or each.compares or each.keeps == "flip"
    return replace(competitor(each.candidate, work, cut, target, aim, held=held, learnt=each.learnt), cost=cost)


def competitor(
    candidate: Candidate, work: Workload, cut: Cut, target: EventTarget, aim: Aim, *, held: bool, learnt: bool
) -> Competitor:
    """A candidate with its thresholds, as training tries them.

    Args:
        candidate: scores every input.
        work: what it competes for: the part that chooses.
        cut: where the judged part is.
        target: what is asked of events.
        aim: what is asked for.
        held: whether the answer for the last kept input stands in for one that is not kept.
        learnt: whether it has learnt from the training part.
    """
    if aim == "events":
        run: Sweep | EventSweep = sweep_events(candidate, work, target, learnt=learnt)
        scored, longest_s = scored_once(candidate, work), target.heartbeat_s
        replay = getattr(scored, "replay", work.replay)
    else:
        run = calibrate(candidate, work)
        scored, replay, longest_s = candidate, work.replay, LONGEST_S if work.replay.pairwise else None

    # At work it has run for long when the first judged input comes.
    start = work.split.calibrated

    def judge(thresholds: Array) -> Array:
        last = references(scored, thresholds, replay=replay, start=start, stop=cut.inputs, longest_s=longest_s)
        return np.asarray(last == np.arange(start, cut.inputs))[:, cut.judged - start :]

    return Competitor(candidate.name, run, judge, held)


def _free(work: Workload, names: Sequence[str]) -> list[Sweep]:
    """What free gates bring on the calibration part: what saves no more than they do is not certified."""
    free = (RandomCandidate(len(work.trace), seed=work.seed), EveryCandidate())
    return [calibrate(each, work) for each in free if each.name not in names]


def measure(
    trace: Trace,
    cut: Cut,
    losses: Losses,
    competitors: Sequence[Competitor],
    *,
    references: Sequence[Sweep],
    aim: Aim,
    target: EventTarget,
    worth: Callable[[float], None],
    learnt_free: Callable[[float], Mapping[str, float]],
    split: Split,
    offset: int = 0,
    warnings: Sequence[str] = (),
    progress: Progress | None = None,
) -> Tuning:
    """Chooses at every level and judges what was chosen.

    Args:
        trace: the inputs that are cut.
        cut: where.
        losses: on all of them.
        competitors: the gates.
        references: free gates on the calibration part.
        aim: what is asked for.
        target: what is asked of events.
        worth: refuses a level that leaves nothing to do.
        learnt_free: the free gates' thresholds on the calibration part, at a filtering rate.
        split: how the part before the judged one is cut.
        offset: of its first input in the recording.
        warnings: why this recording may say little.
        progress: is told the share done.
    """
    levels, wanted = [], dict[tuple[str, float], int]()
    for asked in LEVELS:
        try:
            worth(asked)
            name, threshold, certificate = (
                _choose(competitors, references, asked)
                if aim == "accuracy"
                else _choose_for_events(competitors, replace(target, recall=asked))
            )
        except InvalidInput as error:
            levels.append(Level(asked, None, None, str(error)))
            continue
        point = wanted.setdefault((name, threshold), len(wanted))
        levels.append(Level(asked, point, unproven(certificate, trace)))
    by_name = {each.name: each for each in competitors}
    with trace.part(cut.judged, cut.inputs) as judged:
        judge = Judge(judged, Losses(judged, losses.models, losses.rule), learnt_free)
        points = []
        kept = _judged(competitors, wanted)
        for done, (name, threshold) in enumerate(wanted):
            if progress is not None:
                progress(done / len(wanted), "judging")
            points.append(judge.point(name, threshold, kept[name, threshold], held=by_name[name].held))
        return Tuning(
            aim=aim,
            rule=losses.rule.text,
            models=losses.models,
            competed=tuple(by_name),
            learnt=split.trained,
            calibrated=split.stop - split.calibrated,
            judged=len(judged),
            judged_bytes=int(judge.sizes.sum()),
            judged_s=float(judged.captured_s[-1] - judged.captured_s[0]),
            first=offset + cut.judged,
            events=tuple(judge.events),
            levels=tuple(levels),
            points=tuple(points),
            warnings=(*warnings, *([judged.unproven] if judged.unproven else [])),
        )


def _judged(competitors: Sequence[Competitor], wanted: Collection[tuple[str, float]]) -> dict[tuple[str, float], Array]:
    """What each of some gates at a threshold keeps of the judged part: bool (inputs,)."""
    found: dict[tuple[str, float], Array] = {}
    for each in competitors:
        thresholds = sorted(threshold for name, threshold in wanted if name == each.name)
        rows = each.judge(np.asarray(thresholds)) if thresholds else ()
        found |= {(each.name, threshold): row for threshold, row in zip(thresholds, rows, strict=True)}
    return found


def _choose(
    competitors: Sequence[Competitor], references: Sequence[Sweep], accuracy: float
) -> tuple[str, float, Certificate]:
    sweeps = [each.sweep for each in competitors if isinstance(each.sweep, Sweep)]
    found = choose(sweeps, accuracy=accuracy, references=references, costs=[each.cost for each in competitors])
    return found.name, found.threshold, found.certificate


def _choose_for_events(competitors: Sequence[Competitor], target: EventTarget) -> tuple[str, float, Certificate]:
    confidence = confidence_of(len(competitors))
    judged = [
        # Rates are not known more exactly.
        judge_sweep(replace(each.sweep, cost=EQUAL * (each.cost // EQUAL)), target, confidence=confidence)
        for each in competitors
        if isinstance(each.sweep, EventSweep)
    ]
    best = best_of(judged)
    threshold = float(best.sweep.thresholds[best.best])
    return best.sweep.name, threshold, certificate_of(best, target, confidence)

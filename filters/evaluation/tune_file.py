"""A filter's file in the place of what would be trained: at each of its thresholds, over a recording."""

from functools import cache
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...reporting import Progress, part_of
from ...traces.site import camera_of
from ...traces.trace import Trace
from ..gates.learned import FilterRuntime
from ..spec import FilterSpec, Level, load_filter
from ..training.candidates import EveryCandidate, RandomCandidate, ScoredCandidate
from ..training.event_selection import EventSweep, EventTarget, Watch
from ..training.free_gates import fit_free
from ..training.losses import Losses
from ..training.replay import Replay, Unseen
from ..training.sweep import Sweep, calibrate
from ..training.workload import Split, Workload
from .evaluate import losses_for
from .judged_part import MOST_INPUTS, Cut, cut_of
from .tune import Aim, Competitor, Tuning, competitor, measure
from .verdict import trace_warnings

_MOST_RUNS = 13
"""Thresholds of a filter that compares with the last kept input: each is a run of its own."""


def tune_file(
    path: Path, trace: Trace, *, aim: Aim = "accuracy", within_s: float = np.inf, progress: Progress | None = None
) -> Tuning:
    """Judges what would be chosen of a filter's thresholds at each level, by its own rule, on its own models.

    Nothing is learnt: the part before the judged one chooses and certifies thresholds.

    Args:
        path: the filter.
        trace: a recording of the same models.
        aim: what is asked for.
        within_s: events: how soon after they began.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: it is no such filter, was learnt from other models, or there is too little to judge on.
    """
    camera = camera_of(trace.path)
    spec = load_filter(path)[0].of_camera(camera)
    if spec.budget is not None:
        raise InvalidInput(
            f"{path.name}: its threshold moves to hold a budget, so that there is none to choose: judge it with "
            f"`infilink evaluate filter {path.name} {trace.path.name}`"
        )
    offset = max(0, len(trace) - MOST_INPUTS)
    with trace.part(offset, len(trace)) as newest:
        cut = cut_of(newest)
        gate = FilterRuntime(path, camera=camera)
        split = Split(0, 0, cut.stop)
        target = EventTarget(0.5, within_s, spec.longest_s if aim == "events" else None)
        told = part_of(progress, 0.0, 0.7)
        with newest.part(0, cut.stop) as before:
            # Chosen is by what was recorded before the cut, which goes through an event.
            work = Workload(before, losses_for(gate, before), split, Unseen(newest.captured_s))
            if spec.pairwise or spec.keeps == "flip" or spec.compared:
                found = _run(path, camera, spec, newest, work, cut, target, aim, told)
            else:
                candidate = ScoredCandidate(path.stem, _scores(gate, newest, told))
                found = competitor(candidate, work, cut, target, aim, held=spec.held, learnt=True)
            free = [calibrate(each, work) for each in (RandomCandidate(len(newest)), EveryCandidate())]
            losses = losses_for(gate, newest)

        @cache
        def replay() -> Replay:
            with newest.part(0, cut.stop) as part:
                return Replay(part, pairwise=losses.pairwise)

        def fit(rate: float) -> dict[str, float]:
            return fit_free(replay(), 0, cut.stop, rate) if newest.info.input == "image" else {}

        return measure(
            newest,
            cut,
            losses,
            [found],
            references=free if aim == "accuracy" else [],
            aim=aim,
            target=target,
            worth=lambda asked: None,
            learnt_free=fit,
            split=split,
            offset=offset,
            warnings=trace_warnings(spec.learnt_from, spec.certificate, trace, spec.certificate.rate),
            progress=part_of(progress, 0.7, 1.0),
        )


def _scores(gate: FilterRuntime, trace: Trace, progress: Progress | None) -> Array:
    """The score of each input, which does not depend on what is kept; what it fails on is above all others."""
    found = np.empty(len(trace))
    for i, (value, captured_s) in enumerate(zip(trace.inputs(), trace.captured_s, strict=True)):
        score = gate.decide(value, float(captured_s)).score
        found[i] = np.inf if score is None else score
        _tell(progress, i, len(trace))
    return found


def _run(
    path: Path,
    camera: str,
    spec: FilterSpec,
    trace: Trace,
    work: Workload,
    cut: Cut,
    target: EventTarget,
    aim: Aim,
    progress: Progress | None,
) -> Competitor:
    """A filter that compares with the last kept input, at some of its thresholds, side by side."""
    known = sorted({level.threshold for level in spec.table} | {spec.threshold})
    chosen = {known[i] for i in np.linspace(0, len(known) - 1, min(len(known), _MOST_RUNS)).round().astype(int)}
    thresholds = np.asarray(sorted(chosen | {spec.threshold}))
    gates = [FilterRuntime(path, camera=camera) for _ in thresholds]
    for gate, threshold in zip(gates, thresholds.tolist(), strict=True):
        gate.use_level(Level(threshold=threshold, rate=0.0, error=0.0, upper_bound=1.0), certified=False)
    kept = np.zeros((len(gates), len(trace)), bool)
    for i, (value, captured_s) in enumerate(zip(trace.inputs(), trace.captured_s, strict=True)):
        for row, gate in enumerate(gates):
            kept[row, i] = gate.decide(value, float(captured_s)).keep
        _tell(progress, i, len(trace))
    before = kept[:, : cut.stop]
    if aim == "events":
        watch = Watch.of(work.losses.truth, work.trace.captured_s, start=0, stop=cut.stop, within_s=target.within_s)
        run: Sweep | EventSweep = EventSweep(path.stem, thresholds, before, watch)
    else:
        run = _losses_of(path.stem, thresholds, before, work.losses)

    def judge(asked: Array) -> Array:
        return kept[np.searchsorted(thresholds, asked), cut.judged :]

    return Competitor(path.stem, run, judge, spec.held)


def _losses_of(name: str, thresholds: Array, kept: Array, losses: Losses) -> Sweep:
    current = np.arange(kept.shape[1])
    reference = np.maximum.accumulate(np.where(kept, current, 0), axis=1)
    lost = np.stack([np.where(row, 0.0, losses.of(last, current)) for row, last in zip(kept, reference, strict=True)])
    dropped = np.where(current == 0, 0.0, losses.of(np.zeros_like(current), current))
    return Sweep(name, thresholds, kept, lost, dropped)


def _tell(progress: Progress | None, done: int, inputs: int) -> None:
    if progress is not None and done % 50 == 0:
        progress(done / inputs, "the filter decides")

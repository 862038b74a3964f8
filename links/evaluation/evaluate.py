"""Replays recorded cameras within a budget as a coordinator serves them, and what is free beside it."""

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...files import replacing
from ...models.spec import ModelSpec
from ...outputs import Array
from ...reporting import Progress
from ...traces.site import Site
from ...traces.trace import Trace
from ..answer import Answer
from ..graph import LinkGraph
from ..planning.plan import Plan
from ..planning.planner import make_plan
from ..planning.streams import Stream
from ..scheduling.replay import RecordedCamera
from .events import TargetEvents, score_links
from .policies import Answered, Scheduled, fixed, scheduled
from .tally import ModelTally, Tally
from .unseen import held_out

logger = logging.getLogger(__name__)

COLUMNS = (
    "camera",
    "sequence",
    "captured_s",
    "model",
    "score",
    "decision",
    "origin",
    "served",
    "true",
    "agreement",
    "trust",
    "region",
)
"""Of the file of answers."""


@dataclass(frozen=True)
class LinksEvaluation:
    """What a site's schedule reached with links on recorded cameras, closed loop.

    Attributes:
        inputs: how many inputs were replayed, of all cameras.
        first_sequence: of each camera, the first of them; later than the recording's first where links were learnt from
            the rest.
        left_out: how many were not replayed, because the links were learnt from them.
        known: the cameras that have links of their own.
        plan: what was loaded at the beginning, and the agreement that was expected.
        agreement: mean agreement with the exact models over all models and inputs, exact outputs included.
        predicted_agreement: the same over the outputs that were not executed alone; None if all were.
        free_agreement: what holding and constants alone reach on those same outputs, where the same models ran.
        skill: (predicted - free) / (1 - free); None where that says nothing.
        executions_saved: share of all executions that did not happen.
        spent_s: the seconds of processors that runs and loads took.
        full_s: what running every model on every input takes.
        loads: by model, how often it was loaded.
        trusted_share: share of the predicted outputs that are called trusted.
        trusted_agreement: agreement of those; None if there are none.
        trusted_bound: 95 % upper bound on how often those disagree; None if there are none.
        trusted_runs: how many independent runs that bound stands on.
        region_share: share of the predicted outputs that have a region.
        region_coverage: share of the regions that hold the exact output; None if there are none.
        audited: how many predictions were compared during the replay, as they are while serving.
        revocations: how often trust was revoked during the replay because of them.
        regained: how often it was gained, or regained.
        events: how the events in each model's outputs were found, beside what is free; of several cameras by
            `camera: model`.
        models: the same by model.
        cameras: by camera, the agreement.
        certified_runs: by model, the fewest runs that a certificate for it rests on; 0: it has none.
        baselines: overall agreement of what needs no links, on the same inputs, memory and compute.
    """

    inputs: int
    first_sequence: Mapping[str, int]
    left_out: int
    known: Sequence[str]
    plan: Plan
    agreement: float
    predicted_agreement: float | None
    free_agreement: float | None
    skill: float | None
    executions_saved: float
    spent_s: float
    full_s: float
    loads: Mapping[str, int]
    trusted_share: float
    trusted_agreement: float | None
    trusted_bound: float | None
    trusted_runs: int
    region_share: float
    region_coverage: float | None
    audited: int
    revocations: int
    regained: int
    events: Mapping[str, TargetEvents]
    models: Mapping[str, ModelTally]
    cameras: Mapping[str, float]
    certified_runs: Mapping[str, int]
    baselines: Mapping[str, float]


def evaluate_links(
    folder: Path | str,
    traces: Trace | Mapping[str, Trace],
    *,
    budget_bytes: int,
    compute_cores: float = float("inf"),
    decisions: Path | None = None,
    progress: Progress | None = None,
) -> LinksEvaluation:
    """Replays recorded cameras within a budget of memory and compute, as if all had begun together.

    Inputs that the links were learnt from or chosen on are left out, whatever a recording is called. Of a recording
    that they were trained on only the last part is replayed, which is logged as a warning. Each camera is answered by
    its own links where there are some. Answers for virtual models count where the recordings have outputs of that name,
    which are then the truth.

    Args:
        folder: the links.
        traces: a recording, or one of each camera.
        budget_bytes: the memory models may use.
        compute_cores: the processors' seconds that they may use in a second.
        decisions: a CSV file to write every answer to.
        progress: told the share done and what is being done.

    Raises:
        InvalidInput: the recordings' models are not those the links were learnt from, or the budget is too small.
    """
    graph, site = LinkGraph.load(folder), Site.of(traces)
    graph.check(folder, site.models, site.info.digests, info=site.info)
    say = progress or (lambda share, doing: None)
    with ExitStack() as opened:
        rests = {}
        for name, trace in site.items():
            rests[name] = held_out(graph, trace)
            if rests[name] is not trace:
                opened.callback(rests[name].close)
        say(0.0, "looking at the inputs")
        known = [m for m, spec in graph.models.items() if not spec.virtual or _labels(site.first, spec)]
        cameras = [_recorded(graph.camera(name), name, rest, known) for name, rest in rests.items()]
        streams = [Stream(each.name, graph.camera(each.name).tables, _rate(each.captured_s)) for each in cameras]
        plan = make_plan(graph, budget_bytes, streams=streams, compute_cores=compute_cores)
        say(0.2, "replaying: links")
        links = scheduled(graph, cameras, plan, compute_cores=compute_cores)
        say(0.7, "replaying: what needs no links")
        free = fixed(graph, cameras, streams, compute_cores=compute_cores, plan=plan)
        with _writer(decisions) as write:
            tallies = [
                _tally(graph, each, answers, rests[each.name], write)
                for each, answers in zip(cameras, links.answers, strict=True)
            ]
        left_out = site.inputs - sum(len(rest) for rest in rests.values())
        first = {name: int(rest.sequences[0]) for name, rest in rests.items()}
        # Inputs with an order and no times have no events.
        events = {} if site.info.times == "order" else _events(graph, cameras, tallies)
        say(1.0, "done")
        return _evaluation(
            graph, cameras, plan, links, free, tallies, events=events, first_sequence=first, left_out=left_out
        )


def _recorded(graph: LinkGraph, name: str, trace: Trace, models: Sequence[str]) -> RecordedCamera:
    captured_s = np.asarray(trace.captured_s, float)
    outputs = {model: trace.outputs(model) for model in models}
    return RecordedCamera(name, captured_s - captured_s[:1], outputs, _features(graph, trace), None, graph)


def _rate(captured_s: Sequence[float] | Array) -> float:
    """How many inputs came in a second; of a single one nobody knows."""
    return (len(captured_s) - 1) / max(float(captured_s[-1] - captured_s[0]), 1e-6) if len(captured_s) > 1 else 1.0


def _features(graph: LinkGraph, trace: Trace) -> Array | None:
    """What the links' stem makes of each input; None: they read none, or the recording holds no pictures."""
    if graph.stem is None:
        return None
    if trace.info.input != "image":
        logger.warning("%s: holds no pictures, so what the links tell from the stem is left out", trace.path)
        return None
    return np.stack([graph.stem.see(frame).features for frame in trace.frames()])


def _labels(trace: Trace, virtual: ModelSpec) -> bool:
    """Whether a recording has outputs that answers for a virtual model can be compared with."""
    known = trace.models.get(virtual.name)
    return known is not None and known.output == virtual.output


def _tally(
    graph: LinkGraph,
    camera: RecordedCamera,
    answers: Sequence[Mapping[str, Answer]],
    trace: Trace | None = None,
    write: Callable[[Iterable[tuple[object, ...]]], None] | None = None,
) -> Tally:
    """How the answers to a camera's inputs agree; each of them is written."""
    tally = Tally({name: graph.models[name] for name in camera.outputs})
    for row, answered in enumerate(answers):
        exact = {name: values[row] for name, values in camera.outputs.items()}
        compared = {name: answer for name, answer in answered.items() if name in exact}
        agreements = tally.add(compared, exact)
        if trace is not None and write is not None:
            moment = (camera.name, int(trace.sequences[row]), float(trace.captured_s[row]))
            write(_rows(graph.models, moment, compared, exact, agreements))
    return tally


def _all(graph: LinkGraph, cameras: Sequence[RecordedCamera], answered: Answered) -> Tally:
    total = Tally({name: graph.models[name] for name in cameras[0].outputs})
    for camera, answers in zip(cameras, answered, strict=True):
        total.extend(_tally(graph, camera, answers))
    return total


def _evaluation(
    graph: LinkGraph,
    cameras: Sequence[RecordedCamera],
    plan: Plan,
    links: Scheduled,
    free: Mapping[str, Answered],
    tallies: Sequence[Tally],
    *,
    events: Mapping[str, TargetEvents],
    first_sequence: Mapping[str, int],
    left_out: int,
) -> LinksEvaluation:
    all_links = Tally({name: graph.models[name] for name in cameras[0].outputs})
    for tally in tallies:
        all_links.extend(tally)
    held = _all(graph, cameras, links.held)
    predicted, without = all_links.predicted_agreement, held.predicted_agreement
    bound, runs = all_links.trusted_bound or (None, 0)
    inputs = sum(len(each.captured_s) for each in cameras)
    return LinksEvaluation(
        inputs=inputs,
        first_sequence=first_sequence,
        left_out=left_out,
        known=[each.name for each in cameras if graph.knows(each.name)],
        plan=plan,
        agreement=all_links.agreement,
        predicted_agreement=predicted,
        free_agreement=without,
        skill=None if predicted is None or without in (None, 1.0) else (predicted - without) / (1.0 - without),
        executions_saved=all_links.saved,
        spent_s=links.stats.spent_s,
        full_s=inputs * sum(cost.infer_s for name, cost in graph.costs.items() if name not in graph.virtual),
        loads=links.stats.loads,
        trusted_share=all_links.trusted_share,
        trusted_agreement=all_links.trusted_agreement,
        trusted_bound=bound,
        trusted_runs=runs,
        region_share=all_links.region_share,
        region_coverage=all_links.region_coverage,
        audited=sum(each.audited for each in links.live),
        revocations=sum(each.revocations for each in links.live),
        regained=sum(each.regained for each in links.live),
        events=events,
        models=all_links.models(),
        cameras={each.name: tally.agreement for each, tally in zip(cameras, tallies, strict=True)},
        certified_runs={name: graph.tables[name].certified_runs for name in all_links.models()},
        baselines={"same runs, held": held.agreement}
        | {name: _all(graph, cameras, answered).agreement for name, answered in free.items()},
    )


def _events(graph: LinkGraph, cameras: Sequence[RecordedCamera], tallies: Sequence[Tally]) -> dict[str, TargetEvents]:
    found = {}
    for camera, tally in zip(cameras, tallies, strict=True):
        times, constants = np.asarray(camera.captured_s), graph.camera(camera.name).constants
        for model, events in score_links(graph.models, tally, camera.outputs, constants, times).items():
            found[model if len(cameras) == 1 else f"{camera.name}: {model}"] = events
    return found


@contextmanager
def _writer(path: Path | None) -> Iterator[Callable[[Iterable[tuple[object, ...]]], None] | None]:
    """A function that writes rows under a header, None without a path; the file gets its name when it is whole."""
    if path is None:
        yield None
        return
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        yield writer.writerows


def _rows(
    models: Mapping[str, ModelSpec],
    moment: tuple[str, int, float],
    answers: Mapping[str, Answer],
    exact: Mapping[str, Array],
    agreements: Mapping[str, float],
) -> Iterator[tuple[object, ...]]:
    """The rows of one input, captured at `moment` (its camera, sequence number and time)."""
    for name, answer in answers.items():
        output = models[name].output
        yield (
            *moment[:2],
            round(moment[2], 6),
            name,
            round(answer.confidence, 6),
            "run" if answer.origin == "executed" else "predict",
            answer.origin,
            output.summary(answer.value),
            output.summary(exact[name]),
            round(agreements[name], 6),
            answer.trust,
            "" if answer.region is None else answer.region.text(output),
        )

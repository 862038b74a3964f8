"""Replays a recording under a budget as it would be served, and compares links with holding and constants there."""

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...files import replacing
from ...models.spec import ModelSpec
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..answer import Answer
from ..graph import LinkGraph
from ..planning.plan import Plan
from ..planning.planner import hold_plan, make_plan
from ..serving import Serving
from ..trust.live import LiveTrust
from .events import TargetEvents, score_links
from .tally import ModelTally, Tally
from .unseen import held_out

logger = logging.getLogger(__name__)

COLUMNS = (
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
    """What a plan with links reached on a recording, closed loop.

    Attributes:
        inputs: how many inputs were replayed.
        first_sequence: the first of them; later than the recording's first where links were learnt from the rest.
        left_out: how many were not replayed, because the links were learnt from them.
        plan: what ran, chosen from what training measured.
        agreement: mean agreement with the exact models over all models and inputs, exact outputs included.
        predicted_agreement: the same over the outputs that were not executed alone; None if all were.
        free_agreement: what holding and constants alone reach on those same outputs, under the same plan.
        skill: (predicted - free) / (1 - free); None where that says nothing.
        executions_saved: share of all executions that did not happen.
        trusted_share: share of the predicted outputs that are called trusted.
        trusted_agreement: agreement of those; None if there are none.
        trusted_bound: 95 % upper bound on how often those disagree; None if there are none.
        trusted_runs: how many independent runs that bound stands on.
        region_share: share of the predicted outputs that have a region.
        region_coverage: share of the regions that hold the exact output; None if there are none.
        audited: how many predictions were compared during the replay, as they are while serving.
        revocations: how often trust was revoked during the replay because of them.
        regained: how often it was gained, or regained.
        events: how the events in each model's outputs were found, beside what is free.
        models: the same by model.
        certified_runs: by model, the fewest runs that a certificate for it rests on; 0: it has none.
        baselines: overall agreement of what needs no links, on the same inputs and budget.
    """

    inputs: int
    first_sequence: int
    left_out: int
    plan: Plan
    agreement: float
    predicted_agreement: float | None
    free_agreement: float | None
    skill: float | None
    executions_saved: float
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
    certified_runs: Mapping[str, int]
    baselines: Mapping[str, float]


def evaluate_links(
    folder: Path | str,
    trace: Trace,
    *,
    budget_bytes: int,
    decisions: Path | None = None,
    progress: Progress | None = None,
) -> LinksEvaluation:
    """Replays a recording under the best plan for a budget.

    Inputs that the links were learnt from or chosen on are left out, whatever the recording is called. Of the
    recording that they were trained on only the last part is replayed, which is logged as a warning. Answers for
    virtual models count where the recording has outputs of that name, which are then the truth.

    Args:
        folder: the links.
        trace: the recording.
        budget_bytes: the memory models may use.
        decisions: a CSV file to write every answer to.
        progress: told the share done and what is being done.

    Raises:
        InvalidInput: the recording's models are not those the links were learnt from, or the budget is too small.
    """
    graph = LinkGraph.load(folder)
    graph.check(folder, trace.models, trace.info.digests, looks_at=trace.info.input)
    plan = make_plan(graph, budget_bytes)
    rest = held_out(graph, trace)
    known = [name for name, spec in graph.models.items() if not spec.virtual or _labels(rest, spec)]
    outputs = {name: rest.outputs(name) for name in known}
    features = _features(graph, rest)
    if rest is not trace:
        rest.close()
    say = progress or (lambda share, doing: None)
    runs = _runs(graph, plan, budget_bytes)
    tallies = {}
    for index, (name, serving) in enumerate(runs.items()):
        say(index / len(runs), f"replaying: {name}")
        answers = replay(serving, rest.captured_s, outputs, features)
        tallies[name] = _tally(graph, rest, outputs, answers, decisions if name == "links" else None)
    events = score_links(graph.models, tallies["links"], outputs, graph.constants, rest.captured_s)
    say(1.0, "done")
    live, left_out = runs["links"].live, len(trace) - len(rest)
    return _evaluation(graph, rest, plan, tallies, live, events, left_out=left_out)


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


def replay(
    serving: Serving,
    captured_s: Sequence[float] | Array,
    outputs: Mapping[str, Sequence[Array]],
    features: Array | None = None,
) -> Iterator[dict[str, Answer]]:
    """The answers to one input after another, with the exact outputs of a recording, and what the stem made of it."""
    for row, moment in enumerate(captured_s):
        running = (*serving.plan.resident, *serving.due(float(moment)))
        seen = None if features is None else features[row]
        yield serving.complete(float(moment), {name: outputs[name][row] for name in running}, features=seen)


def _runs(graph: LinkGraph, plan: Plan, budget_bytes: int) -> dict[str, Serving]:
    """The plan with links, and what needs none."""
    free = graph.without_links()
    return {
        "links": Serving(graph, plan),
        "same plan, held": Serving(free, plan),
        "hold + round-robin": Serving(free, hold_plan(graph.costs, budget_bytes)),
        "run what fits": Serving(free, make_plan(free, budget_bytes, turns=False)),
        "constant": Serving(free, Plan(budget_bytes, 0, ())),
    }


def _tally(
    graph: LinkGraph,
    trace: Trace,
    outputs: Mapping[str, Sequence[Array]],
    answers: Iterable[Mapping[str, Answer]],
    decisions: Path | None = None,
) -> Tally:
    """How the answers to all inputs agree; each is written to the file `decisions`."""
    tally = Tally({name: graph.models[name] for name in outputs})
    with _writer(decisions) as write:
        for row, answered in enumerate(answers):
            exact = {name: values[row] for name, values in outputs.items()}
            compared = {name: answer for name, answer in answered.items() if name in exact}
            agreements = tally.add(compared, exact)
            if write is not None:
                moment = (int(trace.sequences[row]), float(trace.captured_s[row]))
                write(_rows(graph.models, moment, compared, exact, agreements))
    return tally


def _evaluation(
    graph: LinkGraph,
    trace: Trace,
    plan: Plan,
    tallies: Mapping[str, Tally],
    live: LiveTrust,
    events: Mapping[str, TargetEvents],
    *,
    left_out: int,
) -> LinksEvaluation:
    links = tallies["links"]
    predicted, free = links.predicted_agreement, tallies["same plan, held"].predicted_agreement
    bound, runs = links.trusted_bound or (None, 0)
    skill = None if predicted is None or free is None or free >= 1.0 else (predicted - free) / (1.0 - free)
    return LinksEvaluation(
        inputs=len(trace),
        first_sequence=int(trace.sequences[0]),
        left_out=left_out,
        plan=plan,
        agreement=links.agreement,
        predicted_agreement=predicted,
        free_agreement=free,
        skill=skill,
        executions_saved=links.saved,
        trusted_share=links.trusted_share,
        trusted_agreement=links.trusted_agreement,
        trusted_bound=bound,
        trusted_runs=runs,
        region_share=links.region_share,
        region_coverage=links.region_coverage,
        audited=live.audited,
        revocations=live.revocations,
        regained=live.regained,
        events=events,
        models=links.models(),
        certified_runs={name: graph.tables[name].certified_runs for name in links.models()},
        baselines={name: tally.agreement for name, tally in tallies.items() if name != "links"},
    )


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
    moment: tuple[int, float],
    answers: Mapping[str, Answer],
    exact: Mapping[str, Array],
    agreements: Mapping[str, float],
) -> Iterator[tuple[object, ...]]:
    """The rows of one input, captured at `moment` (its sequence number and time)."""
    for name, answer in answers.items():
        output = models[name].output
        yield (
            moment[0],
            round(moment[1], 6),
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

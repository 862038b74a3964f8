"""What a recorded site is served by: its schedule with links, and what needs none, within the same budgets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...outputs import Array
from ..answer import Answer
from ..graph import LinkGraph
from ..planning.plan import Plan
from ..planning.planner import hold_plan, make_plan
from ..planning.streams import Stream
from ..scheduling.replay import RecordedCamera, replay_site
from ..scheduling.schedule import SiteSchedule
from ..scheduling.stats import ScheduleStats
from ..serving import Serving
from ..trust.live import LiveTrust

_AUDIT = 0.01
"""The share of pairs that run whatever they are worth, as a coordinator's do if nothing else is said."""

Answered = list[list[Mapping[str, Answer]]]
"""The answers to each input of each camera."""


@dataclass(frozen=True)
class Scheduled:
    """What the schedule made of a site.

    Attributes:
        answers: of all models.
        held: what holding and constants answer where the very same models ran.
        live: what each camera's comparisons showed.
        stats: what was run, loaded and spent.
    """

    answers: Answered
    held: Answered
    live: Sequence[LiveTrust]
    stats: ScheduleStats


def scheduled(
    graph: LinkGraph,
    cameras: Sequence[RecordedCamera],
    plan: Plan,
    *,
    compute_cores: float,
) -> Scheduled:
    """Serves a site by its schedule, the plan's residents loaded first."""
    costs = {name: cost for name, cost in graph.costs.items() if name not in graph.virtual}
    schedule = SiteSchedule(costs, compute_cores=compute_cores, budget_bytes=plan.budget_bytes, audit=_AUDIT)
    live = [LiveTrust() for _ in cameras]
    answers: Answered = [[] for _ in cameras]
    held: Answered = [[] for _ in cameras]
    holding = [Serving(graph.without_links(), plan) for _ in cameras]
    for served in replay_site(cameras, schedule, resident=plan.resident, live=live):
        camera = cameras[served.place]
        exact = {name: camera.outputs[name][served.row] for name in served.choice.run}
        answers[served.place].append(served.answers)
        held[served.place].append(holding[served.place].complete(float(camera.captured_s[served.row]), exact))
    return Scheduled(answers, held, live, schedule.stats())


def fixed(
    graph: LinkGraph, cameras: Sequence[RecordedCamera], streams: Sequence[Stream], *, compute_cores: float, plan: Plan
) -> dict[str, Answered]:
    """What needs neither links nor a schedule: each model runs on each stream at a rate that is fixed beforehand.

    A load takes them no time, which is more than they could do.
    """
    free, budget_bytes = graph.without_links(), plan.budget_bytes
    rate = float(np.mean([each.inputs_per_s for each in streams]))
    costs = {name: cost for name, cost in graph.costs.items() if name not in graph.virtual}
    round_robin = hold_plan(costs, budget_bytes, streams=len(streams), inputs_per_s=rate, compute_cores=compute_cores)
    fits = make_plan(free, budget_bytes, streams=streams, compute_cores=compute_cores, turns=False)
    return {
        "hold + round-robin": _follow(free, cameras, streams, round_robin),
        "run what fits": _follow(free, cameras, streams, fits),
        "constant": _follow(free, cameras, streams, Plan(budget_bytes, 0, ())),
    }


def _follow(graph: LinkGraph, cameras: Sequence[RecordedCamera], streams: Sequence[Stream], plan: Plan) -> Answered:
    names = list(dict.fromkeys(pair.stream for pair in plan.pairs)) or [each.name for each in streams]
    found: Answered = []
    for camera, stream, name in zip(cameras, streams, names, strict=True):
        every_s = {p.model: p.every_s for p in plan.pairs if p.stream == name and p.every_s is not None}
        always = tuple(model for model, each_s in every_s.items() if each_s * stream.inputs_per_s < 1.0 + 1e-3)
        turns = {model: each_s for model, each_s in every_s.items() if model not in always}
        serving = Serving(graph, replace(plan, resident=always))
        found.append([*_replay(serving, turns, camera.captured_s, camera.outputs)])
    return found


def _replay(
    serving: Serving,
    turns: Mapping[str, float],
    captured_s: Sequence[float] | Array,
    outputs: Mapping[str, Sequence[Array]],
) -> Iterator[dict[str, Answer]]:
    """The answers where residents run on every input, and the others once in so many seconds."""
    had = dict.fromkeys(turns, 0)
    for row, moment in enumerate(captured_s):
        passed_s = float(moment) - float(captured_s[0])
        # What was just added up in floating point may be a hair less than a whole turn.
        due = [name for name, every_s in turns.items() if passed_s / every_s >= had[name] - 1e-6]
        for name in due:
            had[name] += 1
        running = (*serving.plan.resident, *due)
        yield serving.complete(float(moment), {name: outputs[name][row] for name in running})

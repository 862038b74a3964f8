"""Serving the recorded site by any policy, without daemons: the same inputs, budgets and links as they have."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...links.answer import Answer
from ...links.graph import LinkGraph
from ...links.planning.paper_rule import activation_probability
from ...links.planning.plan import Plan
from ...links.scheduling.replay import RecordedCamera, replay_site
from ...links.scheduling.schedule import SiteSchedule
from ...links.serving import Serving
from ...links.table import NEVER
from ...outputs import Array
from .policies import Policy, kept_by
from .recorded import Recorded, Site
from .schedules import TurnSchedule
from .served import ORIGINS, Served, Stream, count_executions

# What the coordinator is given, and its replays: the losses that a frame has to prevent to be asked for, and the share
# of pairs that run whatever they are worth.
FRAME_LOSS, AUDIT = 1.0, 0.01
# Of a message beside what it carries.
HEADER_BYTES = 60
EXECUTED = ORIGINS.index("executed")

Rows = dict[str, dict[int, Mapping[str, Answer]]]
"""Every camera's answered inputs, with their answers."""


def serve(policy: Policy, site: Site, *, seed: int) -> Served:
    """A policy's answers to all that the site's cameras saw."""
    kept = kept_by(policy.gate, site, seed)
    if policy.chooses == "full":
        return _full(site)
    graphs = {name: _graph(site, name, policy) for name in site.cameras}
    rows = {name: np.flatnonzero(each).tolist() for name, each in kept.items()}
    cameras = [
        RecordedCamera(
            name,
            each.captured_s[kept[name]],
            {model: [values[row] for row in rows[name]] for model, values in each.outputs.items()},
            None if each.features is None or not policy.stem else each.features[kept[name]],
            None if each.scores is None or policy.gate != "filter" else each.scores[kept[name]],
            graphs[name],
        )
        for name, each in site.cameras.items()
    ]
    if policy.chooses == "fixed":
        answers, peak = _fixed(cameras, site), site.budget_bytes
    else:
        answers, peak = _scheduled(policy, cameras, site, seed), site.budget_bytes
    streams = {name: _stream(policy, each, kept[name], answers[name], site) for name, each in site.cameras.items()}
    executions = count_executions(streams, list(site.specs))
    cpu_s = {name: count * site.costs[name].infer_s for name, count in executions.items()}
    return Served(streams, executions, cpu_s, peak)


def _graph(site: Site, camera: str, policy: Policy) -> LinkGraph | None:
    """What a camera's answers are made by; None: what does not run is held."""
    if policy.chooses in ("turns", "hindsight"):
        return None
    graph = LinkGraph.load(site.links).camera(camera)
    return graph if policy.links else graph.without_links()


def _scheduled(policy: Policy, cameras: list[RecordedCamera], site: Site, seed: int) -> Rows:
    options: dict[str, Any] = {"compute_cores": site.compute_cores, "budget_bytes": site.budget_bytes, "seed": seed}
    schedule: SiteSchedule
    if policy.chooses == "turns":
        schedule = TurnSchedule(site.costs, pairs=policy.gate == "all", **options)
    else:
        schedule = SiteSchedule(site.costs, audit=AUDIT, **options)

    def lost(camera: RecordedCamera, row: int, answers: Mapping[str, Answer]) -> dict[str, float]:
        """What is truly lost by each answer."""
        exact = {name: camera.outputs[name][row] for name in answers}
        return {
            name: 1.0 - site.specs[name].output.agreement(answer.value, exact[name]) for name, answer in answers.items()
        }

    known = lost if policy.chooses == "hindsight" else None
    frame_loss = FRAME_LOSS if policy.stem and any(each.features is not None for each in cameras) else 0.0
    rows: Rows = {name: {} for name in site.cameras}
    for served in replay_site(
        cameras, schedule, resident=site.resident, models=site.specs, losses=known, frame_loss=frame_loss
    ):
        rows[served.camera][served.row] = served.answers
    return rows


def _fixed(cameras: Iterable[RecordedCamera], site: Site) -> Rows:
    """Each camera's models by the paper's rule, as many as fit the memory and its part of the compute."""
    rows: Rows = {}
    cameras = list(cameras)
    rate = {each.name: len(each.captured_s) / site.seconds for each in cameras}
    memory, cores = float(site.budget_bytes), site.compute_cores
    chosen: list[str] = []
    for name in _by_activation([each.graph for each in cameras if each.graph is not None], site):
        needs = sum(rate.values()) * site.costs[name].infer_s
        if site.costs[name].memory_bytes <= memory and needs <= cores:
            chosen.append(name)
            memory, cores = memory - site.costs[name].memory_bytes, cores - needs
    for each in cameras:
        assert each.graph is not None
        serving = Serving(each.graph, Plan(None, 0, tuple(chosen)))
        rows[each.name] = {
            row: serving.complete(float(at_s), {name: each.outputs[name][row] for name in chosen})
            for row, at_s in enumerate(each.captured_s)
        }
    return rows


def _by_activation(graphs: list[LinkGraph], site: Site) -> list[str]:
    """The models by falling activation probability, in the mean over the cameras."""
    names = list(site.specs)
    reached = [[[_reached(graph, source, target) for target in names] for source in names] for graph in graphs]
    infer_s = np.asarray([site.costs[name].infer_s for name in names])
    order = np.argsort(-activation_probability(np.mean(reached, axis=0), infer_s), kind="stable")
    return [names[at] for at in order]


def _reached(graph: LinkGraph, source: str, target: str) -> float:
    table = graph.tables[target]
    if (source,) in table.linked:
        return table.linked[(source,)][NEVER].validation
    return table.constant.validation


def _stream(
    policy: Policy, each: Recorded, kept: Array, rows: Mapping[int, Mapping[str, Answer]], site: Site
) -> Stream:
    """One camera's answers, those of inputs that were not sent repeated."""
    at = np.cumsum(kept) - 1
    origin = np.full((len(site.specs), len(each)), ORIGINS.index("reused"), np.int8)
    values: dict[str, list[Array]] = {}
    for place, name in enumerate(site.specs):
        values[name] = [rows[int(row)][name].value for row in at]
        origin[place, kept] = [ORIGINS.index(rows[int(row)][name].origin) for row in at[kept]]
    frames = kept if not policy.stem or each.features is None else kept & (origin == EXECUTED).any(axis=0)
    sent = np.where(frames, each.frame_bytes, 0) + np.where(kept, HEADER_BYTES, 0)
    if policy.stem and each.features is not None:
        sent += np.where(kept, each.features.shape[1], 0)
    return Stream(values, origin, kept, sent)


def _full(site: Site) -> Served:
    streams = {
        name: Stream(
            each.outputs,
            np.full((len(site.specs), len(each)), EXECUTED, np.int8),
            np.ones(len(each), bool),
            each.frame_bytes + HEADER_BYTES,
        )
        for name, each in site.cameras.items()
    }
    executions = count_executions(streams, list(site.specs))
    return Served(streams, executions, {n: c * site.costs[n].infer_s for n, c in executions.items()}, site.full_bytes)


def until(served: Served, seconds: float, site: Site) -> Served:
    """The part of what was served up to a time."""
    streams = {}
    for name, each in served.streams.items():
        rows = int(np.searchsorted(site.cameras[name].captured_s, seconds))
        streams[name] = Stream(
            {model: values[:rows] for model, values in each.values.items()},
            each.origin[:, :rows],
            each.kept[:rows],
            each.sent_bytes[:rows],
        )
    return replace(served, streams=streams)

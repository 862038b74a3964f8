"""The site as infilink serves it, replayed, and what it is without one of its parts; and MLink's own rule."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from cameras import STEP_S, Camera, Site, Turn
from infilink.links.answer import Answer
from infilink.links.graph import LinkGraph
from infilink.links.planning.paper_rule import activation_probability
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import make_plan
from infilink.links.planning.streams import Stream
from infilink.links.scheduling.replay import Losses, RecordedCamera, replay_site
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.serving import Serving
from infilink.links.table import NEVER, at_hand, bucket
from infilink.outputs import Array
from infilink.traces.events import presence
from outcome import Outcome

OURS = "ours"


def ours(
    site: Site,
    turn: Turn,
    share: float,
    *,
    budget_bytes: int | None = None,
    losses: Losses | None = None,
) -> Outcome:
    """One schedule for the site, with a share of the compute.

    Args:
        site: the cameras.
        turn: what is served.
        share: of what all models take on all inputs; infinite: no limit.
        budget_bytes: the memory; None: all models are loaded.
        losses: what is expected to be lost; None: what answers lack in confidence.
    """
    schedule = _schedule(site, share * site.full_s * turn.rows.shape[1], turn.rows.shape[1] * STEP_S, budget_bytes)
    tally = _Tally(site, turn)
    recorded = [camera for at in range(len(site.cameras)) for camera in _sessions(site, turn, at)]
    resident = site.names if budget_bytes is None else plan(site, share, budget_bytes).resident
    for served in replay_site(recorded, schedule, resident=resident, losses=losses):
        session = recorded[served.place]
        session.ran_s.update(dict.fromkeys(served.choice.run, float(session.captured_s[served.row])))
        tally.add(session.at, session.first + served.row, served.answers)
    return tally.outcome()


def plan(site: Site, share: float, budget_bytes: int | None) -> Plan:
    """What a coordinator would load first, and the promise: for these cameras at the rate at which they are served."""
    graph = copy.copy(site.cameras[0].graph)
    graph.costs = dict(site.costs)
    streams = [Stream(each.name, each.graph.tables, 1.0 / STEP_S) for each in site.cameras]
    cores = math.inf if share >= 1.0 else share * site.full_s / STEP_S
    return make_plan(graph, budget_bytes, streams=streams, compute_cores=cores)


def _schedule(site: Site, seconds: float, lasts_s: float, budget_bytes: int | None) -> SiteSchedule:
    """A schedule that may spend so many seconds in all, those among them that it begins with."""
    if math.isinf(seconds):
        return SiteSchedule(site.costs, compute_cores=math.inf, budget_bytes=budget_bytes)
    cores = seconds / lasts_s
    for _ in range(5):
        schedule = SiteSchedule(site.costs, compute_cores=max(cores, 1e-6), budget_bytes=budget_bytes)
        cores = (seconds - schedule.stats().bank_s) / lasts_s
    return schedule


def without_links(site: Site, turn: Turn, share: float) -> Outcome:
    """The schedule alone: whatever does not run is held, or the constant."""
    return ours(linkless(site), turn, share)


def linkless(site: Site) -> Site:
    """The same without links, and with nobody that looks."""
    return site.but(lambda each: replace(each, graph=each.graph.without_links(), features=None))


def without_stem(site: Site, turn: Turn, share: float) -> Outcome:
    """Nobody looks at an input but the models that run on it."""
    return ours(site.but(lambda each: replace(each, features=None)), turn, share)


def counted_stem(site: Site, turn: Turn, share: float) -> Outcome:
    """The stem's own seconds are taken from the share."""
    left = share - site.stem_share
    return ours(site, turn, left) if left > 0.0 else without_stem(site, turn, share)


def tables_only(site: Site, turn: Turn, share: float) -> Outcome:
    """What is expected of an answer comes from the way it came and its age alone, not from the input."""
    return ours(site, turn, share, losses=_by_tables)


def knowing(site: Site, turn: Turn, share: float) -> Outcome:
    """The same schedule and answers, told how far each answer is truly wrong: what better expectations would bring."""
    return ours(site, turn, share, losses=_truly)


def _by_tables(camera: RecordedCamera, row: int, answers: Mapping[str, Answer]) -> dict[str, float]:
    assert isinstance(camera, _Session) and camera.graph is not None
    sources = at_hand(()) if camera.features is not None else frozenset[str]()
    now_s, lost = float(camera.captured_s[row]), {}
    for name in answers:
        age_s = now_s - camera.ran_s[name] if name in camera.ran_s else None
        lost[name] = 1.0 - camera.graph.tables[name].choose(sources, bucket(age_s)).measured.validation
    return lost


def _truly(camera: RecordedCamera, row: int, answers: Mapping[str, Answer]) -> dict[str, float]:
    assert camera.graph is not None
    specs = camera.graph.models
    return {
        name: 1.0 - specs[name].output.agreement(answer.value, camera.outputs[name][row])
        for name, answer in answers.items()
    }


VARIANTS: dict[str, Callable[[Site, Turn, float], Outcome]] = {
    OURS: ours,
    "ours, stem's seconds counted": counted_stem,
    "ours without links": without_links,
    "ours without a stem": without_stem,
    "ours, expectations of tables only": tables_only,
    "ours, knowing what is wrong": knowing,
}


def mlink_rule(site: Site, turn: Turn, share: float) -> Outcome:
    """MLink's own: the models of highest activation probability that fit run on every input, links say the rest.

    Each camera has the same share; a model that does not fit is skipped; links as ours, of outputs of this input only.
    """
    tally = _Tally(site, turn)
    for at, camera in enumerate(site.cameras):
        run = _by_activation(camera.graph, site, share)
        tables = {name: table.without_stem() for name, table in camera.graph.tables.items()}
        graph = camera.graph.with_tables(tables)
        for ticks in turn.sessions(at):
            serving = Serving(graph, Plan(None, 0, run))
            for tick in ticks.tolist():
                row, now_s = int(turn.rows[at, tick]), float(turn.times_s(at)[tick])
                answers = serving.complete(now_s, {name: camera.outputs[name][row] for name in run})
                tally.add(at, tick, answers)
    return tally.outcome()


def _by_activation(graph: LinkGraph, site: Site, share: float) -> tuple[str, ...]:
    names = site.names
    reached = np.asarray(
        [
            [
                graph.tables[target].linked[(source,)][NEVER].validation
                if (source,) in graph.tables[target].linked
                else graph.tables[target].constant.validation
                for target in names
            ]
            for source in names
        ]
    )
    left, run = share * float(site.infer_s.sum()), []
    for place in np.argsort(-activation_probability(reached, site.infer_s), kind="stable"):
        if site.infer_s[place] <= left:
            run.append(names[place])
            left -= float(site.infer_s[place])
    return tuple(run)


@dataclass(frozen=True)
class _Session(RecordedCamera):
    """A camera from one beginning to the next, where that is in the turn, and when each model ran on it last."""

    at: int = 0
    first: int = 0
    ran_s: dict[str, float] = field(default_factory=dict)


def _sessions(site: Site, turn: Turn, at: int) -> list[_Session]:
    camera = site.cameras[at]
    return [
        _Session(
            camera.name,
            turn.times_s(at)[ticks],
            {name: [camera.outputs[name][row] for row in turn.rows[at][ticks]] for name in site.names},
            None if camera.features is None or camera.graph.stem is None else camera.features[turn.rows[at][ticks]],
            None,
            camera.graph,
            at=at,
            first=int(ticks[0]),
        )
        for ticks in turn.sessions(at)
    ]


class _Tally:
    """Adds up answers as an outcome."""

    def __init__(self, site: Site, turn: Turn) -> None:
        self.site, self.turn = site, turn
        shape = (len(site.cameras), len(site.names), turn.rows.shape[1])
        self.agreement, self.expected = np.ones(shape), np.ones(shape)
        self.origin = np.full(shape, "", dtype="<U8")
        self.values = np.empty(shape, object)

    def add(self, at: int, tick: int, answers: Mapping[str, Answer]) -> None:
        """The answers to one input."""
        camera, row = self.site.cameras[at], int(self.turn.rows[at, tick])
        for place, name in enumerate(self.site.names):
            answer = answers[name]
            self.origin[at, place, tick] = answer.origin
            self.expected[at, place, tick] = answer.confidence
            self.values[at, place, tick] = answer.value
            if answer.origin != "executed":
                said = camera.specs[name].output.agreement(answer.value, camera.outputs[name][row])
                self.agreement[at, place, tick] = said

    def outcome(self) -> Outcome:
        ran = self.origin == "executed"
        stated = [
            {name: self._stated(camera, at, place) for place, name in enumerate(self.site.names)}
            for at, camera in enumerate(self.site.cameras)
        ]
        spent_s = float((ran.sum(axis=(0, 2)) * self.site.infer_s).sum())
        return Outcome(self.agreement, ran, stated, spent_s, self.expected, self.origin)

    def _stated(self, camera: Camera, at: int, place: int) -> dict[str, Array]:
        name = self.site.names[place]
        seen = presence(list(self.values[at, place]), camera.specs[name].output)
        return {what: on for what, on in seen.items() if on.any() or what in camera.there[name]}

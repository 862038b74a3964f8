"""The site as infilink serves it, replayed, and what it is without one of its parts; and MLink's own rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from cameras import Camera, Site, Turn
from infilink.links.answer import Answer
from infilink.links.graph import LinkGraph
from infilink.links.planning.paper_rule import activation_probability
from infilink.links.planning.plan import Plan
from infilink.links.scheduling.replay import RecordedCamera, replay_site
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.serving import Serving
from infilink.links.table import NEVER
from infilink.outputs import Array
from infilink.traces.events import presence
from outcome import Outcome

OURS = "ours"


def ours(
    site: Site, turn: Turn, share: float, *, budget_bytes: int | None = None, load_s: float | None = None
) -> Outcome:
    """One schedule for the site, with a share of the compute.

    Args:
        site: the cameras.
        turn: what is served.
        share: of what all models take on all inputs.
        budget_bytes: the memory; None: all models are loaded.
        load_s: what a load takes; None: as it costs.
    """
    inputs_s = len(site.cameras) / (turn.times_s(0)[1] - turn.times_s(0)[0])
    cores = share * site.full_s / len(site.cameras) * inputs_s
    schedule = SiteSchedule(site.costs, compute_cores=cores, budget_bytes=budget_bytes)
    tally = _Tally(site, turn)
    recorded = [camera for at in range(len(site.cameras)) for camera in _sessions(site, turn, at)]
    takes = None if load_s is None else (lambda _: load_s)
    resident = site.names if budget_bytes is None else ()
    named = {each.name: each for each in recorded}
    for served in replay_site(recorded, schedule, resident=resident, load_s=takes):
        session = named[served.camera]
        tally.add(session.at, session.first + served.row, served.answers)
    return tally.outcome()


def without_links(site: Site, turn: Turn, share: float) -> Outcome:
    """The schedule alone: whatever does not run is held, or the constant."""
    return ours(site.but(lambda each: replace(each, graph=each.graph.without_links(), features=None)), turn, share)


def without_stem(site: Site, turn: Turn, share: float) -> Outcome:
    """Nobody looks at an input but the models that run on it."""
    return ours(site.but(lambda each: replace(each, features=None)), turn, share)


def counted_stem(site: Site, turn: Turn, share: float) -> Outcome:
    """The stem's own seconds are taken from the share."""
    left = share - site.stem_share
    return ours(site, turn, left) if left > 0.0 else without_stem(site, turn, share)


VARIANTS: dict[str, Callable[[Site, Turn, float], Outcome]] = {
    OURS: ours,
    "ours, stem's seconds counted": counted_stem,
    "ours without links": without_links,
    "ours without a stem": without_stem,
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
    """A camera from one beginning to the next, and where that is in the turn."""

    at: int = 0
    first: int = 0


def _sessions(site: Site, turn: Turn, at: int) -> list[_Session]:
    camera = site.cameras[at]
    return [
        _Session(
            f"{camera.name}~{number}" if number else camera.name,
            turn.times_s(at)[ticks],
            {name: [camera.outputs[name][row] for row in turn.rows[at][ticks]] for name in site.names},
            None if camera.features is None or camera.graph.stem is None else camera.features[turn.rows[at][ticks]],
            None,
            camera.graph,
            at=at,
            first=int(ticks[0]),
        )
        for number, ticks in enumerate(turn.sessions(at))
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

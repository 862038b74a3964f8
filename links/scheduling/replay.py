"""Serving a recorded site as a coordinator does: every camera's inputs in the order of time, one schedule for all."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...outputs import Array
from ..answer import Answer
from ..graph import LinkGraph
from ..planning.plan import Plan
from ..serving import Serving
from .schedule import Choice, SiteSchedule


@dataclass(frozen=True)
class RecordedCamera:
    """One stream of a recorded site, with the exact outputs of all its models.

    Attributes:
        name: the camera's.
        captured_s: when each input was captured, rising: float (inputs,).
        outputs: each model's outputs.
        features: what the links' stem makes of each input; None: nobody looked.
        scores: what the device's filter said of each input; None: there is none.
        graph: the links; None: what does not run is held.
    """

    name: str
    captured_s: Sequence[float] | Array
    outputs: Mapping[str, Sequence[Array]]
    features: Array | None = None
    scores: Array | None = None
    graph: LinkGraph | None = None


@dataclass(frozen=True)
class Served:
    """One input of a replayed site.

    Attributes:
        camera: whose.
        row: which of its inputs.
        choice: what ran.
        answers: of all models.
    """

    camera: str
    row: int
    choice: Choice
    answers: Mapping[str, Answer]


def replay_site(
    cameras: Sequence[RecordedCamera],
    schedule: SiteSchedule,
    *,
    resident: Sequence[str] = (),
    load_s: Callable[[str], float] | None = None,
    models: Mapping[str, object] | None = None,
) -> Iterator[Served]:
    """The answers to all cameras' inputs in the order of their times.

    Args:
        cameras: the site.
        schedule: decides what runs; no stream has joined it yet.
        resident: the models that are loaded at the beginning.
        load_s: how long a model takes to load; None: as its cost says.
        models: every model's spec, where cameras have no links.
    """
    plan = Plan(schedule.budget_bytes, 0, ())
    servings = {
        each.name: Serving(each.graph, plan, models=models if each.graph is None else None)  # type: ignore[arg-type]
        for each in cameras
    }
    takes_s = load_s or (lambda name: schedule.costs[name].load_s)
    for each in cameras:
        schedule.join(each.name, name=each.name)
    loaded: set[str] = set(resident)
    loading: dict[str, float] = {}
    queue = [(float(each.captured_s[0]), at, 0) for at, each in enumerate(cameras) if len(each.captured_s)]
    heapq.heapify(queue)
    while queue:
        now_s, at, row = heapq.heappop(queue)
        camera = cameras[at]
        if row + 1 < len(camera.captured_s):
            heapq.heappush(queue, (float(camera.captured_s[row + 1]), at, row + 1))
        for name in [name for name, ready_s in loading.items() if ready_s <= now_s]:
            loaded.add(name)
            del loading[name]
        while not loading and (found := schedule.load(now_s, loaded=loaded)) is not None:
            loaded.difference_update(found.unload)
            loading[found.model] = now_s + takes_s(found.model)
        serving, features = servings[camera.name], None if camera.features is None else camera.features[row]
        answers = serving.preview(now_s, {}, features=features)
        losses = {name: 1.0 - answers[name].confidence for name in camera.outputs if name in schedule.costs}
        choice = schedule.choose(camera.name, now_s, losses, loaded=loaded)
        exact = {name: camera.outputs[name][row] for name in choice.run}
        biased = frozenset(choice.run) - choice.audits
        yield Served(camera.name, row, choice, serving.complete(now_s, exact, features=features, escalated=biased))

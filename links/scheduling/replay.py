"""Serving a recorded site as a coordinator does: every camera's inputs in the order of time, one schedule for all."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...models.spec import ModelSpec
from ...outputs import Array
from ..answer import Answer
from ..graph import LinkGraph
from ..planning.plan import Plan
from ..serving import Serving
from ..trust.live import LiveTrust
from .expected import expected_losses, linked_losses
from .schedule import Choice, SiteSchedule


@dataclass(frozen=True)
class RecordedCamera:
    """One stream of a recorded site, with the exact outputs of all its models.

    It joins with its first input and leaves with its last; several may have one name, one after the other.

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
        place: which of the cameras that was.
        row: which of its inputs.
        choice: what ran.
        answers: of all models.
    """

    camera: str
    place: int
    row: int
    choice: Choice
    answers: Mapping[str, Answer]


Losses = Callable[[RecordedCamera, int, Mapping[str, Answer]], Mapping[str, float]]
"""What is lost on an input of a camera by each model that does not run, from what would be answered."""


def replay_site(
    cameras: Sequence[RecordedCamera],
    schedule: SiteSchedule,
    *,
    resident: Sequence[str] = (),
    load_s: Callable[[str], float] | None = None,
    models: Mapping[str, ModelSpec] | None = None,
    losses: Losses | None = None,
    live: Sequence[LiveTrust] | None = None,
    frame_s: float = 0.0,
    frame_loss: float = 0.0,
) -> Iterator[Served]:
    """The answers to all cameras' inputs in the order of their times.

    Args:
        cameras: the site.
        schedule: decides what runs; no stream has joined it yet.
        resident: the models that are loaded at the beginning.
        load_s: how long a model takes to load; None: as its cost says.
        models: every model's spec, where cameras have no links.
        losses: what is expected to be lost; None: what answers lack in confidence.
        live: where each camera's comparisons are kept; None: nowhere.
        frame_s: what an input costs beside its models where any of them runs.
        frame_loss: what runs on an input have to prevent together, as its frame has to travel for them.
    """
    servings: dict[int, Serving] = {}
    memory = _Memory(schedule, resident, load_s)
    queue = [(float(each.captured_s[0]), at, 0) for at, each in enumerate(cameras) if len(each.captured_s)]
    heapq.heapify(queue)
    while queue:
        now_s, at, row = heapq.heappop(queue)
        camera = cameras[at]
        if row == 0:
            plan = Plan(None, 0, ())
            servings[at] = Serving(
                camera.graph,
                plan,
                models=models if camera.graph is None else None,
                live=None if live is None else live[at],
            )
            if camera.graph is None:
                schedule.join(at, name=camera.name)
            else:
                fresh, linked = expected_losses(camera.graph), linked_losses(camera.graph)
                schedule.join(at, name=camera.name, fresh=fresh, linked=linked)
        memory.pass_time(now_s)
        serving, features = servings[at], None if camera.features is None else camera.features[row]
        score = None if camera.scores is None else float(camera.scores[row])
        answers = serving.preview(now_s, {}, features=features, score=score)
        known = _unsure(answers) if losses is None else losses(camera, row, answers)
        lost = {name: loss for name, loss in known.items() if name in camera.outputs and name in schedule.costs}
        factors = {
            name: schedule.weights.of_answer(name, serving.models[name].output, answers[name].value) for name in lost
        }
        choice = schedule.choose(
            at, now_s, lost, loaded=memory.loaded, frame_s=frame_s, frame_loss=frame_loss, factors=factors
        )
        exact = {name: camera.outputs[name][row] for name in choice.run}
        for name in choice.run:
            schedule.ran(at, name, now_s, schedule.costs[name].infer_s)
        memory.ask(now_s)
        biased = frozenset(choice.run) - choice.audits
        done = serving.complete(now_s, exact, features=features, score=score, biased=biased)
        yield Served(camera.name, at, row, choice, done)
        if row + 1 < len(camera.captured_s):
            heapq.heappush(queue, (float(camera.captured_s[row + 1]), at, row + 1))
        else:
            schedule.leave(at)
            del servings[at]


class _Memory:
    """The models that are loaded, or being loaded, one after another.

    Args:
        schedule: asked what is to be loaded.
        resident: loaded at the beginning.
        load_s: how long a model takes; None: as its cost says.
    """

    def __init__(self, schedule: SiteSchedule, resident: Sequence[str], load_s: Callable[[str], float] | None) -> None:
        self.loaded = set(resident)
        self._schedule = schedule
        self._takes_s = load_s or (lambda name: schedule.costs[name].load_s)
        self._loading: tuple[str, float] | None = None

    def pass_time(self, now_s: float) -> None:
        """What was being loaded is there when its time has passed."""
        if self._loading is not None and self._loading[1] <= now_s:
            self.loaded.add(self._loading[0])
            self._loading = None

    def ask(self, now_s: float) -> None:
        """What is worth loading begins to be loaded, if nothing is: after an input was served, and before the next."""
        if self._loading is None and (found := self._schedule.load(now_s, loaded=self.loaded)) is not None:
            self.loaded.difference_update(found.unload)
            self._loading = found.model, now_s + self._takes_s(found.model)


def _unsure(answers: Mapping[str, Answer]) -> dict[str, float]:
    return {name: 1.0 - answer.confidence for name, answer in answers.items()}

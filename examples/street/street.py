"""The rendered street camera: an endless, repeatable stream of frames with their ground truth."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from .backdrop import Backdrop
from .bodies import Body
from .camera import HEIGHT, WIDTH, Camera
from .canvas import Canvas
from .figures import Figure, Rider
from .furniture import SIGNALS, TREE_Y, Tree, draw_lamp, draw_signal, lamps_and_trees
from .lens import Lens
from .people import People
from .rhythm import Rhythm
from .traffic import Traffic
from .trafficlight import CYCLE_S, Signal
from .truth import Box, Truth
from .weather import Air, Weather

Picture = NDArray[np.uint8]
Actor = Body | Figure | Rider
COARSE = 4
VISIBLE_SHARE, INSIDE_SHARE = 0.35, 0.4
PREROLL_S = 30.0
# Nearer than this to a camera nobody is drawn; farther than that nobody is seen.
NEAREST_M, FARTHEST_M = 2.0, 60.0


class Street:
    """A fixed camera above a quiet side street with a traffic light; everything is drawn, nothing is filmed.

    The same seed gives the same frames, to any length. Arrivals come in bursts with lulls between them, so that in
    roughly six of ten frames nothing moves but leaves, rain, clouds and the signal. The picture itself says that it
    is rendered.

    Args:
        seed: Chooses traffic, people and weather; the street stays the same.
        fps: Frames per second of simulated time.
        day_s: Length of a day with its night, in seconds of video.
        start: Time of day of the first frame (0 morning, 0.5 dusk, 0.75 night); drawn from the seed when None.
        backdrop: The rendered empty street of another `Street` with the same camera, which saves rendering it again.
        camera: Whose picture it is; None: the one on the house wall, which sees most of the street.
        busy: More happens, also at the first door and in the yard.
    """

    def __init__(
        self,
        seed: int = 0,
        fps: float = 15.0,
        *,
        day_s: float = 360.0,
        start: float | None = None,
        backdrop: Backdrop | None = None,
        camera: Camera | None = None,
        busy: bool = False,
    ) -> None:
        self.seed = seed
        self.fps = fps
        rngs = [np.random.default_rng([seed, stream]) for stream in range(6)]
        self.camera = camera or Camera()
        self.backdrop = backdrop or Backdrop(self.camera)
        self.weather = Weather(rngs[0], day_s, start)
        self.signal = Signal(float(rngs[1].uniform(0, CYCLE_S)))
        self.traffic = Traffic(rngs[2], self.signal)
        self.people = People(rngs[3], self.signal)
        self.rhythm = Rhythm(rngs[1], self.traffic, self.people, rngs[5] if busy else None)
        self.lens = Lens(rngs[4], f"rendered street - seed {seed}")
        self.furniture = [(x, tree) for x, tree in lamps_and_trees() if self.camera.depth(x, TREE_Y) > NEAREST_M]
        self.frame = -1
        self.air: Air = self.weather.step(0.0, 0.0)
        for _ in range(int(PREROLL_S * fps)):
            self._move()

    def __iter__(self) -> Iterator[tuple[Picture, Truth]]:
        """All frames, without end."""
        while True:
            self.advance()
            yield self.render()

    def frames(self, count: int, every: int = 1) -> Iterator[tuple[Picture, Truth]]:
        """``count`` frames, drawing only every ``every``-th of the stream."""
        for _ in range(count):
            for _ in range(every):
                self.advance()
            yield self.render()

    @property
    def time_s(self) -> float:
        """Simulated time of the current frame."""
        return max(0, self.frame) / self.fps

    def advance(self) -> None:
        """Go to the next frame without drawing it."""
        self.frame += 1
        self.air = self.weather.step(self.time_s, 1 / self.fps)
        self._move()

    def render(self) -> tuple[Picture, Truth]:
        """Draw the current frame, BGR, and give its ground truth."""
        canvas = Canvas(self.camera, self.backdrop.picture(self.air).copy(), self.air)
        actors = self._actors(canvas)
        for _, actor in actors:
            if not isinstance(actor, Figure):
                actor.beam()
        queue = [*actors, *((self.camera.depth(x, TREE_Y), tree or x) for x, tree in self.furniture)]
        for _, thing in sorted(queue, key=lambda pair: -pair[0]):
            if isinstance(thing, Tree):
                thing.draw(canvas, self.time_s)
            elif isinstance(thing, float):
                draw_lamp(canvas, thing)
            else:
                thing.draw()
        for place in SIGNALS[::-1]:
            if self.camera.depth(*place) > NEAREST_M:
                draw_signal(canvas, place, self.signal.colour)
        return self.lens.expose(canvas.picture, self.air, self.time_s), self._truth([actor for _, actor in actors])

    def _move(self) -> None:
        step_s = 1 / self.fps
        self.signal.step(step_s)
        self.rhythm.step(step_s)
        self.traffic.step(step_s)
        self.people.step(step_s)

    def _actors(self, canvas: Canvas) -> list[tuple[float, Actor]]:
        """Who is at least partly in the picture, from far to near."""
        actors: list[tuple[float, Actor]] = []
        for vehicle in self.traffic.vehicles:
            depth = self.camera.depth(vehicle.x, vehicle.y)
            if NEAREST_M < depth < FARTHEST_M:
                thing = Rider(vehicle, canvas) if vehicle.kind == "cyclist" else Body(vehicle, canvas)
                actors.append((depth, thing))
        for walker in self.people.walkers:
            depth = self.camera.depth(walker.x, walker.y)
            if walker.y < 13.1 and NEAREST_M < depth < FARTHEST_M:  # beyond the wall they are in a house
                actors.append((depth, Figure(walker, canvas)))
        inside = [pair for pair in actors if _overlaps_frame(pair[1].hull)]
        return sorted(inside, key=lambda pair: -pair[0])

    def _truth(self, actors: list[Actor]) -> Truth:
        shares = visible_shares([actor.hull for actor in actors])
        boxes = [_box(actor, share) for actor, share in zip(actors, shares, strict=True)]
        air = self.air
        return Truth(
            self.frame,
            self.time_s,
            air.clock,
            air.light,
            air.weather,
            self.signal.colour,
            tuple(box for box in boxes if box is not None),
        )


def _overlaps_frame(hull: NDArray[np.float64]) -> bool:
    (left, top), (right, bottom) = hull.min(axis=0), hull.max(axis=0)
    return bool(right > 2 and left < WIDTH - 2 and bottom > 2 and top < HEIGHT - 2)


def visible_shares(hulls: list[NDArray[np.float64]]) -> list[float]:
    """The share of each outline that no later one covers, on a coarse grid; outlines are ordered from far to near."""
    owner = np.zeros((HEIGHT // COARSE, WIDTH // COARSE), np.uint8)
    drawn: list[int] = []
    alone = np.zeros_like(owner)
    for number, hull in enumerate(hulls, start=1):
        points = np.rint(hull / COARSE * 16).astype(np.int32)
        alone[:] = 0
        cv2.fillPoly(alone, [points], 1, cv2.LINE_8, 4)
        drawn.append(cv2.countNonZero(alone))
        cv2.fillPoly(owner, [points], number, cv2.LINE_8, 4)
    left = np.bincount(owner.ravel(), minlength=len(hulls) + 1)[1:]
    return [float(count) / max(1, total) for count, total in zip(left, drawn, strict=True)]


def _box(actor: Actor, share: float) -> Box | None:
    """The ground truth's box of a road user; None when too little of it can be seen."""
    low, high = actor.hull.min(axis=0), actor.hull.max(axis=0)
    x1, y1 = np.clip(low / (WIDTH, HEIGHT), 0, 1)
    x2, y2 = np.clip(high / (WIDTH, HEIGHT), 0, 1)
    whole = float(np.prod((high - low) / (WIDTH, HEIGHT)))
    if share < VISIBLE_SHARE or (x2 - x1) * (y2 - y1) < INSIDE_SHARE * whole:
        return None
    mover = actor.walker if isinstance(actor, Figure) else actor.vehicle
    kind = "person" if isinstance(actor, Figure) else actor.vehicle.kind
    on_road = actor.walker.on_road if isinstance(actor, Figure) else not actor.vehicle.parked
    return Box(float(x1), float(y1), float(x2), float(y2), kind, mover.state, mover.track, share, bool(on_road))

"""People on the pavements and at the crossing, who walk, wait and go on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .trafficlight import Signal

FAR_Y, NEAR_Y, FACADE_Y = 11.6, -1.3, 13.0
CROSS_X = 14.8
EDGES_X = {"far_left": -10.0, "far_right": 42.0, "near_left": -7.0, "near_right": 24.0}
DOORS_X = (2.2, 9.2, 20.2)
# East of here the street has ended, and a yard begins.
YARD_X, YARD_DOOR_X = 56.0, 73.0
CURB_FAR_Y, CURB_NEAR_Y = 10.0, -0.6


@dataclass(frozen=True)
class Leg:
    """One part of a way: go to a point, or stay (``wait_s``), or wait until people may cross (``at_signal``)."""

    x: float = 0.0
    y: float = 0.0
    wait_s: float = 0.0
    at_signal: bool = False


def _door(x: float) -> list[Leg]:
    return [Leg(x, FAR_Y + 0.2), Leg(x, FACADE_Y + 0.4)]


def _crossing(to_far: bool) -> list[Leg]:
    near, far = Leg(CROSS_X, CURB_NEAR_Y), Leg(CROSS_X, CURB_FAR_Y)
    return [near, Leg(at_signal=True), far] if to_far else [far, Leg(at_signal=True), near]


Route = tuple[tuple[float, float], list[Leg]]
"""Where somebody starts, and the legs."""


def routes() -> list[Route]:
    """The ways people take through the street."""
    left, right = (EDGES_X["far_left"], FAR_Y), (EDGES_X["far_right"], FAR_Y)
    near_left, near_right = (EDGES_X["near_left"], NEAR_Y), (EDGES_X["near_right"], NEAR_Y)
    first, second, third = ((x, FACADE_Y + 0.4) for x in DOORS_X)
    return [
        (left, _door(DOORS_X[0])),
        (first, [Leg(DOORS_X[0], FAR_Y), Leg(*left)]),
        (second, [Leg(DOORS_X[1], FAR_Y), *_crossing(False), Leg(CROSS_X, NEAR_Y), Leg(*near_right)]),
        (near_right, [Leg(CROSS_X + 0.8, NEAR_Y), *_crossing(True), *_door(DOORS_X[2])]),
        (near_left, [Leg(CROSS_X - 1, NEAR_Y), *_crossing(True), *_door(DOORS_X[1])]),
        (right, _door(DOORS_X[2])),
        (third, [Leg(DOORS_X[2], FAR_Y), Leg(*right)]),
        (first, [Leg(DOORS_X[0], FAR_Y), Leg(5.4, 12.2), Leg(wait_s=22.0), Leg(DOORS_X[1], FAR_Y), *_door(DOORS_X[1])]),
        (
            second,
            [Leg(DOORS_X[1], FAR_Y), Leg(6.3, 12.3), Leg(wait_s=30.0), Leg(DOORS_X[1], FAR_Y), *_door(DOORS_X[1])],
        ),
        (near_left, [Leg(4.0, NEAR_Y), Leg(wait_s=18.0), Leg(*near_left)]),
    ]


def entrance_routes() -> list[Route]:
    """The ways in and out of the first door."""
    door = DOORS_X[0]
    ways = [Leg(-5.0, FAR_Y), Leg(9.5, FAR_Y + 0.3)]
    into = [((leg.x, leg.y), _door(door)) for leg in ways]
    return into + [((door, FACADE_Y + 0.4), [Leg(door, FAR_Y), leg]) for leg in ways]


def yard_routes() -> list[Route]:
    """The ways through the yard."""
    gate, door = (YARD_X - 2.0, 4.5), (YARD_DOOR_X, FACADE_Y + 0.4)
    inside = [Leg(YARD_DOOR_X, FAR_Y + 0.4), Leg(*door)]
    bench = [Leg(66.0, 11.5), Leg(wait_s=9.0)]
    return [(gate, inside), (door, [Leg(*gate)]), (gate, [*bench, *inside]), (door, [*bench, Leg(*gate)])]


ROUTES = len(routes())


@dataclass
class Walker:
    """One person on the way."""

    track: int
    x: float
    y: float
    pace: float
    look: int
    aside: tuple[float, float]
    legs: list[Leg] = field(default_factory=list)
    speed: float = 0.0
    heading: float = 0.0
    odometer: float = 0.0
    waited_s: float = 0.0

    @property
    def state(self) -> str:
        """``moving`` or ``stopped``."""
        return "moving" if self.speed > 0.3 else "stopped"

    @property
    def on_road(self) -> bool:
        """Whether the person is between the kerbs."""
        return 0.0 < self.y < 9.4 and self.x < YARD_X

    def step(self, step_s: float, walk: bool) -> None:
        """Go on with the current leg."""
        if not self.legs:
            return
        leg = self.legs[0]
        self.speed = 0.0
        if leg.at_signal:
            if walk:
                self.legs.pop(0)
            return
        if leg.wait_s:
            self.waited_s += step_s
            if self.waited_s >= leg.wait_s:
                self.legs.pop(0)
            return
        self._walk(leg, step_s)

    def _walk(self, leg: Leg, step_s: float) -> None:
        dx, dy = leg.x + self.aside[0] - self.x, leg.y + self.aside[1] - self.y
        distance = float(np.hypot(dx, dy))
        if distance < self.pace * step_s * 1.5:
            self.legs.pop(0)
        self.speed = self.pace
        self.heading = float(np.arctan2(dy, dx))
        self.x += np.cos(self.heading) * min(distance, self.pace * step_s)
        self.y += np.sin(self.heading) * min(distance, self.pace * step_s)
        self.odometer += self.pace * step_s


class People:
    """Everybody on foot."""

    def __init__(self, rng: np.random.Generator, signal: Signal) -> None:
        self.rng = rng
        self.signal = signal
        self.walkers: list[Walker] = []
        self.tracks = 100_000  # apart from the vehicles' numbers

    def enter(self, route: Route, size: int) -> None:
        """Send a group of ``size`` on a way."""
        (x, y), legs = route
        pace = float(self.rng.uniform(1.5, 1.9))
        for member, aside in enumerate(self._formation(size)):
            self.tracks += 1
            look = int(self.rng.integers(1 << 30))
            start = (x + aside[0] - 0.5 * member * np.sign(EDGES_X["far_right"] - x), y + aside[1])
            self.walkers.append(Walker(self.tracks, *start, pace, look, aside, list(legs)))

    def step(self, step_s: float) -> None:
        """Move everybody; who has arrived is gone."""
        for walker in self.walkers:
            walker.step(step_s, self.signal.walk)
        self.walkers = [walker for walker in self.walkers if walker.legs]

    def _formation(self, size: int) -> Sequence[tuple[float, float]]:
        places = [(0.0, 0.0), (0.9, 0.25), (-0.9, -0.2), (1.7, 0.0)]
        return [(dx + float(self.rng.uniform(-0.1, 0.1)), dy) for dx, dy in places[:size]]

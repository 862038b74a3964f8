"""Arrivals: platoons and groups with lulls between them, as on a quiet side street behind a traffic light."""

import numpy as np

from .people import ROUTES, People, entrance_routes, routes, yard_routes
from .traffic import Traffic

BURST_EVERY_S = (24.0, 34.0)
BAY_EVERY_S = (38.0, 60.0)
# A busy day: cars, one that parks or leaves, somebody at the first door, somebody in the yard, a car that comes or
# goes there.
BUSY_BURST_EVERY_S = (20.0, 30.0)
BUSY_BAY_EVERY_S = (15.0, 25.0)
DOOR, YARD, YARD_BAY = "door", "yard", "yard bay"
BUSY_EVERY_S = {DOOR: (12.0, 22.0), YARD: (22.0, 40.0), YARD_BAY: (16.0, 30.0)}
PLATOONS: tuple[tuple[str, ...], ...] = (
    ("near",),
    ("near", "near"),
    ("near", "near", "near"),
    ("far",),
    ("far", "far"),
    ("far", "far", "far"),
    ("near", "far"),
    ("near", "near", "far"),
    ("near", "far", "far", "far"),
    (),
    ("near", "near", "near", "near"),
)
WITH: tuple[str, ...] = ("people", "people", "people", "cyclist", "cyclist", "both", "none", "none")


class Deck:
    """Draws from a list at random without replacement, then begins again: no long streaks.

    Two stretches of a minute thus hold about the same, so that a filter trained on the first is tested fairly on the
    second.
    """

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size
        self.cards: list[int] = []

    def deal(self) -> int:
        """The next item."""
        if not self.cards:
            self.cards = [int(card) for card in self.rng.permutation(self.size)]
        return self.cards.pop()


class Rhythm:
    """Sends platoons, cyclists and groups of people into the street.

    Args:
        rng: draws who comes when.
        traffic: where vehicles go.
        people: where people go.
        busy: draws what a busy day has besides, in the street and in the yard; None: the day is quiet.
    """

    def __init__(
        self, rng: np.random.Generator, traffic: Traffic, people: People, busy: np.random.Generator | None = None
    ) -> None:
        self.rng = rng
        self.busy = busy
        self._due_s = {} if busy is None else {each: float(busy.uniform(0, 8)) for each in (DOOR, YARD, YARD_BAY)}
        self.traffic = traffic
        self.people = people
        self.platoons, self.company, self.routes = Deck(rng, len(PLATOONS)), Deck(rng, len(WITH)), Deck(rng, ROUTES)
        self.burst_in_s = float(rng.uniform(0, 10))
        self.bay_in_s = float(rng.uniform(5, 40 if busy is None else 15))

    def step(self, step_s: float) -> None:
        """Let in whoever is due."""
        self.burst_in_s -= step_s
        self.bay_in_s -= step_s
        if self.burst_in_s <= 0:
            self.burst_in_s = float(self.rng.uniform(*(BURST_EVERY_S if self.busy is None else BUSY_BURST_EVERY_S)))
            self._burst()
        if self.bay_in_s <= 0:
            self.bay_in_s = float(self.rng.uniform(*(BAY_EVERY_S if self.busy is None else BUSY_BAY_EVERY_S)))
            self._change_bays()
        if self.busy is not None:
            self._step_busy(self.busy, step_s)

    def _step_busy(self, busy: np.random.Generator, step_s: float) -> None:
        for what, every_s in BUSY_EVERY_S.items():
            self._due_s[what] -= step_s
            if self._due_s[what] > 0:
                continue
            self._due_s[what] = float(busy.uniform(*every_s))
            if what == YARD_BAY:
                if len(self.traffic.parked("yard")) > busy.integers(2):
                    self.traffic.leave_bay("yard")
                else:
                    self.traffic.enter("truck" if busy.random() < 0.3 else "car", "yard", park=True)
            else:
                ways = entrance_routes() if what == DOOR else yard_routes()
                self.people.enter(ways[int(busy.integers(len(ways)))], int(busy.choice([1, 1, 2, 3])))

    def _burst(self) -> None:
        behind = {"near": 0.0, "far": 0.0}
        for lane in PLATOONS[self.platoons.deal()]:
            kind = "truck" if self.rng.random() < 0.2 else "car"
            self.traffic.enter(kind, lane, behind[lane])
            behind[lane] = float(self.rng.uniform(2, 8))
        company = WITH[self.company.deal()]
        if company in ("cyclist", "both"):
            lane = "near_bike" if self.rng.random() < 0.5 else "far_bike"
            self.traffic.enter("cyclist", lane)
            if self.rng.random() < 0.3:
                self.traffic.enter("cyclist", lane, 3.0)
        if company in ("people", "both"):
            self.people.enter(routes()[self.routes.deal()], int(self.rng.choice([1, 1, 2, 2, 3])))

    def _change_bays(self) -> None:
        parked = len(self.traffic.parked())
        if self.rng.random() < parked / 5:
            self.traffic.leave_bay()
        else:
            self.traffic.enter("truck" if self.rng.random() < 0.1 else "car", "far", park=True)

"""Arrivals: platoons and groups with lulls between them, as on a quiet side street behind a traffic light."""

import numpy as np

from .people import ROUTES, People
from .traffic import Traffic

BURST_EVERY_S = (24.0, 34.0)
BAY_EVERY_S = (38.0, 60.0)
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
    """Sends platoons, cyclists and groups of people into the street."""

    def __init__(self, rng: np.random.Generator, traffic: Traffic, people: People) -> None:
        self.rng = rng
        self.traffic = traffic
        self.people = people
        self.platoons, self.company, self.routes = Deck(rng, len(PLATOONS)), Deck(rng, len(WITH)), Deck(rng, ROUTES)
        self.burst_in_s = float(rng.uniform(0, 10))
        self.bay_in_s = float(rng.uniform(5, 40))

    def step(self, step_s: float) -> None:
        """Let in whoever is due."""
        self.burst_in_s -= step_s
        self.bay_in_s -= step_s
        if self.burst_in_s <= 0:
            self.burst_in_s = float(self.rng.uniform(*BURST_EVERY_S))
            self._burst()
        if self.bay_in_s <= 0:
            self.bay_in_s = float(self.rng.uniform(*BAY_EVERY_S))
            self._change_bays()

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
            self.people.enter(self.routes.deal(), int(self.rng.choice([1, 1, 2, 2, 3])))

    def _change_bays(self) -> None:
        parked = sum(vehicle.parked for vehicle in self.traffic.vehicles)
        if self.rng.random() < parked / 5:
            self.traffic.leave_bay()
        else:
            self.traffic.enter("truck" if self.rng.random() < 0.1 else "car", "far", park=True)

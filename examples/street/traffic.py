"""Cars, trucks and cyclists on the carriageway, and the parking bays."""

from dataclasses import dataclass, field

import numpy as np

from .trafficlight import Signal

STANDS_BELOW_MPS = 0.3
BAYS_X = (-3.0, 3.0, 9.0, 22.0, 28.0)
YARD_BAYS_X = (64.5, 80.5)
BAY_Y = 8.35
SWERVE_M = 7.5


@dataclass(frozen=True)
class Lane:
    """A track along the street; ``s`` counts metres from its start in driving direction."""

    y: float
    direction: int
    start_x: float
    stop_x: float
    length_m: float = 78.0
    bays_x: tuple[float, ...] = ()
    slow: float = 1.0

    def x(self, s: float) -> float:
        """Place along the street."""
        return self.start_x + self.direction * s

    def s(self, x: float) -> float:
        """Metres from the start to the place ``x``."""
        return (x - self.start_x) * self.direction


LANES = {
    "near": Lane(1.95, 1, -26.0, 12.2),
    "far": Lane(5.05, -1, 52.0, 17.4, bays_x=BAYS_X),
    "near_bike": Lane(0.5, 1, -26.0, 12.4),
    "far_bike": Lane(6.6, -1, 52.0, 17.2),
    # Nobody stops for a light in the yard: its line lies before its beginning.
    "yard": Lane(4.6, -1, 100.0, 150.0, 45.0, YARD_BAYS_X, 0.5),
}
SIZES_M = {"car": (4.3, 1.8, 1.46), "truck": (6.3, 2.15, 2.85), "cyclist": (1.8, 0.6, 1.75)}
CRUISE_MPS = {"car": 9.0, "truck": 8.0, "cyclist": 5.5}


@dataclass
class Vehicle:
    """Something that drives on a lane, or stands in a bay beside it."""

    track: int
    kind: str
    lane: Lane
    s: float
    speed: float
    look: int
    bay_x: float | None = None
    parked: bool = False
    odometer: float = field(default=0.0)

    @property
    def x(self) -> float:
        """Centre along the street."""
        return self.lane.x(self.s)

    @property
    def sideways(self) -> float:
        """How far it is into its bay, 0..1; a smooth curve of the distance to the bay, for coming and leaving alike."""
        if self.bay_x is None:
            return 0.0
        t = min(1.0, abs(self.x - self.bay_x) / SWERVE_M)
        return 1.0 - t * t * (3 - 2 * t)

    @property
    def y(self) -> float:
        """Centre across the street."""
        return self.lane.y + (BAY_Y - self.lane.y) * self.sideways

    @property
    def heading(self) -> float:
        """Direction of travel in radians, 0 along +x."""
        straight = 0.0 if self.lane.direction > 0 else np.pi
        if self.bay_x is None or self.parked:
            return straight
        offset = self.x - self.bay_x
        t = min(1.0, abs(offset) / SWERVE_M)
        slope = (BAY_Y - self.lane.y) * -6 * t * (1 - t) / SWERVE_M * np.sign(offset)
        return straight + float(np.arctan(slope))

    @property
    def state(self) -> str:
        """``moving``, ``stopped`` or ``parked``."""
        return "parked" if self.parked else "moving" if self.speed > STANDS_BELOW_MPS else "stopped"


def acceleration(speed: float, cruise: float, gap: float, closing: float) -> float:
    """The intelligent driver model: free road towards ``cruise``, brake for what is ``gap`` metres ahead."""
    wanted = 1.8 + max(0.0, speed * 1.1 + speed * closing / 4.2)
    return 2.0 * (1 - (speed / cruise) ** 4 - (wanted / max(gap, 0.3)) ** 2)


class Traffic:
    """All vehicles, moved by car following, the traffic light and the search for a bay."""

    def __init__(self, rng: np.random.Generator, signal: Signal) -> None:
        self.rng = rng
        self.signal = signal
        self.vehicles: list[Vehicle] = []
        self.tracks = 0
        for bay in BAYS_X:
            if rng.random() < 0.6:
                kind = "truck" if rng.random() < 0.12 else "car"
                self._add(kind, "far", LANES["far"].s(bay), 0.0, bay_x=bay, parked=True)

    def enter(self, kind: str, lane: str, behind_m: float = 0.0, park: bool = False) -> None:
        """Let a vehicle start at the beginning of a lane, well outside the picture."""
        taken = {vehicle.bay_x for vehicle in self.vehicles}
        free = [bay for bay in LANES[lane].bays_x if bay not in taken]
        bay = float(self.rng.choice(free)) if park and free else None
        last = min((v.s for v in self.vehicles if v.lane is LANES[lane] and not v.parked), default=9.0)
        speed = CRUISE_MPS[kind] * 0.9 * LANES[lane].slow
        self._add(kind, lane, min(0.0, last - 9.0) - behind_m, speed, bay_x=bay)

    def leave_bay(self, lane: str = "far") -> None:
        """Let one parked vehicle drive off when nobody comes."""
        parked = self.parked(lane)
        if parked:
            vehicle = parked[int(self.rng.integers(len(parked)))]
            near = [v for v in self._drivers(lane) if -14 < vehicle.s - v.s < 22 or -10 < v.s - vehicle.s < 10]
            if not near:
                vehicle.parked, vehicle.s = False, vehicle.s + 0.01

    def parked(self, lane: str = "far") -> list[Vehicle]:
        """Who stands in a lane's bays."""
        return [vehicle for vehicle in self.vehicles if vehicle.parked and vehicle.lane is LANES[lane]]

    def step(self, step_s: float) -> None:
        """Move everybody."""
        for name in LANES:
            ahead: Vehicle | None = None
            for vehicle in sorted(self._drivers(name), key=lambda v: -v.s):
                self._drive(vehicle, ahead, step_s)
                ahead = vehicle
        self.vehicles = [v for v in self.vehicles if v.s < v.lane.length_m]

    def _add(self, kind: str, lane: str, s: float, speed: float, *, bay_x: float | None, parked: bool = False) -> None:
        self.tracks += 1
        look = int(self.rng.integers(1 << 30))
        self.vehicles.append(Vehicle(self.tracks, kind, LANES[lane], s, speed, look, bay_x, parked))

    def _drivers(self, lane: str) -> list[Vehicle]:
        return [v for v in self.vehicles if v.lane is LANES[lane] and not v.parked]

    def _drive(self, vehicle: Vehicle, ahead: Vehicle | None, step_s: float) -> None:
        half = SIZES_M[vehicle.kind][0] / 2
        cruise = vehicle.lane.slow * CRUISE_MPS[vehicle.kind] * (0.95 + vehicle.look % 100 / 1000)
        pull = acceleration(vehicle.speed, cruise, 1e3, 0.0)
        if ahead is not None:
            gap = ahead.s - SIZES_M[ahead.kind][0] / 2 - vehicle.s - half
            pull = min(pull, acceleration(vehicle.speed, cruise, gap, vehicle.speed - ahead.speed))
        to_line = vehicle.lane.s(vehicle.lane.stop_x) - vehicle.s - half
        must_stop = self.signal.colour != "green" and to_line > -0.5 and vehicle.speed**2 / 7.0 < to_line + 1.0
        if must_stop:
            pull = min(pull, acceleration(vehicle.speed, cruise, to_line + 1.6, vehicle.speed))
        to_bay = np.inf if vehicle.bay_x is None else vehicle.lane.s(vehicle.bay_x) - vehicle.s
        if 0 <= to_bay < 40:
            pull = min(pull, acceleration(vehicle.speed, cruise, to_bay + 1.6, vehicle.speed))
        vehicle.speed = max(0.0, vehicle.speed + float(np.clip(pull, -6.0, 2.2)) * step_s)
        if vehicle.speed < 0.12 and pull < 0:
            vehicle.speed = 0.0
        if 0 <= to_bay < 1.5:  # the model only creeps towards its goal; nobody parks that slowly
            vehicle.speed = max(vehicle.speed, 0.7)
            if to_bay < 0.06:
                vehicle.parked, vehicle.speed = True, 0.0
                vehicle.s += float(to_bay)
        vehicle.s += vehicle.speed * step_s
        vehicle.odometer += vehicle.speed * step_s

"""The ground truth of a rendered frame: what models and filters are judged by."""

from dataclasses import asdict, dataclass, field
from typing import Any

CLASSES = ("car", "truck", "cyclist", "person")
CONDITIONS = ("day", "cloudy", "rain", "dusk", "night", "night_rain")
TRAFFIC = ("free", "moving", "queue")
ACTIVITY = ("none", "low", "high")


@dataclass(frozen=True)
class Box:
    """One visible road user; coordinates are normalised to the frame."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str
    """One of `CLASSES`."""
    state: str
    """``moving``, ``stopped`` or ``parked`` (people only move or stop)."""
    track: int
    visible: float
    """Share of its outline that nothing nearer hides."""
    on_road: bool
    """On the carriageway or the crossing, not in a bay and not on a pavement."""


@dataclass(frozen=True)
class Truth:
    """The ground truth of one frame.

    A road user counts (is in ``boxes``) when at least 35 % of its outline can be seen and enough of it is inside
    the frame; all other fields follow from the boxes, so that they can be judged from the picture alone.
    """

    frame: int
    time_s: float
    clock: float
    """Time of day, 0..1: 0 is the morning, 0.5 dusk, then night."""
    light: str
    """``day``, ``dusk`` or ``night``."""
    weather: str
    """``clear``, ``cloudy`` or ``rain``."""
    signal: str
    """What the cars' traffic light shows: ``green``, ``amber`` or ``red``."""
    boxes: tuple[Box, ...] = field(default=())

    @property
    def conditions(self) -> str:
        """One of `CONDITIONS`; rain hides whether a day is cloudy or ends."""
        if self.weather == "rain":
            return "night_rain" if self.light == "night" else "rain"
        if self.light != "day":
            return self.light
        return "cloudy" if self.weather == "cloudy" else "day"

    @property
    def road_users(self) -> tuple[Box, ...]:
        """Who is on the carriageway or the crossing."""
        return tuple(box for box in self.boxes if box.on_road)

    @property
    def traffic(self) -> str:
        """``free``: no car or truck on the carriageway; ``queue``: at least one stands there; else ``moving``."""
        cars = [box for box in self.road_users if box.kind in ("car", "truck")]
        if not cars:
            return "free"
        return "queue" if any(box.state == "stopped" for box in cars) else "moving"

    @property
    def activity(self) -> str:
        """``none``: nobody on the carriageway or crossing; ``low``: one or two road users; ``high``: more."""
        count = len(self.road_users)
        return "none" if count == 0 else "low" if count <= 2 else "high"

    @property
    def parked(self) -> int:
        """Cars and trucks in the parking bays."""
        return sum(box.state == "parked" for box in self.boxes)

    @property
    def stopped(self) -> int:
        """Cars and trucks that stand on the carriageway."""
        return sum(box.state == "stopped" and box.kind in ("car", "truck") for box in self.boxes)

    @property
    def standing(self) -> int:
        """Cars and trucks that stand, parked or not."""
        return self.parked + self.stopped

    @property
    def moving(self) -> bool:
        """Whether anybody moves; leaves, rain, clouds and signals do not count."""
        return any(box.state == "moving" for box in self.boxes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the derived labels."""
        derived = ("conditions", "traffic", "activity", "parked", "stopped", "standing", "moving")
        return asdict(self) | {name: getattr(self, name) for name in derived}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Truth":
        """Read what `as_dict` wrote."""
        boxes = tuple(Box(**box) for box in values["boxes"])
        names = ("frame", "time_s", "clock", "light", "weather", "signal")
        return cls(**{name: values[name] for name in names}, boxes=boxes)

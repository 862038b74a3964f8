"""Where models can run: the devices, by class, and the cloud that they share; what each has and what sending costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Literal

from ...errors import InvalidInput

ResourceName = Literal["memory_bytes", "cores", "network_bytes_per_s", "energy_w"]
DEVICE_RESOURCES: tuple[ResourceName, ...] = ("memory_bytes", "cores", "network_bytes_per_s", "energy_w")
CLOUD_RESOURCES: tuple[ResourceName, ...] = ("memory_bytes", "cores", "network_bytes_per_s")
CLOUD = "cloud"
"""How the cloud is called among the places; no device may be called so."""


@dataclass(frozen=True)
class Device:
    """Devices of one class: all alike, each with inputs of its own. Budgets are of one device; `inf`: no limit.

    Attributes:
        name: the class's.
        count: how many there are.
        inputs_per_s: inputs of one device each second, behind its filter.
        input_bytes: of one input as it travels.
        slowdown: an inference takes so many times as long here as where it was measured.
        memory_bytes: for models and links, as a peak.
        cores: core-seconds of computing each second, as a sum.
        network_bytes_per_s: what may be sent each second.
        energy_w: joules each second for computing and sending, as a sum.
        active_w: watts that one core takes more while it computes.
        sent_j_per_byte: joules for sending a byte.
        weights: how much each model's answers matter here, in the place of the weights for all devices.
        links: whether links can answer here; else only in the cloud.
    """

    name: str
    count: int = 1
    inputs_per_s: float = 1.0
    input_bytes: float = 50_000.0
    slowdown: float = 1.0
    memory_bytes: float = inf
    cores: float = 1.0
    network_bytes_per_s: float = inf
    energy_w: float = inf
    active_w: float = 0.0
    sent_j_per_byte: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    links: bool = True

    def check(self) -> None:
        """Makes sure that the figures make sense.

        Raises:
            InvalidInput: naming the device and the figure.
        """
        where = f"device {self.name!r}"
        if not self.name or self.name == CLOUD:
            raise InvalidInput(f"{where}: give each class of devices a name, and not {CLOUD!r}")
        if self.count < 1:
            raise InvalidInput(f"{where}: count must be at least 1, not {self.count}")
        _check(where, self, finite=("inputs_per_s", "input_bytes", "slowdown", "active_w", "sent_j_per_byte"))
        if self.inputs_per_s == 0 or self.slowdown == 0:
            raise InvalidInput(f"{where}: inputs_per_s and slowdown must be above 0")


@dataclass(frozen=True)
class Cloud:
    """The machine that all devices send to. `inf`: no limit; 0 of memory or cores: there is none.

    Attributes:
        memory_bytes: for models, each held once for all devices, and links, as a peak.
        cores: core-seconds of computing each second, for the inputs of all devices, as a sum.
        network_bytes_per_s: what may arrive from all devices together each second.
        slowdown: an inference takes so many times as long here as where it was measured.
    """

    memory_bytes: float = inf
    cores: float = inf
    network_bytes_per_s: float = inf
    slowdown: float = 1.0

    def check(self) -> None:
        """Makes sure that the figures make sense.

        Raises:
            InvalidInput: naming the figure.
        """
        _check(CLOUD, self, finite=("slowdown",))
        if self.slowdown == 0:
            raise InvalidInput(f"{CLOUD}: slowdown must be above 0")


@dataclass(frozen=True)
class LinkCost:
    """What answering by one link costs.

    Attributes:
        memory_bytes: while it is computed.
        infer_s: one answer, on the machine where models were measured.
    """

    memory_bytes: float = 2.0**20
    infer_s: float = 1e-4

    def check(self) -> None:
        """Makes sure that the figures make sense.

        Raises:
            InvalidInput: naming the figure.
        """
        _check("link", self, finite=("memory_bytes", "infer_s"))


def _check(where: str, place: Device | Cloud | LinkCost, *, finite: tuple[str, ...]) -> None:
    for item in fields(place):
        value = getattr(place, item.name)
        if isinstance(value, int | float) and not (value >= 0 and (value < inf or item.name not in finite)):
            end = " and finite" if item.name in finite else ""
            raise InvalidInput(f"{where}: {item.name} must be at least 0{end}, not {value}")

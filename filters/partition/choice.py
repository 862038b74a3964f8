"""Where to cut: on the device, at a cut, or before the model, by the link and the device's speed (Neurosurgeon)."""

import math
from dataclasses import dataclass

from ...errors import InvalidInput
from .cuts import CutTable, PackCost

ON_DEVICE = "on the device"
OFFLOAD = "offload"


@dataclass(frozen=True)
class Placing:
    """One way to run a model for a camera.

    Attributes:
        where: `ON_DEVICE`, `OFFLOAD` (frames travel as JPEGs), or the cut's tensor.
        transfer: how what travels does; empty where nothing does.
        sent_bytes: for each input.
        latency_s: from a captured frame to its output, nothing else being on the way.
        inputs_per_s: what the slowest of device, link and cloud lets through, each working on another input.
    """

    where: str
    transfer: str
    sent_bytes: float
    latency_s: float
    inputs_per_s: float


@dataclass(frozen=True)
class Choice:
    """What is best over one link.

    Attributes:
        link_bps: its speed, bits a second.
        device_slowdown: how much slower the device is than what was measured on.
        latency: the placing with the least latency.
        throughput: the one with the most inputs a second; among equals, the one with the least latency.
        placings: all of them.
    """

    link_bps: float
    device_slowdown: float
    latency: Placing
    throughput: Placing
    placings: tuple[Placing, ...]


def choose(table: CutTable, link_bps: float, *, device_slowdown: float = 1.0) -> Choice:
    """The best places to cut a measured model.

    Args:
        table: what each cut costs here; the cloud is taken to be as fast as this machine.
        link_bps: the uplink, bits a second; answers are small and count nothing.
        device_slowdown: how much slower the device is: its times are so many times those measured.

    Raises:
        InvalidInput: the slowdown or the link is not above 0.
    """
    for name, value in (("device_slowdown", device_slowdown), ("link_bps", link_bps)):
        if not (value > 0 and math.isfinite(value)):
            raise InvalidInput(f"{name} must be above 0, not {value:g}")

    def placing(where: str, transfer: str, pack: PackCost, before_s: float, after_s: float) -> Placing:
        stages = (
            device_slowdown * (before_s + pack.pack_s),
            8 * pack.sent_bytes / link_bps,
            pack.unpack_s + after_s,
        )
        return Placing(where, transfer, pack.sent_bytes, sum(stages), 1 / max(*stages, 1e-9))

    placings = [
        placing(ON_DEVICE, "", PackCost(0, 0, 0), table.whole_s, 0),
        placing(OFFLOAD, "jpeg", table.jpeg, 0, table.whole_s),
    ]
    for cut in table.cuts:
        placings += [placing(cut.tensor, name, pack, cut.head_s, cut.tail_s) for name, pack in cut.forms.items()]
    return Choice(
        link_bps=link_bps,
        device_slowdown=device_slowdown,
        latency=min(placings, key=lambda each: each.latency_s),
        throughput=max(placings, key=lambda each: (each.inputs_per_s, -each.latency_s)),
        placings=tuple(placings),
    )

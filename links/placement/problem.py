"""The placement problem: models, links, devices and the cloud in arrays, with what everything takes of every budget."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from ...errors import InvalidInput
from ...models.cost import ModelCost
from ...outputs import Array
from ..planning.ways import Ways
from ..planning.weights import shares
from ..table import NEVER, Route, Table
from .places import Cloud, Device, LinkCost

Weigh = Literal["inputs", "devices"]
# Of a budget: what floating point may add up to too much. Below a byte for any memory there is.
_SLACK = 1e-12


@dataclass(frozen=True)
class PlacementProblem:
    """What is chosen from; D classes of devices, M models, W links.

    For every device and model one of these is chosen: it runs on the device; it runs in the cloud on the device's
    inputs; a link answers, on the device or in the cloud; or it is answered for without links, by a constant or its
    last output. The weighted mean agreement over models and devices is to be highest. This is MLink's selection
    (section 3) with a place for everything.

    Attributes:
        names: the models.
        devices: the classes of devices.
        cloud: what they share.
        device_weights: each class's share of the objective, float (D,); they sum to 1.
        model_weights: each model's share of its device's part, float (D, M); rows sum to 1.
        tables: what was measured for each model.
        age: how old a model's last own output is that does not run, as a bucket; `NEVER`: it has none.
        ways: the links, values (W,).
        runnable: which models can run at all, bool (M,): all but the virtual ones.
        memory: each model's bytes, float (M,).
        infer_s: seconds of each inference where it was measured, float (M,).
        output_bytes: of one output as it travels, float (M,).
        link_memory: bytes of a link that answers for each model, float (M,).
        link_s: seconds of it, float (M,).
    """

    names: tuple[str, ...]
    devices: tuple[Device, ...]
    cloud: Cloud
    device_weights: Array
    model_weights: Array
    tables: tuple[Table, ...]
    age: int
    ways: Ways
    runnable: Array
    memory: Array
    infer_s: Array
    output_bytes: Array
    link_memory: Array
    link_s: Array

    @classmethod
    def of(
        cls,
        tables: Mapping[str, Table],
        costs: Mapping[str, ModelCost],
        devices: Sequence[Device],
        cloud: Cloud,
        *,
        output_bytes: Mapping[str, float],
        links: Mapping[str, LinkCost] | None = None,
        weights: Mapping[str, float] | None = None,
        weigh: Weigh = "inputs",
        age: int = NEVER,
        virtual: Collection[str] = (),
    ) -> "PlacementProblem":
        """From what was measured.

        Args:
            tables: each model's; the same for all devices.
            costs: what each model costs where it was measured.
            devices: the classes of devices.
            cloud: what they share.
            output_bytes: of one output of each model as it travels.
            links: what a link that answers for a model costs; `LinkCost()` where it is not named.
            weights: how much each model's answers matter; 1 if it is not named. A device's own go before.
            weigh: "inputs": a class weighs as many inputs as its devices have; "devices": as many devices as there are.
            age: how old the last own output of a model that does not run is, as a bucket.
            virtual: the models that nothing runs for: only links answer for them, and they have no costs.

        Raises:
            InvalidInput: a figure makes no sense, or a model is missing or unknown.
        """
        names = tuple(sorted(tables))
        costs = {**costs, **dict.fromkeys(virtual, ModelCost(0, 0.0, 0.0))}
        _check(names, costs, devices, cloud, output_bytes, links or {}, weigh)
        # Which inputs the cloud sees is what is to be found out: none is taken to be there for a stem.
        ordered = [tables[name].without_stem() for name in names]
        own = [(links or {}).get(name, LinkCost()) for name in names]
        weighs = [device.count * (device.inputs_per_s if weigh == "inputs" else 1.0) for device in devices]
        parts = [shares(names, {**(weights or {}), **device.weights}) for device in devices]
        return cls(
            names,
            tuple(devices),
            cloud,
            np.asarray(weighs) / sum(weighs),
            np.asarray(parts),
            tuple(ordered),
            age,
            Ways.of(ordered, names).at(age),
            np.asarray([name not in virtual for name in names]),
            np.asarray([float(costs[name].memory_bytes) for name in names]),
            np.asarray([costs[name].infer_s for name in names]),
            np.asarray([float(output_bytes[name]) for name in names]),
            np.asarray([link.memory_bytes for link in own]),
            np.asarray([link.infer_s for link in own]),
        )

    def route(self, model: int, way: int) -> Route:
        """How a model that does not run is answered for by a link, or without one where `way` is negative."""
        table = self.tables[model]
        if way < 0:
            return table.free(self.age)
        members = frozenset(self.names[index] for index in np.flatnonzero(self.ways.sources[way]))
        sources = next(sources for sources in table.linked if frozenset(sources) == members)
        return Route("linked", sources, table.linked[sources][self.age])

    @cached_property
    def free(self) -> Array:
        """What answering without any link reaches: float (M,)."""
        return np.asarray([table.free(self.age).measured.validation for table in self.tables])

    @cached_property
    def weights(self) -> Array:
        """Each answer's share of the objective: float (D, M); they sum to 1."""
        return np.asarray(self.device_weights[:, None] * self.model_weights)

    @cached_property
    def rates(self) -> Array:
        """Inputs of one device each second: float (D,)."""
        return np.asarray([device.inputs_per_s for device in self.devices])

    @cached_property
    def counts(self) -> Array:
        """Devices of each class: float (D,)."""
        return np.asarray([float(device.count) for device in self.devices])

    @cached_property
    def links_on_device(self) -> Array:
        """Whether links can answer on a device of each class: bool (D,)."""
        return np.asarray([device.links for device in self.devices])

    @cached_property
    def device_pace(self) -> Array:
        """Core-seconds each second on a device for each second of what was measured: float (D,)."""
        return np.asarray(self.rates * [device.slowdown for device in self.devices])

    @cached_property
    def cloud_pace(self) -> Array:
        """Core-seconds each second in the cloud, for all devices of a class, for each measured second: float (D,)."""
        return np.asarray(self.counts * self.rates * self.cloud.slowdown)

    @cached_property
    def input_traffic(self) -> Array:
        """Bytes each second of one device whose inputs travel: float (D,)."""
        return np.asarray(self.rates * [device.input_bytes for device in self.devices])

    @cached_property
    def output_traffic(self) -> Array:
        """Bytes each second of one device that sends a model's outputs: float (D, M)."""
        return np.asarray(self.rates[:, None] * self.output_bytes)

    @cached_property
    def active_w(self) -> Array:
        """Watts of a core that computes: float (D,)."""
        return np.asarray([device.active_w for device in self.devices])

    @cached_property
    def sent_j(self) -> Array:
        """Joules of a byte sent: float (D,)."""
        return np.asarray([device.sent_j_per_byte for device in self.devices])

    @cached_property
    def device_limits(self) -> Array:
        """The budgets of one device, with what floating point may add up to: float (D, DEVICE_RESOURCES)."""
        rows = [(each.memory_bytes, each.cores, each.network_bytes_per_s, each.energy_w) for each in self.devices]
        return np.asarray(rows) * (1 + _SLACK)

    @cached_property
    def cloud_limits(self) -> Array:
        """The cloud's: float (CLOUD_RESOURCES,)."""
        cloud = self.cloud
        return np.asarray([cloud.memory_bytes, cloud.cores, cloud.network_bytes_per_s]) * (1 + _SLACK)


def _check(
    names: tuple[str, ...],
    costs: Mapping[str, ModelCost],
    devices: Sequence[Device],
    cloud: Cloud,
    output_bytes: Mapping[str, float],
    links: Mapping[str, LinkCost],
    weigh: str,
) -> None:
    if not names:
        raise InvalidInput("there is no model to place")
    if not devices:
        raise InvalidInput("there is no device to place models for: give at least one")
    if weigh not in get_args(Weigh):
        raise InvalidInput(f"weigh {weigh!r}: write one of {', '.join(map(repr, get_args(Weigh)))}")
    for device in devices:
        device.check()
    twice = [name for name, count in Counter(device.name for device in devices).items() if count > 1]
    if twice:
        raise InvalidInput(f"two devices are called {twice[0]!r}: give each class a name of its own")
    cloud.check()
    for link in links.values():
        link.check()
    for what, given in (("costs", costs), ("output_bytes", output_bytes)):
        missing = sorted(set(names) - set(given))
        if missing:
            raise InvalidInput(f"{what}: nothing is said of the model {missing[0]!r}")
    for what, known in (("output_bytes", output_bytes), ("links", links)):
        unknown = sorted(set(known) - set(names))
        if unknown:
            raise InvalidInput(f"{what}: {unknown[0]!r} is no model; the models are {', '.join(names)}")
    for name, size in output_bytes.items():
        if not 0 <= size < float("inf"):
            raise InvalidInput(f"output_bytes: {name} must be at least 0 and finite, not {size}")

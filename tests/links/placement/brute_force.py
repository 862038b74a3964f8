"""The placement problem by trying everything, straight from its words: what the planner must agree with."""

from dataclasses import dataclass
from itertools import product
from math import inf

from infilink.links.placement.places import Cloud, Device, LinkCost
from infilink.links.placement.problem import PlacementProblem, Weigh
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.models.cost import ModelCost

HAIR = 1 + 1e-9


@dataclass(frozen=True)
class Case:
    """All that a placement is chosen from, by names."""

    tables: dict[str, Table]
    costs: dict[str, ModelCost]
    devices: list[Device]
    cloud: Cloud
    output_bytes: dict[str, float]
    links: dict[str, LinkCost]

    def problem(self, weigh: Weigh = "inputs") -> PlacementProblem:
        return PlacementProblem.of(
            self.tables,
            self.costs,
            self.devices,
            self.cloud,
            output_bytes=self.output_bytes,
            links=self.links,
            weigh=weigh,
        )


Choice = tuple[str, tuple[str, ...]]


def constant_table(agreement: float, linked: dict[tuple[str, ...], float] | None = None) -> Table:
    """A table of figures that are the same at every age and on both blocks."""
    rows = {sources: (Measured(value, value),) * BUCKETS for sources, value in (linked or {}).items()}
    return Table(Measured(agreement, agreement), (Measured(agreement, agreement),) * NEVER, rows)


def keeps(case: Case, choices: dict[tuple[int, str], Choice]) -> bool:
    """Whether every budget is kept: device by device, then the cloud."""
    cloud_s, cloud_bytes, held, largest = 0.0, 0.0, set(), 0.0
    for index, device in enumerate(case.devices):
        own = {name: choice for (place, name), choice in choices.items() if place == index}
        infer_s, memory, link_memory = 0.0, 0.0, 0.0
        travels, sent = False, set()
        here = {name for name, (way, _) in own.items() if way == "device"}
        there = {name for name, (way, _) in own.items() if way == "cloud"}
        for name, (way, sources) in own.items():
            cost, link = case.costs[name], case.links[name]
            if way == "device":
                infer_s, memory = infer_s + cost.infer_s, memory + cost.memory_bytes
            elif way == "cloud":
                travels = True
                held.add(name)
                cloud_s += device.count * device.inputs_per_s * case.cloud.slowdown * cost.infer_s
            elif way == "device link":
                if not device.links or not here.issuperset(sources):
                    return False
                infer_s, link_memory = infer_s + link.infer_s, max(link_memory, link.memory_bytes)
            elif way == "cloud link":
                if not (here | there).issuperset(sources):
                    return False
                sent |= here & set(sources)
                cloud_s += device.count * device.inputs_per_s * case.cloud.slowdown * link.infer_s
                largest = max(largest, link.memory_bytes)
        cores = infer_s * device.slowdown * device.inputs_per_s
        traffic = device.inputs_per_s * (travels * device.input_bytes + sum(case.output_bytes[name] for name in sent))
        cloud_bytes += device.count * traffic
        if memory + link_memory > device.memory_bytes * HAIR or cores > device.cores * HAIR:
            return False
        if traffic > device.network_bytes_per_s * HAIR:
            return False
        if device.active_w * cores + device.sent_j_per_byte * traffic > device.energy_w * HAIR:
            return False
    memory = sum(case.costs[name].memory_bytes for name in held) + largest
    return (
        memory <= case.cloud.memory_bytes * HAIR
        and cloud_s <= case.cloud.cores * HAIR
        and cloud_bytes <= case.cloud.network_bytes_per_s * HAIR
    )


def brute_force(case: Case) -> float:
    """The best value there is."""
    names = sorted(case.tables)
    ways: dict[str, list[tuple[Choice, float]]] = {}
    for name in names:
        free = case.tables[name].constant.validation
        linked = [
            (sources, row[NEVER].validation)
            for sources, row in case.tables[name].linked.items()
            if row[NEVER].validation > free
        ]
        ways[name] = [(("device", ()), 1.0), (("cloud", ()), 1.0), (("free", ()), free)]
        ways[name] += [((f"{place} link", sources), v) for place in ("device", "cloud") for sources, v in linked]
    weighs = [device.count * device.inputs_per_s for device in case.devices]
    places = [(index, name) for index in range(len(case.devices)) for name in names]
    best = -inf
    for picked in product(*(ways[name] for _, name in places)):
        value = sum(weighs[index] * value for (index, _), (_, value) in zip(places, picked, strict=True))
        if value > best and keeps(case, {at: choice for at, (choice, _) in zip(places, picked, strict=True)}):
            best = value
    return best / sum(weighs) / len(names)

"""A placement by names: where each model runs or is predicted, what is used of every budget, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from ...outputs import Array
from ...units import format_bytes
from .assignment import NO_WAY, Assignment
from .places import CLOUD, CLOUD_RESOURCES, DEVICE_RESOURCES, ResourceName
from .problem import PlacementProblem

Where = Literal["device", "cloud", "linked on the device", "linked in the cloud", "held", "constant"]


@dataclass(frozen=True)
class Refusal:
    """A budget that a model would exceed together with all else that was chosen.

    Attributes:
        place: where it would run: the device's name, or "cloud".
        budget_of: whose budget it is: a model in the cloud may exceed its device's network.
        resource: the resource.
        needed: how much the model would take.
        left: how much is left without it.
        budget: how much there is.
        text: all that in words.
    """

    place: str
    budget_of: str
    resource: ResourceName
    needed: float
    left: float
    budget: float
    text: str


@dataclass(frozen=True)
class PlacedAnswer:
    """How one model is answered for on one class of devices.

    Attributes:
        where: it runs, or a link answers, on the device or in the cloud; or its last output or a constant does.
        sources: the models it is predicted from.
        agreement: with the exact model, on the block that choices are made on; 1 for what runs.
        expected_agreement: the same on the last block, which nothing was chosen on.
        refused: the budgets that running it would exceed; none where it runs or would bring nothing.
    """

    where: Where
    sources: tuple[str, ...]
    agreement: float
    expected_agreement: float
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class Use:
    """What is taken of one budget.

    Attributes:
        place: a class of devices (of one of them), or "cloud".
        resource: the resource.
        used: how much is taken.
        budget: how much there is; None: no limit.
    """

    place: str
    resource: ResourceName
    used: float
    budget: float | None


@dataclass(frozen=True)
class Placement:
    """What runs where.

    Attributes:
        value: the weighted mean agreement over devices and models, which was maximised.
        gap: by how much another placement could exceed it; 0: none does by more than two in a million.
        expected_agreement: the same mean on the last block, which nothing was chosen on.
        answers: by class of devices, then by model.
        held_in_cloud: the models that the cloud holds in memory, once for all devices.
        sent: what each class of devices sends: "inputs", or the models whose outputs links in the cloud read.
        uses: what is taken of every budget.
    """

    value: float
    gap: float
    expected_agreement: float
    answers: Mapping[str, Mapping[str, PlacedAnswer]]
    held_in_cloud: tuple[str, ...]
    sent: Mapping[str, tuple[str, ...]]
    uses: tuple[Use, ...]


def describe(problem: PlacementProblem, chosen: Assignment, gap: float) -> Placement:
    """An assignment as a placement.

    Args:
        problem: what was chosen from.
        chosen: the assignment.
        gap: by how much another could exceed it.
    """
    names = np.asarray(problem.names, object)
    answers = {
        device.name: {name: _answer(problem, chosen, row, model) for model, name in enumerate(problem.names)}
        for row, device in enumerate(problem.devices)
    }
    reported = [[answer.expected_agreement for answer in row.values()] for row in answers.values()]
    sent = {
        device.name: (("inputs",) if travels else ()) + tuple(names[outputs])
        for device, travels, outputs in zip(problem.devices, chosen.travels, chosen.sent(problem), strict=True)
    }
    return Placement(
        chosen.value(problem),
        gap,
        float((problem.weights * np.asarray(reported)).sum()),
        answers,
        tuple(names[chosen.held]),
        sent,
        tuple(_uses(problem, chosen)),
    )


def _answer(problem: PlacementProblem, chosen: Assignment, device: int, model: int) -> PlacedAnswer:
    if chosen.runs[device, model]:
        return PlacedAnswer("device" if chosen.on_device[device, model] else "cloud", (), 1.0, 1.0)
    way = int(chosen.way[device, model])
    route = problem.route(model, way)
    where: Where
    if way == NO_WAY:
        assert route.origin != "linked"
        where = route.origin
    else:
        where = "linked on the device" if chosen.device_way[device, model] >= 0 else "linked in the cloud"
    refused = tuple(refusals(problem, chosen, device, model)) if problem.runnable[model] else ()
    return PlacedAnswer(where, route.sources, route.measured.validation, route.measured.report, refused)


def _uses(problem: PlacementProblem, chosen: Assignment) -> list[Use]:
    devices, cloud = problem.devices, problem.cloud
    found = [
        Use(device.name, resource, float(used), _budget(getattr(device, resource)))
        for device, row in zip(devices, chosen.device_use(problem), strict=True)
        for resource, used in zip(DEVICE_RESOURCES, row, strict=True)
    ]
    for resource, used in zip(CLOUD_RESOURCES, chosen.cloud_use(problem), strict=True):
        found.append(Use(CLOUD, resource, float(used), _budget(getattr(cloud, resource))))
    return found


def _budget(limit: float) -> float | None:
    return float(limit) if isfinite(limit) else None


def refusals(problem: PlacementProblem, chosen: Assignment, device: int, model: int) -> list[Refusal]:
    """The budgets that running a model on a device's inputs would exceed; none: it would bring nothing."""
    found = []
    own = problem.devices[device].name
    for place, on_device in ((own, True), (CLOUD, False)):
        without = chosen
        tried = chosen.with_model(device, model, on_device=on_device)
        used, more = without.device_use(problem)[device], tried.device_use(problem)[device]
        found += _exceeded(place, own, DEVICE_RESOURCES, used, more, problem.device_limits[device])
        used, more = without.cloud_use(problem), tried.cloud_use(problem)
        found += _exceeded(place, CLOUD, CLOUD_RESOURCES, used, more, problem.cloud_limits)
    return found


def _exceeded(
    place: str, budget_of: str, resources: tuple[ResourceName, ...], used: Array, more: Array, limits: Array
) -> list[Refusal]:
    found = []
    for index in np.flatnonzero(more > limits):
        resource, budget = resources[index], float(limits[index])
        needed, left = float(more[index] - used[index]), float(max(budget - used[index], 0.0))
        kind = resource.split("_")[0]
        text = f"{budget_of}'s {kind}: takes {amount(resource, needed)}, {amount(resource, left)} left of "
        found.append(Refusal(place, budget_of, resource, needed, left, budget, text + amount(resource, budget)))
    return found


def amount(resource: ResourceName, value: float) -> str:
    """A figure with its unit, for people."""
    if resource == "memory_bytes":
        return format_bytes(value)
    if resource == "network_bytes_per_s":
        return f"{format_bytes(value)}/s"
    return f"{value:.3g} {'W' if resource == 'energy_w' else 'cores'}"

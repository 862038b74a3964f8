"""Why a model does not run: which budget, where, by how much."""

from dataclasses import dataclass

import numpy as np

from ...budget import format_bytes
from ...outputs import Array
from .assignment import Assignment
from .places import CLOUD, CLOUD_RESOURCES, DEVICE_RESOURCES, ResourceName
from .problem import PlacementProblem


@dataclass(frozen=True)
class Refusal:
    """A budget that a model would exceed, beside all else that was chosen.

    Attributes:
        place: where it would run: the device's name, or "cloud".
        budget_of: whose budget it is: a model in the cloud may exceed its device's network.
        resource: of what.
        needed: what is taken more with the model.
        left: what is left without it.
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


def refusals(problem: PlacementProblem, chosen: Assignment, device: int, model: int) -> list[Refusal]:
    """The budgets in the way of a model that does not run on a device's inputs; none: it would bring nothing."""
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


def amount(resource: ResourceName, value: float) -> str:
    """A figure with its unit, for people."""
    if resource == "memory_bytes":
        return format_bytes(value)
    if resource == "network_bytes_per_s":
        return f"{format_bytes(value)}/s"
    return f"{value:.3g} {'W' if resource == 'energy_w' else 'cores'}"


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

"""From a placement to plans: what the cloud runs for each class of devices, and who may connect as one of them."""

from collections.abc import Mapping

from ..errors import InvalidInput
from ..links.planning.plan import Plan, Served
from ..placement_file import PlacedDevice, PlacedModel, PlacementFile
from ..process import ModelCost


def class_plans(placement: PlacementFile, costs: Mapping[str, ModelCost]) -> dict[str, Plan]:
    """What runs in the cloud on the inputs of each class's devices.

    Args:
        placement: what runs where.
        costs: what each model costs.
    """
    return {name: _plan(device, placement.cloud_memory_bytes, costs) for name, device in placement.devices.items()}


def whole_plan(placement: PlacementFile, costs: Mapping[str, ModelCost]) -> Plan:
    """What the cloud holds, for all classes together; devices that are of none get all of it."""
    held = {name for device in placement.devices.values() for name in device.running("cloud")}
    resident = tuple(name for name in costs if name in held)
    memory_bytes = sum(costs[name].memory_bytes for name in resident)
    return Plan(placement.cloud_memory_bytes, memory_bytes, resident, expected_agreement=placement.expected_agreement)


def check_device(placement: PlacementFile | None, device_class: str, local: Mapping[str, str]) -> None:
    """Makes sure that a device does what the placement has its class do.

    Raises:
        InvalidInput: there is no such class, or the device runs other models than the placement says.
    """
    if not device_class:
        return
    if placement is None:
        raise InvalidInput(
            f"the device is placed as {device_class!r}, and the coordinator has no placement: give both the same "
            "`placement`"
        )
    placed = placement.device(device_class).running("device")
    if set(placed) != set(local):
        raise InvalidInput(
            f"the device runs {', '.join(sorted(local)) or 'no model'}, and the coordinator's placement has "
            f"{device_class!r} run {', '.join(placed) or 'none'}: give both the same `placement`"
        )


def _plan(device: PlacedDevice, budget_bytes: int | None, costs: Mapping[str, ModelCost]) -> Plan:
    resident = device.running("cloud")
    return Plan(
        budget_bytes,
        sum(costs[name].memory_bytes for name in resident),
        resident,
        served={name: _served(model) for name, model in device.models.items()},
        expected_agreement=device.expected_agreement,
    )


def _served(model: PlacedModel) -> Served:
    if model.where == "device":
        return Served("executed", (), model.expected_agreement, "runs on the device")
    if model.where == "cloud":
        return Served("executed", (), model.expected_agreement, "runs on every input")
    why = f"linked from {'+'.join(model.sources)}" if model.where == "linked" else f"{model.where}: no link is placed"
    return Served(model.where, model.sources, model.expected_agreement, why)

"""What a device's own models said of an input, taken off the wire: of which models, and whether it can be true."""

from collections.abc import Mapping

from ...errors import InvalidInput
from ...models.placement import PlacementFile
from ..repository import Repository


def check_local(local: Mapping[str, str], repository: Repository, *, device: str) -> None:
    """Makes sure that the models which a device runs itself are those that are here.

    Args:
        local: their files' digests, by name.
        repository: the models here.
        device: whose they are.

    Raises:
        InvalidInput: one is not here, or its file is another; names both.
    """
    for name, digest in local.items():
        known = repository.digests.get(name)
        if known is None:
            raise InvalidInput(
                f"{device} runs model {name!r} itself, and there is none of that name here (there are: "
                f"{', '.join(repository.paths)}): put its file into the coordinator's `models`, or take it out of the "
                "device's `local`"
            )
        if digest != known:
            raise InvalidInput(
                f"{device} runs model {name!r} with digest {digest}, and the one here has {known}: put the same file "
                "on both"
            )


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

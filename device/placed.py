"""What a placement has this device do, in the place of what its own configuration would."""

from ..errors import InvalidInput
from ..models import digest, find_models
from ..placement_file import PlacementFile
from .config import DeviceConfig


def settled(config: DeviceConfig) -> DeviceConfig:
    """The settings with what their placement says: the models that run here, what travels, and the class.

    Raises:
        InvalidInput: the file is no placement, has no such class, or places models that are not in `local`.
    """
    if config.placement is None:
        return config
    placement = PlacementFile.load(config.placement)
    name = config.device_class or _class_of(placement, config)
    placed = placement.device(name)
    models = placed.running("device")
    if models and config.local is None:
        raise InvalidInput(f"{config.placement}: has {name!r} run {', '.join(models)}: give their folder as `local`")
    if not models and placed.send == "outputs":
        raise InvalidInput(f"{config.placement}: has {name!r} run nothing and send nothing: it needs no agent")
    if config.local is not None and models:
        found = find_models(config.local)
        for model in models:
            if model in found and digest(found[model]) != placement.digests[model]:
                raise InvalidInput(
                    f"{found[model]}: has digest {digest(found[model])}, and {config.placement} was planned for "
                    f"{placement.digests[model]}: put the same file there"
                )
    changed = {"local_models": models, "local": config.local if models else None}
    return config.model_copy(update={**changed, "send": placed.send, "device_class": name})


def _class_of(placement: PlacementFile, config: DeviceConfig) -> str:
    """The class that has the device's own name, or the only one."""
    if config.name in placement.devices or len(placement.devices) > 1:
        return config.name
    return next(iter(placement.devices))

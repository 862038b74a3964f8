"""What a device's own models said of an input, taken off the wire: of which models, and whether it can be true."""

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np

from ..errors import InvalidInput
from ..models import ModelSpec
from ..outputs import Array
from ..protos import edge_pb2
from .repository import Repository

# Boxes are compared in pairs, tokens in a table: what is dear must be bounded in number, not in bytes alone.
_MOST_ITEMS = 4096
_ITEMS = ("boxes", "tokens")


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


def read_outputs(
    outputs: Iterable[edge_pb2.Output], local: Mapping[str, str], specs: Mapping[str, ModelSpec]
) -> dict[str, Array]:
    """The outputs that an input carries; arrays are views of the message's bytes, nothing is copied.

    Args:
        outputs: as they came.
        local: the models that the device said it runs, with their digests.
        specs: every model's spec.

    Raises:
        InvalidInput: one is of another model or version, comes twice, or is not what its model can have said.
    """
    found: dict[str, Array] = {}
    for output in outputs:
        name = output.model
        if name not in local:
            runs = ", ".join(local) or "none"
            raise InvalidInput(f"an output of {name!r}, which the device did not say it runs (it runs: {runs})")
        if name in found:
            raise InvalidInput(f"two outputs of {name!r}")
        if output.digest != local[name]:
            raise InvalidInput(f"an output of {name!r} with digest {output.digest!r}, not {local[name]!r}")
        found[name] = _value(output, specs[name])
    return found


def _value(output: edge_pb2.Output, spec: ModelSpec) -> Array:
    expected = "int64" if spec.output.kind == "tokens" else "float32"
    if output.kind != spec.output.kind or output.dtype != expected:
        raise InvalidInput(
            f"{spec.name}: an output of kind {output.kind!r} in {output.dtype!r}, not {spec.output.kind!r} in "
            f"{expected!r}"
        )
    shape, dtype = tuple(output.shape), np.dtype(expected).newbyteorder("<")
    if prod(shape) * dtype.itemsize != len(output.value):
        raise InvalidInput(f"{spec.name}: {len(output.value)} bytes are no {expected} of shape {shape}")
    if spec.output.kind in _ITEMS and shape[:1] > (_MOST_ITEMS,):
        raise InvalidInput(f"{spec.name}: {shape[0]} {spec.output.kind} are more than {_MOST_ITEMS}")
    if spec.output.kind == "mask" and 0 in shape:
        raise InvalidInput(f"{spec.name}: a mask of shape {shape} has no pixels")
    try:
        return spec.output.check(np.frombuffer(output.value, dtype).reshape(shape))
    except InvalidInput as error:
        raise InvalidInput(f"{spec.name}: {error}") from error

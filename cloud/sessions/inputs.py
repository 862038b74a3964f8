"""What an input carries: a picture, sound, text or array, and outputs of models that ran on the device; all checked."""

import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import PICTURES, InputForm
from ...models.inputs.payload import Limits, Payload, ReadSound, open_payload
from ...models.process_child import FRAME
from ...models.spec import ModelSpec
from ...models.split.spec import PartitionSpec, check_map
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ...protos.features import FeatureRange
from ..config import CloudConfig
from ..runtime.input_pool import Held, InputPool
from .decoding import Ready, at_once, decode_payload
from .jpeg import open_picture

# Boxes are compared in pairs and tokens in a table, so their number must be bounded, not only their bytes.
_MOST_ITEMS = 4096
_ITEMS = ("boxes", "tokens")


async def read_input(
    message: edge_pb2.Input,
    form: InputForm,
    tail: PartitionSpec | None,
    config: CloudConfig,
    inputs: InputPool,
    *,
    picture: Payload | None = None,
    read_sound: ReadSound | None = None,
    within_s: float | None = None,
    is_urgent: bool = False,
    ready: Ready = at_once,
    models: Collection[str] = (),
) -> Held | None:
    """The models' input: what the stream's form says, or a feature map's bytes; None if the message carries nothing.

    Args:
        message: the input.
        form: what the stream's inputs are.
        tail: the cut whose feature maps are sent, where the model here is a partitioned model's second part.
        config: the limits.
        inputs: the memory that it is decoded into.
        picture: what its payload holds, where that was opened when it came, as pictures refer to it.
        read_sound: decodes sounds.
        within_s: how long to wait for room there; None: as long as it takes.
        is_urgent: others wait for it, and it for nothing.
        ready: waited for once there is room, before anything is decoded.
        models: whose turn that waits for.

    Raises:
        InvalidInput: it is too large, or neither what the stream's inputs are nor a map of that cut.
        QueueFull: there was no room in time.
    """
    # Each time that it is asked for it is copied.
    payload = message.payload
    size_bytes = len(payload) + len(message.features.values)
    size_bytes += sum(len(output.value) for output in message.outputs)
    if size_bytes > config.max_input_bytes:
        raise InvalidInput(f"the input has {size_bytes} bytes; at most {config.max_input_bytes} are taken")
    if not payload and (message.outputs or message.HasField("features")):
        return None
    if form.modality != PICTURES.modality:
        limits = Limits(config.max_input_bytes, config.max_input_pixels)
        opened = open_payload(message.encoding, payload, form, limits, open_picture, read_sound)
        return await decode_payload(
            opened, inputs, check=form.check, within_s=within_s, is_urgent=is_urgent, ready=ready, models=models
        )
    if picture is not None:
        return await decode_payload(picture, inputs, within_s=within_s, is_urgent=is_urgent, ready=ready, models=models)
    wanted = edge_pb2.ENCODING_JPEG if tail is None else edge_pb2.ENCODING_MAP
    if message.encoding != wanted:
        known = "a JPEG" if tail is None else f"the maps of {tail.model} at {tail.tensor!r}"
        raise InvalidInput(f"encoding {message.encoding} is not known here; send {known}")
    if tail is not None:
        check_map(payload, tail)
        await ready()
        return inputs.copy({FRAME: np.frombuffer(payload, np.uint8)})
    picture = open_picture(payload, config.max_input_pixels)
    return await decode_payload(picture, inputs, within_s=within_s, is_urgent=is_urgent, ready=ready, models=models)


def read_features(message: edge_pb2.Input, span: FeatureRange | None) -> Array | None:
    """What the device's stem makes of the frame: float32 (length,); None if the message does not carry that.

    Args:
        message: the input.
        span: how such features are written; None: none are taken on this stream.

    Raises:
        InvalidInput: they are none that can be taken, or the frame is there as well.
    """
    if not message.HasField("features"):
        return None
    if span is None:
        raise InvalidInput(
            "no features are taken here: name the stem in Hello (`stem`); Welcome says how to send them (`features`)"
        )
    if message.payload:
        raise InvalidInput("an input carries the frame (`payload`) or `features`, not both")
    return span.read(message.features)


def read_score(message: edge_pb2.Input) -> float | None:
    """What the device's gate thinks of the input; None: it has no scores, or none that can be taken."""
    return message.score if message.HasField("score") and math.isfinite(message.score) else None


def read_local_outputs(
    outputs: Iterable[edge_pb2.Output], local: Mapping[str, str], specs: Mapping[str, ModelSpec]
) -> dict[str, Array]:
    """The outputs of models that ran on the device; arrays are views of the message's bytes, nothing is copied.

    Args:
        outputs: the outputs in the message.
        local: the models that the device's Hello named, with their digests.
        specs: every model's spec.

    Raises:
        InvalidInput: an output is of another model or version, occurs twice, or is none that its model can give.
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
    value = read_array(output)
    if spec.output.kind in _ITEMS and value.shape[:1] > (_MOST_ITEMS,):
        raise InvalidInput(f"{spec.name}: {len(value)} {spec.output.kind} are more than {_MOST_ITEMS}")
    if spec.output.kind == "mask" and not value.size:
        raise InvalidInput(f"{spec.name}: a mask of shape {value.shape} has no pixels")
    try:
        return spec.output.check(value)
    except InvalidInput as error:
        raise InvalidInput(f"{spec.name}: {error}") from error

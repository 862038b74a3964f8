"""What an input carries: its picture or feature map, and the outputs of models that ran on the device; all checked."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial

import numpy as np
import simplejpeg

from ...codec import UPRIGHT, is_turned, orientation_of, upright
from ...errors import InvalidInput
from ...models.inputs.form import PICTURES, InputForm
from ...models.process_child import FRAME
from ...models.spec import ModelSpec
from ...models.split.spec import PartitionSpec, check_map
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ...protos.features import FeatureRange
from ...protos.payloads import read_payload
from ..config import CloudConfig
from ..runtime.input_pool import Held, InputPool

# Boxes are compared in pairs and tokens in a table, so their number must be bounded, not only their bytes.
_MOST_ITEMS = 4096
_ITEMS = ("boxes", "tokens")
# What a scan of a JPEG begins with. A picture that comes in steps has some ten of them; each costs a pass over all its
# pixels, and hardly any bytes.
_SCAN, _MOST_SCANS = b"\xff\xda", 64
_SCAN_PAIR = np.frombuffer(_SCAN, np.uint16)[0]

# Decoded sooner than another thread takes it over; and what takes so long that others are not to feel it.
_SMALL_PIXELS, _LARGE_PIXELS = 2**15, 2**22
_DECODERS = ThreadPoolExecutor(
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(), "decode"
)


def _give_way() -> None:
    with suppress(OSError, AttributeError):  # Linux alone knows how urgent a single thread is.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


_LARGE_DECODER = ThreadPoolExecutor(1, "decode-large", initializer=_give_way)

Ready = Callable[[], Awaitable[None]]


async def _at_once() -> None:
    """Waits for nothing."""


async def read_input(
    message: edge_pb2.Input,
    form: InputForm,
    tail: PartitionSpec | None,
    config: CloudConfig,
    inputs: InputPool,
    *,
    within_s: float | None = None,
    is_urgent: bool = False,
    ready: Ready = _at_once,
) -> Held | None:
    """The models' input: what the stream's form says, or a feature map's bytes; None if the message carries nothing.

    Args:
        message: the input.
        form: what the stream's inputs are.
        tail: the cut whose feature maps are sent, where the model here is a partitioned model's second part.
        config: the limits.
        inputs: the memory that it is decoded into.
        within_s: how long to wait for room there; None: as long as it takes.
        is_urgent: others wait for it, and it for nothing.
        ready: waited for once there is room, before anything is decoded.

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
        return await _read_array(message, form, config, inputs, within_s=within_s, is_urgent=is_urgent, ready=ready)
    wanted = edge_pb2.ENCODING_JPEG if tail is None else edge_pb2.ENCODING_MAP
    if message.encoding != wanted:
        known = "a JPEG" if tail is None else f"the maps of {tail.model} at {tail.tensor!r}"
        raise InvalidInput(f"encoding {message.encoding} is not known here; send {known}")
    if tail is not None:
        check_map(payload, tail)
        await ready()
        return inputs.copy({FRAME: np.frombuffer(payload, np.uint8)})
    return await read_picture(
        payload, inputs, max_pixels=config.max_input_pixels, within_s=within_s, is_urgent=is_urgent, ready=ready
    )


async def _read_array(
    message: edge_pb2.Input,
    form: InputForm,
    config: CloudConfig,
    inputs: InputPool,
    *,
    within_s: float | None,
    is_urgent: bool,
    ready: Ready,
) -> Held:
    """An input that is no single picture; what `read_input` says."""
    decode = partial(decode_picture, max_pixels=config.max_input_pixels)
    value = read_payload(message.encoding, message.payload, decode_picture=decode)
    form.check(value)
    held = inputs.hold_now(value.nbytes) if is_urgent else await inputs.hold(value.nbytes, within_s=within_s)
    await ready()
    held.copy({FRAME: value})
    return held


async def read_picture(
    jpeg: bytes,
    inputs: InputPool,
    *,
    max_pixels: int,
    within_s: float | None = None,
    is_urgent: bool = False,
    ready: Ready = _at_once,
) -> Held:
    """A JPEG as a frame in the memory that models are given it in; what `read_input` says."""
    width, height, scans = picture_form(jpeg, max_pixels=max_pixels)
    orientation = orientation_of(jpeg)
    # One that is drawn in several scans takes its coefficients beside its pixels while it is decoded, one that is to be
    # turned its pixels as they are stored.
    pixel_bytes = (3 if scans == 1 else 9) + (3 if orientation != UPRIGHT else 0)
    needed_bytes = width * height * pixel_bytes
    held = inputs.hold_now(needed_bytes) if is_urgent else await inputs.hold(needed_bytes, within_s=within_s)
    is_large = width * height >= _LARGE_PIXELS
    # One is decoded at a time: those that wait for that take no turn, which small ones could have.
    async with inputs.large if is_large and not is_urgent else nullcontext():
        await ready()
        picture = held.make_frame(*((width, height) if is_turned(orientation) else (height, width)))
        try:
            if width * height <= _SMALL_PIXELS:
                decode_jpeg(jpeg, picture)
            else:
                decoders = _LARGE_DECODER if is_large else _DECODERS
                await asyncio.get_running_loop().run_in_executor(decoders, decode_jpeg, jpeg, picture)
        except InvalidInput:
            del held, picture  # The error remembers what had a name here, and may be remembered for long.
            raise
    return held


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


def decode_picture(jpeg: bytes, *, max_pixels: int) -> Array:
    """A JPEG as uint8 BGR; one with too many pixels, or too many passes over them, is refused before it is decoded.

    Raises:
        InvalidInput: it is no readable JPEG, or has more than `max_pixels`.
    """
    picture_form(jpeg, max_pixels=max_pixels)
    return decode_jpeg(jpeg)


def picture_form(jpeg: bytes, *, max_pixels: int) -> tuple[int, int, int]:
    """Width and height of a JPEG, as the decoder itself reads them, and its scans, without decoding it.

    Raises:
        InvalidInput: it is not a JPEG, its header is cut off or damaged, or it has too many pixels or scans.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise InvalidInput("the payload is no JPEG")
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError as error:
        raise _no_picture(jpeg) from error
    if width * height > max_pixels:
        raise InvalidInput(f"the picture is {width}x{height}, more than {max_pixels} pixels (`max_input_pixels`)")
    # Inside a scan a byte 255 is never followed by this one, so no parser can find more scans than these.
    scans = _count_scans(jpeg)
    if scans > _MOST_SCANS:
        raise InvalidInput(f"the picture is drawn in {scans} scans; at most {_MOST_SCANS} are taken")
    return int(width), int(height), scans


def _count_scans(jpeg: bytes) -> int:
    """How often `_SCAN` is in it, at even places and at odd ones; `bytes.count` takes ten times as long."""
    pairs = (np.frombuffer(jpeg, np.uint16, (len(jpeg) - odd) // 2, odd) for odd in (0, 1))
    return sum(int(np.count_nonzero(each == _SCAN_PAIR)) for each in pairs)


def decode_jpeg(jpeg: bytes, out: Array | None = None) -> Array:
    """A JPEG whose `picture_form` was looked at, as uint8 BGR (height, width, 3), upright as its EXIF says.

    One that is drawn in several scans takes another six bytes a pixel while it is decoded, one that is turned three.

    Args:
        jpeg: the bytes.
        out: where to decode it to; contiguous, of at least its size.

    Raises:
        InvalidInput: it is no readable JPEG.
    """
    orientation = orientation_of(jpeg)
    try:
        picture: Array = simplejpeg.decode_jpeg(jpeg, "BGR", buffer=out if orientation == UPRIGHT else None)
    except ValueError as error:
        raise _no_picture(jpeg) from error
    if orientation == UPRIGHT:
        return picture
    if out is None:
        return np.ascontiguousarray(upright(picture, orientation))
    out[:] = upright(picture, orientation)
    return out


def _no_picture(jpeg: bytes) -> InvalidInput:
    return InvalidInput(f"the payload's {len(jpeg)} bytes are a JPEG that can't be read: cut off or damaged")


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

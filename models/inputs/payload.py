"""Inputs that are no single pictures, as an `Input` carries them: what they take is known before they are in memory."""

from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ...codec import decode_jpeg
from ...errors import InvalidInput
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.payloads import DTYPES, MOST_PARTS
from ...protos.sounds import Codec, decode, read_header
from .form import InputForm

_MOST_DIMENSIONS = 8
# Of a text at a time: as characters it may take four times its bytes.
_PIECE_BYTES = 2**16
_JPEG, _UTF8, _ARRAY = edge_pb2.ENCODING_JPEG, edge_pb2.ENCODING_UTF8, edge_pb2.ENCODING_ARRAY
_FLAC, _OPUS, _PARTS = edge_pb2.ENCODING_FLAC, edge_pb2.ENCODING_OPUS, edge_pb2.ENCODING_PARTS
_TAKEN = {
    "image": (_JPEG, _ARRAY),
    "video": (_PARTS, _ARRAY),
    "audio": (_ARRAY, _FLAC, _OPUS),
    "signal": (_ARRAY,),
    "text": (_UTF8,),
    "map": (_ARRAY,),
}


@dataclass(frozen=True)
class Limits:
    """How large an input may be; what one has written oneself need not be limited.

    Attributes:
        bytes: of all its sounds together, once they are decoded: as much as they could be without.
        pixels: of all its pictures together.
    """

    bytes: int = 2**40
    pixels: int = 2**40


@dataclass(frozen=True)
class Payload:
    """An input that is not in memory yet, checked as far as its headers tell.

    Attributes:
        shape: of the array that it becomes.
        dtype: of it; one with a field for each part, of an input of several.
        read: writes it into such an array; raises InvalidInput where it can't be read.
        beside_bytes: what that takes in memory beside it.
        is_elsewhere: whether it is read in another process, which is waited for.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Array], object]
    beside_bytes: int = 0
    is_elsewhere: bool = False

    @property
    def size_bytes(self) -> int:
        """What the array takes."""
        return prod(self.shape) * self.dtype.itemsize


def payload_of(value: Array) -> Payload:
    """An array that is in memory already."""
    return Payload(value.shape, value.dtype, lambda into: np.copyto(into, value))


def join_payloads(parts: Mapping[str, Payload]) -> Payload:
    """The parts of one input as one array with a field for each."""

    def read(into: Array) -> None:
        for name, each in parts.items():
            each.read(into[name])

    dtype = np.dtype([(name, each.dtype, each.shape) for name, each in parts.items()])
    beside_bytes = sum(each.beside_bytes for each in parts.values())
    return Payload((), dtype, read, beside_bytes, any(each.is_elsewhere for each in parts.values()))


OpenPicture = Callable[[bytes, int], Payload]
"""Opens a JPEG that may have so many pixels at most."""
ReadSound = Callable[[Codec, bytes, Array], None]
"""Decodes a sound whose header was read: the codec, the payload, and where its samples go; in another process."""


def _own_picture(jpeg: bytes, max_pixels: int) -> Payload:
    return payload_of(decode_jpeg(jpeg))


def open_payload(
    encoding: int,
    payload: bytes,
    form: InputForm,
    limits: Limits = Limits(),
    open_picture: OpenPicture = _own_picture,
    read_sound: ReadSound | None = None,
) -> Payload:
    """The input that a payload holds, of the kind that the stream's form says.

    Args:
        encoding: one of `edge_pb2.Encoding`.
        payload: the bytes.
        form: what the input is; whether it is all of that is seen once it is read (`InputForm.check`).
        limits: how large it may be.
        open_picture: opens the pictures in it; as it is, of pictures that one has written oneself.
        read_sound: decodes the sounds in it; None: in this process, as sounds that one has written oneself.

    Raises:
        InvalidInput: such inputs do not travel like that, its bytes are not what they say, or it is too large; the
            message names the field.
    """
    taken = (_PARTS,) if form.parts else _TAKEN[form.modality]
    if encoding not in taken:
        known = ", ".join(map(_name, taken))
        raise InvalidInput(f"`encoding`: {_name(encoding)} is not for inputs of {form.modality}: send {known}")
    if encoding == _PARTS:
        return (
            _open_parts(payload, form, limits, open_picture, read_sound)
            if form.parts
            else _open_window(payload, limits, open_picture)
        )
    if encoding == _JPEG:
        return open_picture(payload, limits.pixels)
    if encoding == _UTF8:
        _check_text(payload)
        return payload_of(np.frombuffer(payload, np.uint8))
    return _open_array(payload) if encoding == _ARRAY else _open_sound(encoding, payload, form, limits, read_sound)


def _name(encoding: int) -> str:
    known = edge_pb2.Encoding.values()
    return edge_pb2.Encoding.Name(encoding).removeprefix("ENCODING_") if encoding in known else str(encoding)


def _check_text(payload: bytes) -> None:
    decoder = getincrementaldecoder("utf-8")()
    for at in range(0, max(1, len(payload)), _PIECE_BYTES):
        left = len(decoder.getstate()[0])
        try:
            decoder.decode(payload[at : at + _PIECE_BYTES], final=at + _PIECE_BYTES >= len(payload))
        except UnicodeDecodeError as error:
            where = at - left + error.start
            raise InvalidInput(f"`payload`: is no UTF-8: {error.reason} at byte {where}") from None


def _open_array(payload: bytes) -> Payload:
    message = edge_pb2.ArrayPayload()
    _parse(message, payload)
    if message.dtype not in DTYPES:
        raise InvalidInput(f"`payload.dtype`: {message.dtype[:40]!r} is none of {', '.join(DTYPES)}")
    dtype, shape, value = np.dtype(message.dtype), tuple(message.shape), message.value
    if len(shape) > _MOST_DIMENSIONS:
        raise InvalidInput(f"`payload.shape`: at most {_MOST_DIMENSIONS} dimensions, not {len(shape)}")
    if prod(shape) * dtype.itemsize != len(value):
        raise InvalidInput(
            f"`payload.value`: {len(value)} bytes are no {message.dtype} of shape {shape} (`payload.shape`)"
        )
    try:
        array: Array = np.frombuffer(value, dtype.newbyteorder("<")).reshape(shape)
    except ValueError:  # no number in it, and yet too large an axis
        raise InvalidInput(f"`payload.shape`: no array can have the shape {shape}") from None
    scale, offset = message.scale, message.offset
    if not scale and not offset:
        return Payload(shape, dtype, lambda into: np.copyto(into, array))
    if dtype.kind not in "iu" or not np.isfinite([scale, offset]).all():
        raise InvalidInput("`payload.scale`, `payload.offset`: finite numbers that go with whole ones")

    def scaled(into: Array) -> None:
        with np.errstate(over="ignore"):  # What is infinite then is refused as such.
            np.multiply(array, np.float32(scale), out=into, casting="same_kind", dtype=np.float32)
            into += np.float32(offset)

    return Payload(shape, np.dtype(np.float32), scaled)


def _open_sound(
    encoding: int, payload: bytes, form: InputForm, limits: Limits, read_sound: ReadSound | None
) -> Payload:
    codec: Codec = "flac" if encoding == _FLAC else "opus"
    header = read_header(codec, payload)
    if form.rate_hz and header.rate_hz != form.rate_hz:
        raise InvalidInput(
            f"`payload`: is {codec} of {header.rate_hz} Hz, and the stream has {form.rate_hz:g} Hz (`form.rate_hz`)"
        )
    if form.window and header.samples != form.window:
        raise InvalidInput(
            f"`payload`: is {codec} of {header.samples} samples, and an input has {form.window} (`form.window`)"
        )
    if 2 * header.samples > limits.bytes:
        raise InvalidInput(
            f"`payload`: is {codec} of {header.samples} samples, more than the {limits.bytes // 2} that are taken "
            "(`max_input_bytes`)"
        )
    if not header.samples:
        raise InvalidInput(f"`payload`: is {codec} without a sample, or that does not say how many it has")
    read = partial(decode, header) if read_sound is None else partial(read_sound, codec, payload)
    shape, dtype = (header.samples,), np.dtype(np.int16)
    return Payload(shape, dtype, read, header.decoder_bytes, read_sound is not None)


def _open_window(payload: bytes, limits: Limits, open_picture: OpenPicture) -> Payload:
    """The frames of a window, each a JPEG."""
    parts = _parts(payload)
    if any(part.name or part.encoding != _JPEG for part in parts):
        raise InvalidInput("`payload.parts`: the frames of a window are JPEGs without names")
    pixels = limits.pixels // len(parts)
    frames = [open_picture(part.payload, pixels) for part in parts]
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        told = ", ".join(f"{width}x{height}" for height, width, _ in sorted(shapes))
        raise InvalidInput(f"`payload.parts`: the frames of a window must have one size, not {told}")

    def read(into: Array) -> None:
        for frame, place in zip(frames, into, strict=True):
            frame.read(place)

    beside_bytes = max(frame.beside_bytes for frame in frames)
    return Payload((len(frames), *shapes.pop()), np.dtype(np.uint8), read, beside_bytes)


def _open_parts(
    payload: bytes, form: InputForm, limits: Limits, open_picture: OpenPicture, read_sound: ReadSound | None
) -> Payload:
    """The parts of an input of several kinds: one array with a field for each."""
    parts = _parts(payload)
    names = [part.name for part in parts]
    if names != list(form.parts):
        told = ", ".join(repr(name[:40]) for name in names)
        raise InvalidInput(
            f"`payload.parts`: an input has the parts {', '.join(form.parts)}, in this order, not {told}"
        )
    opened, left = dict[str, Payload](), limits
    for part in parts:
        kind = form.parts[part.name].modality
        try:
            each = open_payload(part.encoding, part.payload, form.parts[part.name], left, open_picture, read_sound)
        except InvalidInput as error:
            raise InvalidInput(f"`payload.parts`: {part.name!r}: {error}") from None
        opened[part.name] = each
        if kind == "audio":
            left = replace(left, bytes=left.bytes - each.size_bytes)
        elif kind in ("image", "video"):
            left = replace(left, pixels=left.pixels - each.size_bytes // 3)

    return join_payloads(opened)


def _parts(payload: bytes) -> list[edge_pb2.Part]:
    message = edge_pb2.Parts()
    _parse(message, payload)
    if not 0 < len(message.parts) <= MOST_PARTS:
        raise InvalidInput(f"`payload.parts`: 1 to {MOST_PARTS}, not {len(message.parts)}")
    return list(message.parts)


def _parse(message: Any, payload: bytes) -> None:
    try:
        message.ParseFromString(payload)
    except DecodeError:
        raise InvalidInput(f"`payload`: its {len(payload)} bytes are no {type(message).__name__}") from None

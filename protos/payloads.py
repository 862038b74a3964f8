"""Inputs that are no single pictures, as an `Input` carries them: texts, arrays, and several parts in one."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ..errors import InvalidInput
from ..outputs import Array
from . import edge_pb2

DTYPES = ("uint8", "int8", "int16", "int32", "int64", "float16", "float32")
"""The types of an array on the wire."""
MOST_PARTS = 64
"""The most parts of one input, or frames of one window."""

DecodePicture = Callable[[bytes], Array]


def write_array_payload(value: Array, *, scale: float = 0.0, offset: float = 0.0) -> bytes:
    """An array as the payload of ENCODING_ARRAY.

    Args:
        value: of one of `DTYPES`.
        scale: where its whole numbers stand for others: each is `offset + scale * number`; 0: it is itself.
        offset: with `scale`.

    Raises:
        InvalidInput: it is of another type.
    """
    _check_dtype(value.dtype.name)
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    message = edge_pb2.ArrayPayload(
        shape=value.shape, dtype=value.dtype.name, value=little.tobytes(), scale=scale, offset=offset
    )
    return bytes(message.SerializeToString())


def quantized(value: Array, kind: str = "int8") -> bytes:
    """Floats as whole numbers of 8 or 16 bits between their least and their most: the payload of ENCODING_ARRAY.

    Args:
        value: finite floats.
        kind: "int8" or "int16".

    Raises:
        InvalidInput: another kind.
    """
    if kind not in ("int8", "int16"):
        raise InvalidInput(f"floats travel as int8 or int16, not as {kind!r}")
    info = np.iinfo(kind)
    low, high = (float(value.min()), float(value.max())) if value.size else (0.0, 0.0)
    scale = (high - low) / (info.max - info.min) or 1.0
    offset = low - scale * info.min
    whole = np.clip(np.rint((value - offset) / scale), info.min, info.max).astype(kind)
    return write_array_payload(whole, scale=scale, offset=offset)


def read_payload(encoding: int, payload: bytes, *, decode_picture: DecodePicture, nested: bool = False) -> Array:
    """The input that a payload holds; views of its bytes wherever they are the numbers themselves.

    Text is uint8 (bytes,), and is UTF-8; several named parts are one array with a field for each; parts without names
    are the frames of a window.

    Args:
        encoding: one of `edge_pb2.Encoding`: UTF8, ARRAY, PARTS, and JPEG inside those.
        payload: the bytes.
        decode_picture: reads a JPEG, which it refuses if it is too large.
        nested: whether it is a part of another.

    Raises:
        InvalidInput: it is none of these, or its bytes are not what it says; the message names the field.
    """
    if encoding == edge_pb2.ENCODING_UTF8:
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"`payload`: is no UTF-8: {error.reason} at byte {error.start}") from error
        return np.frombuffer(payload, np.uint8)
    if encoding == edge_pb2.ENCODING_ARRAY:
        return _read_array(payload)
    if encoding == edge_pb2.ENCODING_JPEG:
        return decode_picture(payload)
    if encoding == edge_pb2.ENCODING_PARTS and not nested:
        return _read_parts(payload, decode_picture)
    known = ("UTF8", "ARRAY", "JPEG", *(() if nested else ("PARTS",)))
    raise InvalidInput(f"`encoding`: {encoding} is not known for such inputs: one of {', '.join(known)}")


def write_parts(parts: list[tuple[str, Any, bytes]]) -> bytes:
    """Several parts (name, encoding, payload) as the payload of ENCODING_PARTS."""
    message = edge_pb2.Parts(
        parts=[edge_pb2.Part(name=name, encoding=encoding, payload=payload) for name, encoding, payload in parts]
    )
    return bytes(message.SerializeToString())


def _read_array(payload: bytes) -> Array:
    message = edge_pb2.ArrayPayload()
    _parse(message, payload)
    _check_dtype(message.dtype)
    dtype, shape = np.dtype(message.dtype).newbyteorder("<"), tuple(message.shape)
    if len(shape) > 8 or prod(shape) * dtype.itemsize != len(message.value):
        raise InvalidInput(
            f"`payload.value`: {len(message.value)} bytes are no {message.dtype} of shape {shape} (`payload.shape`)"
        )
    try:
        value: Array = np.frombuffer(message.value, dtype).reshape(shape)
    except ValueError as error:  # no number in it, and yet too large an axis
        raise InvalidInput(f"`payload.shape`: no array can have the shape {shape}") from error
    if not message.scale and not message.offset:
        return value
    if dtype.kind not in "iu" or not np.isfinite([message.scale, message.offset]).all():
        raise InvalidInput("`payload.scale`, `payload.offset`: finite numbers that go with whole ones")
    return np.asarray(value.astype(np.float32) * np.float32(message.scale) + np.float32(message.offset))


def _read_parts(payload: bytes, decode_picture: DecodePicture) -> Array:
    message = edge_pb2.Parts()
    _parse(message, payload)
    if not 0 < len(message.parts) <= MOST_PARTS:
        raise InvalidInput(f"`payload.parts`: 1 to {MOST_PARTS}, not {len(message.parts)}")
    names = [part.name for part in message.parts]
    values = []
    for part in message.parts:
        try:
            values.append(read_payload(part.encoding, part.payload, decode_picture=decode_picture, nested=True))
        except InvalidInput as error:
            raise InvalidInput(f"`payload.parts`: {part.name!r}: {error}") from error
    if not any(names):
        if len({(value.shape, value.dtype) for value in values}) > 1:
            raise InvalidInput("`payload.parts`: the frames of a window must have one size")
        return np.stack(values)
    if not all(names) or len(set(names)) < len(names):
        raise InvalidInput("`payload.parts`: all have names, each its own, or none has")
    joined = np.zeros((), [(name, value.dtype, value.shape) for name, value in zip(names, values, strict=True)])
    for name, value in zip(names, values, strict=True):
        joined[name] = value
    return joined


def _parse(message: Any, payload: bytes) -> None:
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise InvalidInput(f"`payload`: its {len(payload)} bytes are no {type(message).__name__}") from error


def _check_dtype(dtype: str) -> None:
    if dtype not in DTYPES:
        raise InvalidInput(f"`payload.dtype`: {dtype!r} is none of {', '.join(DTYPES)}")

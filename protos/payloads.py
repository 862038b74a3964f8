"""Inputs that are no single pictures, as an `Input` carries them: texts, arrays, and several parts in one."""

from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from . import edge_pb2

DTYPES = ("uint8", "int8", "int16", "int32", "int64", "float16", "float32")
"""The types of an array on the wire."""
MOST_VIDEO_PIXELS = 2**23
"""Larger pictures travel as JPEGs: an encoder of H.264 takes ten times a picture's memory, a decoder up to 17 times."""
MOST_PARTS = 64
"""The most parts of one input, or frames of one window."""


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
    # It travels as a float32, and 0 would say that there is none.
    scale = max(scale, float(np.finfo(np.float32).tiny))
    offset = low - scale * info.min
    whole = np.clip(np.rint((value - offset) / scale), info.min, info.max).astype(kind)
    return write_array_payload(whole, scale=scale, offset=offset)


def write_parts(parts: list[tuple[str, Any, bytes]]) -> bytes:
    """Several parts (name, encoding, payload) as the payload of ENCODING_PARTS."""
    message = edge_pb2.Parts(
        parts=[edge_pb2.Part(name=name, encoding=encoding, payload=payload) for name, encoding, payload in parts]
    )
    return bytes(message.SerializeToString())


def _check_dtype(dtype: str) -> None:
    if dtype not in DTYPES:
        raise InvalidInput(f"`payload.dtype`: {dtype!r} is none of {', '.join(DTYPES)}")

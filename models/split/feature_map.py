"""A feature map as it travels: the numbers as they are, as halves, or as bytes with a scale for each channel."""

import zlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array

Transfer = Literal["float32", "float16", "uint8", "uint8+zlib"]
MapType = Literal["float32", "float16", "uint8", "int8"]

TRANSFERS: tuple[Transfer, ...] = get_args(Transfer)
MAP_TYPES: tuple[MapType, ...] = get_args(MapType)
# Its fastest: the others take several times as long for some percent.
_LEVEL = 1


@dataclass(frozen=True)
class MapFormat:
    """How the maps at one cut become bytes and maps again (spec 2.7: a map as float32 is four times its bytes).

    As uint8, `low + step * byte` is a number again: each channel (the second axis) of each map has a low and a step of
    its own, two float32 before the bytes. A map of a quantised model is bytes already and travels as it is.

    Attributes:
        shape: of every map, its batch axis of 1 included.
        dtype: what the graph holds there.
        transfer: what travels.

    Raises:
        InvalidInput: a map of bytes is to travel as floats.
    """

    shape: tuple[int, ...]
    dtype: MapType
    transfer: Transfer

    def __post_init__(self) -> None:
        if self.native and not self.transfer.startswith("uint8"):
            raise InvalidInput(
                f"transfer {self.transfer!r}: the map is {self.dtype} already, floats would only be larger; "
                "choose uint8 or uint8+zlib"
            )

    @property
    def native(self) -> bool:
        """Whether the graph's own numbers are bytes."""
        return self.dtype in ("uint8", "int8")

    @property
    def count(self) -> int:
        """How many numbers a map has."""
        return int(np.prod(self.shape))

    @property
    def channels(self) -> int:
        """How many of them have a scale of their own."""
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def size_bytes(self) -> int:
        """What a map takes as it travels, before zlib."""
        if self.native:
            return self.count
        if self.transfer.startswith("uint8"):
            return self.count + 8 * self.channels
        return self.count * (4 if self.transfer == "float32" else 2)

    def pack(self, value: Array) -> bytes:
        """A map (`shape`, `dtype`) as bytes.

        Raises:
            InvalidInput: it has another shape, holds NaN or infinity, or is too large for float16.
        """
        if value.shape != self.shape:
            raise InvalidInput(f"a map here is {self.shape}, not {value.shape}")
        if self.native:
            plain = np.ascontiguousarray(value).view(np.uint8).tobytes()
        elif self.transfer.startswith("uint8"):
            plain = self._quantized(value.astype(np.float32, copy=False))
        else:
            with np.errstate(over="ignore"):
                plain = _finite(value.astype(f"<{np.dtype(self.transfer).str[1:]}")).tobytes()
        return zlib.compress(plain, _LEVEL) if self.transfer.endswith("zlib") else plain

    def unpack(self, data: bytes) -> Array:
        """The map (`shape`, `dtype`) in what `pack` made; off by half a step at most where it was quantised.

        Raises:
            InvalidInput: these are not the bytes of such a map.
        """
        plain = _inflated(data, self.size_bytes) if self.transfer.endswith("zlib") else data
        if len(plain) != self.size_bytes:
            raise InvalidInput(f"a map here has {self.size_bytes} bytes, not {len(plain)}")
        if self.native:
            return np.frombuffer(plain, self.dtype).reshape(self.shape)
        if self.transfer.startswith("uint8"):
            scales = np.frombuffer(plain, "<f4", 2 * self.channels).astype(np.float32)
            if not np.isfinite(scales).all():
                raise InvalidInput("a map's scales hold NaN or infinity")
            low, step = scales.reshape(2, self.channels, 1)
            levels = np.frombuffer(plain, np.uint8, offset=8 * self.channels).reshape(self.channels, -1)
            value: Array = levels * step + low
        else:
            value = np.frombuffer(plain, f"<{np.dtype(self.transfer).str[1:]}")
        return value.reshape(self.shape).astype(self.dtype, copy=False)

    def _quantized(self, value: Array) -> bytes:
        rows = value.reshape(self.channels, -1)
        low = _finite(rows.min(axis=1, keepdims=True))
        step = _finite(rows.max(axis=1, keepdims=True)) / 255 - low / 255
        step[step == 0] = 1.0
        levels = np.rint((rows - low) / step).astype(np.uint8)
        return low.astype("<f4").tobytes() + step.astype("<f4").tobytes() + levels.tobytes()


def _finite(value: Array) -> Array:
    if not np.isfinite(value).all():
        raise InvalidInput("a map holds NaN, infinity, or more than float16 can say; send it as uint8 or float32")
    return value


def _inflated(data: bytes, size_bytes: int) -> bytes:
    """What was compressed, and never more of it than a map may have."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, size_bytes + 1)
    except zlib.error as error:
        raise InvalidInput(f"a map's bytes are damaged ({error})") from error
    if len(plain) <= size_bytes and (not inflater.eof or inflater.unused_data):
        raise InvalidInput("a map's bytes are damaged (cut off, or followed by others)")
    return plain

"""A model in two parts: what both files say of the cut, and the feature map that travels between them.

Each part is an ONNX file of its own with its `ModelSpec` inside, and beside that, under the key `infilink.partition`,
what it is a part of (`infilink split`). A map's message says which cut it is of, where the frame lay in the model's
input (boxes go back through that), and the numbers.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...files import check_format, json_format
from ...outputs import Array
from ...settings import checked
from ..inputs.fed import Letterbox
from ..session import open_session
from .feature_map import MapFormat, MapType, Transfer

PARTITION_KEY = "infilink.partition"
FORMAT = 1

_MAGIC = b"IFM1"
_HEADER = struct.Struct("<4s8s4d")


class PartitionSpec(BaseModel):
    """What a part says of the whole and of the cut.

    Attributes:
        part: which one it is.
        model: the whole model's name.
        digest: the whole model file's digest.
        tensor: the cut: everything the tail needs is in it.
        shape: of the map, its batch axis of 1 included.
        dtype: what the graph holds there.
        transfer: how it travels.
        input_size: width, height of the whole model's input.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    part: Literal["head", "tail"]
    model: str
    digest: str
    tensor: str
    shape: tuple[int, ...] = Field(min_length=2)
    dtype: MapType
    transfer: Transfer
    input_size: tuple[int, int]

    @property
    def cut(self) -> bytes:
        """Names the cut on the wire (8 bytes): a head and a tail of it go together."""
        named = json.dumps([self.digest, self.tensor, self.transfer, list(self.shape)])
        return hashlib.sha256(named.encode()).digest()[:8]

    @property
    def map(self) -> MapFormat:
        """How its maps travel."""
        return MapFormat(self.shape, self.dtype, self.transfer)


@dataclass(frozen=True)
class SeenMap:
    """What a head makes of a frame: the map (the graph's own shape and dtype), and where the frame lay in the input."""

    value: Array
    letterbox: Letterbox

    @property
    def features(self) -> Array:
        """The map as a filter of modality "map" is fed: float32 (channels, height, width), ones where axes miss."""
        return as_features(self.value)


def as_features(value: Array) -> Array:
    """A map with its batch axis (1, ...) as float32 (channels, height, width)."""
    shape = (*value.shape[1:], 1, 1, 1)
    axes = max(3, value.ndim - 1)
    sizes = (shape[0], int(np.prod(shape[1 : axes - 1])), shape[axes - 1])
    return np.ascontiguousarray(value, np.float32).reshape(sizes)


def pack_map(seen: SeenMap, partition: PartitionSpec) -> bytes:
    """A map as a message.

    Raises:
        InvalidInput: it is too large for float16, where that travels.
    """
    at = seen.letterbox
    header = _HEADER.pack(_MAGIC, partition.cut, at.offset_x, at.offset_y, at.width, at.height)
    return header + partition.map.pack(seen.value)


def check_map(message: bytes, partition: PartitionSpec) -> None:
    """Makes sure, without reading the numbers, that a message is a map of this cut.

    Raises:
        InvalidInput: it is none, is of another cut, or is too short or too long to be one.
    """
    if len(message) < _HEADER.size or message[:4] != _MAGIC:
        raise InvalidInput(
            f"the payload is no feature map: here runs the second part of {partition.model}; give the device its head"
        )
    if message[4:12] != partition.cut:
        raise InvalidInput(
            f"the payload is a map of another cut: here runs what follows {partition.tensor!r} in {partition.model} "
            f"({partition.digest}, {partition.transfer}); take head and tail from one `infilink split`"
        )
    body, whole = len(message) - _HEADER.size, partition.map.size_bytes
    # What zlib can't make smaller it makes a little larger.
    if body > whole + whole // 1000 + 64 or (body != whole and not partition.transfer.endswith("zlib")):
        raise InvalidInput(f"the payload has {body} bytes, a map of {partition.tensor!r} {whole}")


def unpack_map(message: bytes, partition: PartitionSpec) -> SeenMap:
    """The map in a message.

    Raises:
        InvalidInput: these bytes are none, or of another cut.
    """
    check_map(message, partition)
    _, _, left, top, width, height = _HEADER.unpack_from(message)
    if not np.isfinite((left, top, width, height)).all() or min(width, height) <= 0:
        raise InvalidInput(f"the payload places the frame at {left}, {top}, of {width} x {height}")
    letterbox = Letterbox(left, top, width, height, *partition.input_size)
    return SeenMap(partition.map.unpack(message[_HEADER.size :]), letterbox)


def read_partition(path: Path, part: Literal["head", "tail"]) -> PartitionSpec:
    """What a part says of itself.

    Raises:
        InvalidInput: the file is not that part of a model.
    """
    return partition_inside(open_session(path), path, part)


def is_part(path: Path) -> bool:
    """Whether a model's file is a part of one.

    Raises:
        InvalidInput: the file is not there or is no ONNX model.
    """
    return PARTITION_KEY in open_session(path).get_modelmeta().custom_metadata_map


def partition_inside(session: Any, path: Path, part: str) -> PartitionSpec:
    """What an opened file says of itself.

    Raises:
        InvalidInput: it is not that part of a model.
    """
    found = session.get_modelmeta().custom_metadata_map.get(PARTITION_KEY)
    if found is None:
        raise InvalidInput(
            f"{path}: is no part of a model; make one: `infilink split MODEL.onnx --at TENSOR --out DIR`"
        )
    check_format(json_format(found), (FORMAT,), path=path, what="a part of a model")
    partition = checked(PartitionSpec, json.loads(found), where=f"{path} (metadata {PARTITION_KEY})")
    if partition.part != part:
        raise InvalidInput(f"{path}: is the {partition.part} of {partition.model}, not its {part}")
    return partition

"""The files beside an ONNX model that hold its weights: their names stand inside it, and its identity covers them.

The names are read from the file's own protobuf, field by field, so that a device needs no `onnx` package for it and a
model of gigabytes is not taken into memory.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import InvalidInput

# By message, the fields that lead to a tensor: their numbers in onnx.proto, and the message that each holds.
_WAYS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def external_files(path: Path) -> list[Path]:
    """The files that a model keeps weights in beside itself, in the order of their names; none for most models.

    Raises:
        InvalidInput: one lies outside the model's folder, or is not there.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            named = sorted(set(_locations(memoryview(data), "model")))
    return [_beside(path, name) for name in named]


def _beside(path: Path, name: str) -> Path:
    inside = not any(pure.is_absolute() or pure.anchor or ".." in pure.parts for pure in _readings(name))
    if not inside or not name:
        raise InvalidInput(
            f"{path}: keeps weights in {name!r}, which is not in its own folder; save it anew with its data beside it"
        )
    found = path.parent / name
    if not found.is_file():
        raise InvalidInput(f"{path}: keeps its weights in {found.name}, which is not there; put it beside the model")
    return found


def _readings(name: str) -> tuple[PurePosixPath, PureWindowsPath]:
    return PurePosixPath(name), PureWindowsPath(name)


def _locations(data: memoryview, message: str) -> Iterator[str]:
    """The values of `location` in all tensors below a message; what is no protobuf ends it."""
    with data:
        for number, content in _fields(data):
            below = _WAYS[message].get(number)
            if below == "entry":
                entry = {key: bytes(value) for key, value in _fields(content)}
                if entry.get(1) == b"location":
                    yield entry.get(2, b"").decode("utf-8", "replace")
            elif below is not None:
                yield from _locations(content, below)


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """A message's fields that hold bytes: their numbers and contents; up to where it is damaged."""
    at, end = 0, len(data)
    try:
        while at < end:
            tag, at = _varint(data, at)
            kind = tag & 7
            if kind == _BYTES:
                size, at = _varint(data, at)
                if at + size > end:
                    return
                with data[at : at + size] as content:
                    yield tag >> 3, content
                at += size
            elif kind == _VARINT:
                _, at = _varint(data, at)
            elif kind in (_FIXED32, _FIXED64):
                at += 4 if kind == _FIXED32 else 8
            else:
                return
    except IndexError:
        return


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7

"""The files beside an ONNX model that hold its weights: their names stand inside it, and its identity covers them.

The names are read from the file's own protobuf, field by field, so that a device needs no `onnx` package for it and a
model of gigabytes is not taken into memory.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import InvalidInput
from ..protos.fields import BYTES, fields

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


def external_files(path: Path) -> list[Path]:
    """The files that a model keeps weights in beside itself, in the order of their names; none for most models.

    Raises:
        InvalidInput: one lies outside the model's folder, or is not there.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as whole:
            named = sorted(set(_locations(whole, "model")))
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
    for field in fields(data):
        below = _WAYS[message].get(field.number) if field.kind == BYTES else None
        if below is None:
            continue
        with data[field.start : field.end] as content:
            if below == "entry":
                entry = {each.number: bytes(content[each.start : each.end]) for each in fields(content)}
                if entry.get(1) == b"location":
                    yield entry.get(2, b"").decode("utf-8", "replace")
            else:
                yield from _locations(content, below)

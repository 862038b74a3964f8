"""What a model's graph takes and gives: its tensors' names, types and shapes, read from its file."""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput
from ..protos.fields import BYTES, fields

STRINGS = "bytes"
"""The `dtype` of a tensor of strings."""

# By their numbers in onnx.proto; what is not named here is not fed.
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: STRINGS,
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph.

    Attributes:
        name: what the graph calls it.
        dtype: NumPy's name of its numbers; `STRINGS` for strings; empty: something that can't be fed.
        shape: -1 where any size will do; None: the file does not say how many axes there are.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of that shape can be fed."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(n in (-1, m) for n, m in zip(self.shape, shape, strict=True))


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives, in the file's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def batched(self) -> bool:
        """Whether the first axis of everything may be of any size: several requests may then share one run."""
        return all(spec.shape is not None and spec.shape[:1] == (-1,) for spec in (*self.inputs, *self.outputs))


def read_signature(path: Path) -> Signature:
    """A model's signature from its file alone: nothing is loaded, and its weights are not read.

    Raises:
        InvalidInput: it is no ONNX file.
    """
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    defaults: set[str] = set()
    with path.open("rb") as file:
        if path.stat().st_size:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as whole:
                for graph in _within(whole, 7):
                    defaults.update(_text(each, 8) for each in _within(graph, 5))
                    defaults.update(_text(values, 8) for each in _within(graph, 15) for values in _within(each, 1))
                    inputs.extend(map(_tensor, _within(graph, 11)))
                    outputs.extend(map(_tensor, _within(graph, 12)))
    if not outputs:
        raise InvalidInput(f"{path.name}: no ONNX model, or one without outputs")
    return Signature(tuple(spec for spec in inputs if spec.name not in defaults), tuple(outputs))


def _within(data: memoryview, number: int) -> Iterator[memoryview]:
    """The contents of a message's fields of that number, each valid until the next one."""
    for field in fields(data):
        if field.number == number and field.kind == BYTES:
            with data[field.start : field.end] as content:
                yield content


def _text(data: memoryview, number: int) -> str:
    return "".join(bytes(content).decode("utf-8", "replace") for content in _within(data, number))


def _number(data: memoryview, number: int) -> int:
    return next((field.value for field in fields(data) if field.number == number and field.kind != BYTES), 0)


def _tensor(data: memoryview) -> TensorSpec:
    """A ValueInfoProto."""
    dtype, shape = "", None
    for kind in _within(data, 2):
        for tensor in _within(kind, 1):
            dtype = _DTYPES.get(_number(tensor, 1), "")
            for axes in _within(tensor, 2):
                # What the file leaves open, or names, is of any size; so is what it calls 0.
                shape = tuple(_number(axis, 1) or -1 for axis in _within(axes, 1))
    return TensorSpec(_text(data, 1), dtype, shape)

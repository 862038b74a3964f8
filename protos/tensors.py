"""Tensors as the Open Inference Protocol writes them: raw bytes, or their elements one by one; and arrays of them."""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from math import prod
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from . import open_inference_pb2 as pb

BYTES = "BYTES"
DTYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    BYTES: "bytes",
}
"""NumPy's names by the protocol's; an array of `bytes` has the dtype object."""
DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}
_DATATYPE_OF = {np.dtype(object if name == "bytes" else name): datatype for name, datatype in DATATYPES.items()}

_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
_LENGTH = struct.Struct("<I")
_MOST_AXES = 32
# Each becomes an object of its own, some fifty bytes however short it is.
_MOST_STRINGS = 65_536
# So many elements at a time, as other threads wait meanwhile.
_PIECE = 2**15


def check_tensor(name: str, datatype: str, shape: Sequence[int]) -> int:
    """How many elements a tensor has; nothing is taken for it yet.

    Raises:
        InvalidInput: it has a datatype there is not, or a shape that none can have.
    """
    if datatype not in DTYPES:
        raise InvalidInput(f"input {name!r}: `datatype` {datatype[:40]!r} is none of {', '.join(DTYPES)}")
    if len(shape) > _MOST_AXES or any(n < 0 for n in shape):
        raise InvalidInput(
            f"input {name!r}: `shape` {list(shape[:_MOST_AXES])} must have at most {_MOST_AXES} axes, none below 0"
        )
    count = prod(shape)
    if datatype == BYTES and count > _MOST_STRINGS:
        raise InvalidInput(f"input {name!r}: {count} elements of BYTES are more than {_MOST_STRINGS}")
    return count


def read_raw(name: str, datatype: str, shape: Sequence[int], content: bytes | memoryview) -> Array:
    """A tensor from its raw bytes: a view of them, nothing is copied but strings.

    Raises:
        InvalidInput: they are not the bytes of such a tensor.
    """
    count = check_tensor(name, datatype, shape)
    if datatype == BYTES:
        return _strings(name, _split_strings(name, content, count), shape)
    dtype = np.dtype(DTYPES[datatype]).newbyteorder("<")
    if count * dtype.itemsize != len(content):
        raise InvalidInput(
            f"input {name!r}: {len(content)} bytes are no {datatype} of shape {list(shape)}, which takes "
            f"{count * dtype.itemsize}"
        )
    return _shaped(name, np.frombuffer(content, dtype), shape)


def read_contents(tensor: "pb.ModelInferRequest.InferInputTensor") -> Array:
    """A tensor from its elements.

    Raises:
        InvalidInput: they are in the wrong field, too many or too few, or too large for its datatype.
    """
    name, datatype, shape = tensor.name, tensor.datatype, tuple(tensor.shape)
    count = check_tensor(name, datatype, shape)
    field = _CONTENTS.get(datatype)
    if field is None:
        raise InvalidInput(f"input {name!r}: {datatype} travels in `raw_input_contents` alone")
    found = getattr(tensor.contents, field)
    given = [each.name for each, _ in tensor.contents.ListFields() if each.name != field]
    if given or len(found) != count:
        told = f"`contents.{given[0]}`" if given else f"{len(found)} elements in `contents.{field}`"
        raise InvalidInput(f"input {name!r}: {told}; {datatype} of shape {list(shape)} takes {count} in `{field}`")
    if datatype == BYTES:
        return _strings(name, list(found), shape)
    return _numbers(name, datatype, found, shape)


def from_list(name: str, datatype: str, shape: Sequence[int], data: list[object]) -> Array:
    """A tensor from the elements of a JSON array, nested as its shape is or flat.

    Raises:
        InvalidInput: they are too many or too few, or not of its datatype.
    """
    count = check_tensor(name, datatype, shape)
    flat = _flat(data, count + 1)
    if len(flat) != count:
        many = "more" if len(flat) > count else str(len(flat))
        raise InvalidInput(f"input {name!r}: {many} elements in `data`; shape {list(shape)} takes {count}")
    given = _types(flat)
    if datatype == BYTES:
        if given - {str}:
            raise InvalidInput(f"input {name!r}: `data` of BYTES must be strings")
        return _strings(name, [str(each).encode() for each in flat], shape)
    wanted = {bool} if datatype == "BOOL" else {int, float} if datatype.startswith("FP") else {int}
    if given - wanted:
        raise InvalidInput(f"input {name!r}: `data` must be {'true or false' if bool in wanted else 'numbers'}")
    return _numbers(name, datatype, flat, shape)


def write_raw(value: Array) -> bytes | memoryview:
    """A tensor's raw bytes: a view of the array where that is possible."""
    if value.dtype == object:
        return b"".join(_LENGTH.pack(len(each)) + each for each in map(_as_bytes, value.reshape(-1)))
    whole = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return memoryview(whole.reshape(-1).view(np.uint8).data)


def write_contents(tensor: "pb.ModelInferResponse.InferOutputTensor", value: Array) -> None:
    """Puts a tensor's elements into a message; FP16 has none."""
    found = getattr(tensor.contents, _CONTENTS[datatype_of(value)])
    found.extend(map(_as_bytes, value.reshape(-1)) if value.dtype == object else value.reshape(-1).tolist())


def to_list(value: Array) -> list[object]:
    """A tensor's elements as JSON has them, flat; strings that are no UTF-8 lose what is not."""
    if value.dtype == object:
        return [_as_bytes(each).decode("utf-8", "replace") for each in value.reshape(-1)]
    return list(value.reshape(-1).tolist())


def datatype_of(value: Array) -> str:
    """What the protocol calls an array's numbers."""
    return _DATATYPE_OF[value.dtype]


def _split_strings(name: str, content: bytes | memoryview, count: int) -> list[bytes]:
    at, found = 0, list[bytes]()
    while at < len(content) and len(found) <= count:
        end = at + _LENGTH.size
        if end <= len(content):
            end += _LENGTH.unpack_from(content, at)[0]
        if end > len(content):
            raise InvalidInput(f"input {name!r}: its BYTES end within element {len(found)}")
        found.append(bytes(content[at + _LENGTH.size : end]))
        at = end
    if len(found) != count:
        raise InvalidInput(
            f"input {name!r}: its bytes hold {'more' if len(found) > count else len(found)} elements, "
            f"and its `shape` {count}"
        )
    return found


def _strings(name: str, elements: Iterable[bytes], shape: Sequence[int]) -> Array:
    elements = list(elements)
    value = np.empty(len(elements), object)
    value[:] = elements
    return _shaped(name, value, shape)


def _numbers(name: str, datatype: str, elements: Sequence[object], shape: Sequence[int]) -> Array:
    dtype = np.dtype(DTYPES[datatype])
    try:
        pieces = [np.array(elements[at : at + _PIECE], dtype) for at in range(0, max(1, len(elements)), _PIECE)]
        value = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    except (OverflowError, ValueError, TypeError) as error:
        raise InvalidInput(f"input {name!r}: an element is no {datatype}: {error}") from error
    return _shaped(name, value, shape)


def _shaped(name: str, value: Array, shape: Sequence[int]) -> Array:
    try:
        return value.reshape(shape)
    except ValueError as error:  # no element in it, and yet too large an axis
        raise InvalidInput(f"input {name!r}: `shape`: no array can have the shape {list(shape)}") from error


def _flat(data: list[Any], most: int) -> list[Any]:
    """The elements of nested lists, the first `most` of them; where a list stands beside an element, it is one, too."""
    while data and _types(data) == {list}:
        data = list(islice(chain.from_iterable(data), most))
    return data[:most]


def _types(elements: Sequence[object]) -> set[type]:
    found = set[type]()
    for at in range(0, len(elements), _PIECE):
        found.update(map(type, elements[at : at + _PIECE]))
    return found


def _as_bytes(element: object) -> bytes:
    return element if isinstance(element, bytes) else str(element).encode()

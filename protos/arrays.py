"""An array as an `Output` carries it: its shape, its type, and its numbers as little-endian bytes in C order."""

from math import prod

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from . import edge_pb2

DTYPES = ("float32", "int64")
"""The types of a model's output: float32, and int64 for tokens."""
_LITTLE = {name: np.dtype(name).newbyteorder("<") for name in DTYPES}
# To ask numpy for a type's name takes longer than to copy what most models say.
_NAMES = {dtype: name for name, dtype in _LITTLE.items()}


def write_array(output: edge_pb2.Output, value: Array) -> None:
    """Puts an array into a message: its `shape`, `dtype` and `value`.

    Raises:
        InvalidInput: its type is not one of `DTYPES`.
    """
    name = _NAMES.get(value.dtype) or value.dtype.name
    _check_dtype(output, name)
    output.shape[:] = value.shape
    output.dtype = name
    output.value = value.astype(_LITTLE[name], copy=False).tobytes()


def read_array(output: edge_pb2.Output) -> Array:
    """The array in a message: a view of the message's bytes, so no sender can make it take more memory than it sent.

    Raises:
        InvalidInput: `dtype` is not one of `DTYPES`, or `value` has not the bytes that `shape` and `dtype` say.
    """
    _check_dtype(output, output.dtype)
    dtype, shape, value = _LITTLE[output.dtype], tuple(output.shape), output.value
    if prod(shape) * dtype.itemsize != len(value):
        raise InvalidInput(
            f"{output.model}: `value`: {len(value)} bytes are no {output.dtype} of shape {shape} (`shape`)"
        )
    try:
        return np.frombuffer(value, dtype).reshape(shape)
    except ValueError as error:  # too many axes, or no number in them and yet too large an axis
        raise InvalidInput(f"{output.model}: `shape`: no array can have the shape {shape}") from error


def _check_dtype(output: edge_pb2.Output, dtype: str) -> None:
    if dtype not in DTYPES:
        raise InvalidInput(f"{output.model}: `dtype`: {dtype!r} is none of {', '.join(DTYPES)}")

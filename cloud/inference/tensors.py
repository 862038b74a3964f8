"""Whether the tensors of a request are what a model's graph takes, and as what onnxruntime takes them."""

from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...models.tensors import STRINGS, TensorSpec
from ...outputs import Array
from .catalogue import Model
from .request import InferRequest


def is_fed(model: Model, name: str, tensor: Array) -> bool:
    """Whether the graph itself has an input of that name which takes this tensor."""
    specs = () if model.signature is None else model.signature.inputs
    return any(spec.name == name and spec.dtype == _dtype(tensor) and spec.fits(tensor.shape) for spec in specs)


def check_tensors(model: Model, request: InferRequest) -> None:
    """Makes sure that these are the graph's inputs, all of them, and that it has the outputs that are asked for.

    Raises:
        InvalidInput: naming what is wrong.
    """
    takes = {spec.name: spec for spec in model.inputs}
    for name, tensor in request.tensors.items():
        spec = takes.get(name)
        if spec is None:
            raise InvalidInput(f"model {model.name!r} has no input {name[:80]!r}; it takes {_listed(model.inputs)}")
        if spec.dtype != _dtype(tensor):
            told = spec.dtype or "something that can't be sent"
            raise InvalidInput(f"input {name!r} of model {model.name!r} is {told}, not {_dtype(tensor)} (`datatype`)")
        if not spec.fits(tensor.shape):
            raise InvalidInput(
                f"input {name!r} of model {model.name!r} has the shape {list(spec.shape or ())} (-1: any size), not "
                f"{list(tensor.shape)} (`shape`)"
            )
    for name in takes:
        if name not in request.tensors:
            raise InvalidInput(f"input {name!r} of model {model.name!r} is missing; it takes {_listed(model.inputs)}")
    gives = [spec.name for spec in model.outputs]
    for name in request.outputs:
        if name not in gives:
            raise InvalidInput(f"model {model.name!r} has no output {name[:80]!r}; it gives {_listed(model.outputs)}")


@lru_cache(64)
def _name(dtype: np.dtype[Any]) -> str:
    # NumPy makes up a dtype's name each time it is asked for, which takes longer than all other checks.
    return STRINGS if dtype.hasobject else dtype.name


def _dtype(tensor: Array) -> str:
    return _name(tensor.dtype)


def as_text(name: str, tensor: Array) -> Array:
    """Strings as onnxruntime takes them.

    Raises:
        InvalidInput: they are no UTF-8.
    """
    found = np.empty(tensor.shape, object)
    try:
        found.reshape(-1)[:] = [each.decode() for each in tensor.reshape(-1)]
    except UnicodeDecodeError as error:
        raise InvalidInput(f"input {name[:80]!r}: an element is no UTF-8: {error}") from error
    return found


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} ({spec.dtype} {list(spec.shape or ())})" for spec in specs[:16])

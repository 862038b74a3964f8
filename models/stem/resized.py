"""A model's graph for a picture of another size: constants that hold its own size are written anew."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...outputs import Array

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

ALL_STRIDES = (1, 2, 4, 8, 16, 32, 64)


def stride_of(shape: Shape, size: Shape) -> int:
    """Pixels of a picture of `size` (width, height) to a place of a map (n, channels, rows, columns); 0: it is none."""
    if len(shape) != 4:
        return 0
    return next((stride for stride in ALL_STRIDES if shape[2:] == _places(size, stride)), 0)


def resized(
    nodes: Sequence[Any], own: Shapes, constants: Mapping[str, Array], own_size: Shape, size: Shape
) -> list[Any]:
    """The nodes, as they must be for a picture of `size` (width, height).

    `Reshape` and `Expand` to constant sizes (channel shuffles, above all) get those of the new size, and the batch axis
    stays free where that can be; `Resize` to constant sizes gets their ratio.

    Args:
        nodes: of a model.
        own: the tensors' shapes at the model's own size.
        constants: the values of tensors that don't depend on the picture.
        own_size: the model's own size.
        size: the new one.
    """
    found = []
    for node in nodes:
        constant = constants.get(node.input[1]) if len(node.input) > 1 else None
        if (
            node.op_type in ("Reshape", "Expand")
            and constant is not None
            and {node.input[0], node.output[0]} <= own.keys()
        ):
            shape = _moved(constant, own[node.input[0]], own[node.output[0]], own_size, size)
            found += _with_input(node, 1, np.asarray(shape, np.int64))
        elif node.op_type == "Resize" and len(node.input) > 3 and node.input[3] in constants and node.input[0] in own:
            ratio = np.asarray(constants[node.input[3]], np.float32) / own[node.input[0]]
            # Without sizes, which would be an input behind it.
            found += _with_input(node, 2, ratio.astype(np.float32))
            del found[-1].input[3:]
        else:
            found.append(node)
    return found


def _moved(constant: Array, taken: Shape, given: Shape, own_size: Shape, size: Shape) -> list[int]:
    """The constant of a `Reshape` from `taken` to `given`, at the new size."""
    shape = [int(n) for n in constant]
    if len(shape) != len(given):
        return shape
    for stride in ALL_STRIDES:
        rows, columns = _places(own_size, stride)
        at = _find(given, (rows, columns))
        if _find(taken, (rows, columns)) is None and rows * columns not in taken:
            continue
        new = _places(size, stride)
        if at is not None:
            moved = {at: new[0], at + 1: new[1]}
        elif rows * columns in given:
            moved = {len(given) - 1 - given[::-1].index(rows * columns): new[0] * new[1]}
        else:
            continue
        shape = [moved[i] if i in moved and n > 0 else n for i, n in enumerate(shape)]
        break
    if shape[0] == taken[0] == 1:
        shape[0] = 0
    return shape


def _places(size: Shape, stride: int) -> Shape:
    """Rows and columns of a map of a picture of `size` (width, height)."""
    return -(-size[1] // stride), -(-size[0] // stride)


def _find(shape: Shape, pair: Shape) -> int | None:
    """Where two neighbouring axes are such a pair; the last place of several."""
    places = [i for i in range(len(shape) - 1) if shape[i : i + 2] == pair]
    return places[-1] if places else None


def _with_input(node: Any, index: int, value: Array) -> list[Any]:
    """The node with a constant in the place of an input."""
    name = f"stem_of_{node.output[0]}"
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    changed.input[index] = name
    return [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value)), changed]

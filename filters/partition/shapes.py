"""The shapes in an ONNX graph that are known beforehand (needs the `onnx` package, in `infilink[train]`)."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference


def known_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shapes that are known in full."""
    graph = model.graph
    found = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(size.HasField("dim_value") for size in kind.shape.dim):
            found[value.name] = tuple(size.dim_value for size in kind.shape.dim)
    return found


def without_shapes(model: onnx.ModelProto) -> list[Any]:
    """A graph's nodes, `Shape` of what has a known shape made a constant: it no longer needs the tensor itself."""
    if not any(node.op_type == "Shape" for node in model.graph.node):
        return list(model.graph.node)
    shapes = known_shapes(shape_inference.infer_shapes(model, data_prop=True))
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Shape" and node.input[0] in shapes:
            bounds = {attribute.name: attribute.i for attribute in node.attribute}
            sizes = shapes[node.input[0]][bounds.get("start", 0) : bounds.get("end")]
            tensor = numpy_helper.from_array(np.asarray(sizes, np.int64))
            nodes.append(helper.make_node("Constant", [], list(node.output), value=tensor))
        else:
            nodes.append(node)
    return nodes


def set_shape(value: Any, shape: tuple[int, ...]) -> None:
    """Fixes a graph input's dimensions, as many as it has."""
    dimensions = value.type.tensor_type.shape.dim
    for dimension, size in zip(dimensions, shape, strict=False):
        dimension.dim_value = size

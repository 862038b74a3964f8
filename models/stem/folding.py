"""What a graph computes of shapes alone, as constants: onnx's own inference does not follow divisions and the like."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ...outputs import Array

MOST_NUMBERS = 1024
"""Longer constants say nothing of shapes."""
_HEAVY = ("Conv", "MatMul", "Gemm", "If", "Loop", "Scan", "RandomNormal", "RandomUniform", "DequantizeLinear")


def constant_of(node: Any) -> Array | None:
    """What a `Constant` node gives, if it is short."""
    if node.op_type != "Constant" or not node.attribute:
        return None
    value = helper.get_attribute_value(node.attribute[0])
    found = numpy_helper.to_array(value) if node.attribute[0].name == "value" else np.asarray(value)
    return found if found.dtype.kind in "fiub" and found.size <= MOST_NUMBERS else None


def fold(
    nodes: Sequence[Any], constants: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], opsets: Sequence[Any]
) -> dict[str, Array]:
    """More constants: what follows from those that are known, and from the shapes.

    Args:
        nodes: in order.
        constants: known so far, by name.
        shapes: known so far, by name.
        opsets: the versions of the operators.
    """
    known, found = dict(constants), dict[str, Array]()
    for node in nodes:
        name = node.output[0]
        if name in known or len(node.output) != 1 or node.op_type in _HEAVY:
            continue
        value = constant_of(node)
        if node.op_type == "Shape" and node.input[0] in shapes:
            told = {each.name: each.i for each in node.attribute}
            value = np.asarray(shapes[node.input[0]][told.get("start", 0) : told.get("end")], np.int64)
        elif value is None and node.input and all(each in known for each in node.input if each):
            value = _evaluated(node, known, opsets)
        if value is not None and value.size <= MOST_NUMBERS:
            known[name] = found[name] = value
    return found


def _evaluated(node: Any, known: Mapping[str, Array], opsets: Sequence[Any]) -> Array | None:
    """What one node gives; None if onnx can't say."""
    feeds = {name: known[name] for name in node.input if name}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    with suppress(Exception):  # of many types; what it can't compute stays unknown
        graph = helper.make_graph([node], "one", inputs, [helper.make_empty_tensor_value_info(node.output[0])])
        evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets))
        return np.asarray(next(iter(evaluator.run(None, feeds))))
    return None

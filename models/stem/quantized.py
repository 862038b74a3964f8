"""What the whole numbers of a quantised map stand for: the scale and the zero that its layer gives it."""

from collections.abc import Sequence
from typing import Any

# For each operator that gives whole numbers, where among its inputs are the scale and the zero of what it gives.
_SCALES = {
    "QLinearConv": 6,
    "QuantizeLinear": 1,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QLinearLeakyRelu": 3,
    "QLinearSigmoid": 3,
    "QLinearConcat": 0,
    "QLinearAveragePool": 3,
}
# Those that give whole numbers of the same scale as they take.
_SAME = ("MaxPool", "Relu", "Clip", "Transpose", "Reshape", "Slice", "Pad", "Identity", "Resize")

LIKE_FIRST = ("QLinearAdd", "QLinearMul", "QLinearLeakyRelu", "QLinearSigmoid", "QuickGelu")
"""onnxruntime's own operators, whose shapes onnx does not know: what they give is shaped like what they take first."""


def scale_of(nodes: Sequence[Any], name: str) -> tuple[str, str] | None:
    """The names of a map's scale and zero; None: its numbers are no quantised ones."""
    for node in reversed(nodes):
        if name not in node.output:
            continue
        at = _SCALES.get(node.op_type)
        if at is not None:
            return (node.input[at], node.input[at + 1]) if len(node.input) > at + 1 else None
        if node.op_type not in _SAME:
            return None
        name = node.input[0]
    return None

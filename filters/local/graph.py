"""The stem with the heads of several models behind it, as one graph (needs the `onnx` package)."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from ...files import replacing
from ...models.heads.linear import Folded
from ...models.stem.extend import extend_stem
from ...models.stem.stem import FEATURES
from ..gates.stem_feed import BIAS, SCORE, WEIGHTS


def heads_graph(stem: Path, folded: Folded) -> onnx.ModelProto:
    """From a picture to every head's numbers, side by side, and the features that they are read off.

    Args:
        stem: the stem's file.
        folded: the heads' map.
    """
    nodes = (
        helper.make_node("Max", [FEATURES, "head_low"], ["heads_above"]),
        helper.make_node("Min", ["heads_above", "head_high"], ["heads_between"]),
        helper.make_node("Gemm", ["heads_between", WEIGHTS, BIAS], [SCORE]),
    )
    weights = {
        "head_low": folded.low[None],
        "head_high": folded.high[None],
        WEIGHTS: folded.weights.astype(np.float32),
        BIAS: folded.constant.astype(np.float32),
    }
    outputs = {SCORE: ["n", len(folded.constant)]}
    return extend_stem(stem, nodes, weights, inputs={}, outputs=outputs, overridable=(WEIGHTS, BIAS))


def save_heads(path: Path, graph: onnx.ModelProto, metadata: dict[str, str]) -> None:
    """Writes a graph with what it says of itself."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    with replacing(path) as part:
        onnx.save(model, str(part))

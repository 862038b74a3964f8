"""Makes a stem's graph of a model's first layers (needs the `onnx` package, in `infilink[train]`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...files import replacing
from ..preprocessing import InputSpec
from .spec import METADATA_KEY, StemSpec
from .stem import FEATURES, PICTURE, PLACES

_IR_VERSION = 9


def cut_stem(
    path: Path, fed: InputSpec, maps: Sequence[str], size: tuple[int, int], pooled: Sequence[str] = ("max", "mean")
) -> onnx.ModelProto:
    """The graph from a picture of `size` (width, height) to the pooled `maps`, by the layers of the model at `path`.

    Args:
        path: the model.
        fed: how a frame becomes its input.
        maps: the tensors, from the first to the deepest, each (n, channels, rows, columns).
        size: of the picture.
        pooled: what is taken of each map.
    """
    model = onnx.load(str(path))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    entry = fed.name or next(value.name for value in model.graph.input if value.name not in weights)
    layers = _needed(model.graph.node, maps)
    nodes, made = _feed(fed, entry)
    nodes += layers
    parts = []
    for i, name in enumerate(maps):
        for how in pooled:
            operator = {"max": "GlobalMaxPool", "mean": "GlobalAveragePool"}[how]
            nodes.append(helper.make_node(operator, [name], [f"stem_{how}_{i}"]))
            nodes.append(helper.make_node("Flatten", [f"stem_{how}_{i}"], [f"stem_flat_{how}_{i}"]))
            parts.append(f"stem_flat_{how}_{i}")
    nodes.append(helper.make_node("Concat", parts, [FEATURES], axis=1))
    nodes.append(helper.make_node("Identity", [maps[-1]], [PLACES]))
    read = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in weights.items() if name in read] + made
    width, height = size
    graph = helper.make_graph(
        nodes,
        "stem",
        [helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, ["n", height, width, 3])],
        [
            helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", None]),
            helper.make_tensor_value_info(PLACES, TensorProto.FLOAT, ["n", None, None, None]),
        ],
        kept,
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=_IR_VERSION)


def save_stem(path: Path, graph: onnx.ModelProto, spec: StemSpec) -> None:
    """Writes a stem's file."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=spec.model_dump_json())
    onnx.checker.check_model(model)
    with replacing(path) as part:
        onnx.save(model, str(part))


def _feed(fed: InputSpec, entry: str) -> tuple[list[Any], list[Any]]:
    """From the picture to the model's own input, and the constants for that."""
    nodes = [helper.make_node("Cast", [PICTURE], ["stem_float"], to=TensorProto.FLOAT)]
    made, last = [], "stem_float"
    if fed.color == "RGB":
        made.append(numpy_helper.from_array(np.asarray([2, 1, 0], np.int64), "stem_order"))
        nodes.append(helper.make_node("Gather", [last, "stem_order"], ["stem_rgb"], axis=3))
        last = "stem_rgb"
    if fed.mean != (0.0,):
        made.append(numpy_helper.from_array(np.asarray(fed.mean, np.float32), "stem_mean"))
        nodes.append(helper.make_node("Sub", [last, "stem_mean"], ["stem_centred"]))
        last = "stem_centred"
    if fed.std != (1.0,):
        made.append(numpy_helper.from_array(1 / np.asarray(fed.std, np.float32), "stem_scale"))
        nodes.append(helper.make_node("Mul", [last, "stem_scale"], ["stem_scaled"]))
        last = "stem_scaled"
    nodes.append(helper.make_node("Transpose", [last], [entry], perm=[0, 3, 1, 2]))
    return nodes, made


def _needed(nodes: Sequence[Any], wanted: Sequence[str]) -> list[Any]:
    """The nodes that `wanted` come from, in order."""
    needed, found = set(wanted), []
    for node in reversed(nodes):
        if needed & set(node.output):
            found.append(node)
            needed |= set(node.input)
    return found[::-1]

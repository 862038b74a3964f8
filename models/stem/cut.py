"""Makes a stem's graph of a model's first layers (needs the `onnx` package, in `infilink[train]`)."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from ...files import replacing
from ...outputs import Array
from .feed import feed
from .layers import Layers, Map, reads
from .pooling import Part, pool, whole
from .spec import METADATA_KEY, StemSpec
from .stem import FEATURES, PICTURE, PLACES

_LEAST_IR = 8


def cut_stem(
    layers: Layers,
    maps: Sequence[Map],
    size: tuple[int, int],
    parts: Sequence[Part] | None = None,
    columns: Array | None = None,
) -> onnx.ModelProto:
    """The graph from a picture to features and places, by the first layers of a model.

    Args:
        layers: of the model.
        maps: some of what `layers.maps(size)` gives, the deepest last.
        size: of the picture: width, height.
        parts: how they become features; None: by maximum and mean.
        columns: which of the parts' numbers are features; None: all.
    """
    made = feed(layers.fed, layers.entry, layers.entry_type)
    own = layers.nodes([each.name for each in maps], size)
    names = []
    nodes = [*made.nodes, *own]
    for i, each in enumerate(maps):
        name, more = layers.as_float(each.name, f"stem_map_{i}")
        names.append(name)
        nodes += more
    shaped = [(name, each.shape) for name, each in zip(names, maps, strict=True)]
    pooled, chosen = pool(whole(len(maps)) if parts is None else parts, shaped, columns, FEATURES)
    nodes += [*pooled, helper.make_node("Identity", [names[-1]], [PLACES])]
    read = {name for node in nodes for name in reads(node)}
    weights = [tensor for name, tensor in layers.weights.items() if name in read]
    width, height = size
    graph = helper.make_graph(
        nodes,
        "stem",
        [helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, ["n", height, width, 3])],
        [
            helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", None]),
            helper.make_tensor_value_info(PLACES, TensorProto.FLOAT, ["n", None, None, None]),
        ],
        [*weights, *made.weights, *chosen],
    )
    used = {node.domain for node in nodes} | {""}
    opsets = [each for each in layers.opsets if each.domain in used]
    model = helper.make_model(graph, opset_imports=opsets, functions=layers.functions)
    model.ir_version = max(_LEAST_IR, helper.find_min_ir_version_for(opsets, ignore_unknown=True))
    return model


def save_stem(path: Path, graph: onnx.ModelProto, spec: StemSpec) -> None:
    """Writes a stem's file."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=spec.model_dump_json())
    onnx.checker.check_model(model)
    with replacing(path) as part:
        onnx.save(model, str(part))

"""A stem with more behind it, as one graph: a filter's file holds its stem (needs the `onnx` package)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .stem import FEATURES

_FLOAT = TensorProto.FLOAT


def extend_stem(
    stem: Path,
    nodes: Sequence[Any],
    weights: Mapping[str, Any],
    *,
    inputs: Mapping[str, Sequence[Any]],
    outputs: Mapping[str, Sequence[Any]],
    overridable: Sequence[str] = (),
) -> onnx.ModelProto:
    """The stem's graph and what is computed of its features and places, in one forward pass.

    Args:
        stem: the stem's file.
        nodes: they read `features`, `places`, the weights and the inputs; their names must not begin with "stem_".
        weights: arrays by name.
        inputs: what is fed beside the picture, with its shape: the state that is carried from input to input.
        outputs: what is given beside the features, with its shape.
        overridable: the weights that may be fed as well, in place of those in the file: what is learnt at work.
    """
    model = onnx.load(str(stem))
    graph = model.graph
    graph.node.extend(nodes)
    arrays = {name: np.ascontiguousarray(each) for name, each in weights.items()}
    graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in arrays.items())
    graph.input.extend(helper.make_tensor_value_info(name, _FLOAT, shape) for name, shape in inputs.items())
    graph.input.extend(helper.make_tensor_value_info(name, _FLOAT, arrays[name].shape) for name in overridable)
    features = [value for value in graph.output if value.name == FEATURES]
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, _FLOAT, shape) for name, shape in outputs.items())
    graph.output.extend(features)
    del model.metadata_props[:]
    return model

"""A filter as one ONNX file: its graph, its spec in the metadata, its weights as int8 if wanted (needs `onnx`)."""

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from pydantic import BaseModel

from ..outputs import Array
from .spec import METADATA_KEY, TASKS_KEY, FilterSpec, TasksSpec

# Smaller tensors are not worth the node that undoes it.
_LEAST_SIZE = 256


def save_filter(path: Path, graph: onnx.ModelProto, spec: FilterSpec | TasksSpec) -> None:
    """Writes a filter's file."""
    save_with_spec(path, graph, spec, key=TASKS_KEY if isinstance(spec, TasksSpec) else METADATA_KEY)


def save_with_spec(path: Path, graph: onnx.ModelProto, spec: BaseModel, *, key: str) -> None:
    """Writes a graph with its spec in the metadata: beside, then renamed."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    model.metadata_props.add(key=key, value=spec.model_dump_json())
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    onnx.save(model, str(beside))
    beside.replace(path)


def compress(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its large weights as int8 and a scale per output channel; what is computed stays float32.

    A quarter of the size. What it changes in the scores is in the calibration, which sees this very graph.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    made, kept = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST_SIZE:
            kept.append(tensor)
            continue
        axis = int(np.argmax(values.shape)) if values.ndim == 2 else 0
        whole, scale = _rounded(values, axis)
        names = [f"{tensor.name}_{part}" for part in ("int8", "scale")]
        kept += [numpy_helper.from_array(whole, names[0]), numpy_helper.from_array(scale, names[1])]
        made.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
    nodes = [*made, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    return model


def _rounded(values: Array, axis: int) -> tuple[Array, Array]:
    """Whole numbers from -127 to 127, and the scale of each slice along `axis`."""
    others = tuple(i for i in range(values.ndim) if i != axis)
    scale = np.maximum(np.abs(values).max(axis=others), 1e-8).astype(np.float32) / np.float32(127)
    shape = tuple(-1 if i == axis else 1 for i in range(values.ndim))
    return np.asarray(np.rint(values / scale.reshape(shape)), np.int8), scale

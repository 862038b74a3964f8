"""The graphs of filters as ONNX: built by hand or traced from torch, checked, made smaller, saved with their spec.

Needs `infilink[train]`. What a learned candidate computes stands beside it, in `temporal.py`, `staleness.py` and
`single_input.py`.
"""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from pydantic import BaseModel
from torch import nn

from ...files import replacing
from ...outputs import Array
from ..modalities.stream import CHANNELS, LOW_LEVEL, SCALARS, SIDE
from ..spec import METADATA_KEY, TASKS_KEY, FilterSpec, TasksSpec

PARITY = 1e-4
SCALARS_INPUT: dict[str, list[Any]] = {"scalars": ["n", len(SCALARS)]}
STREAM_INPUTS: dict[str, list[Any]] = {"channels": ["n", CHANNELS, SIDE, SIDE], **SCALARS_INPUT}
"""What a graph that sees a stream may be fed, with its shape."""

_OPSET = 17
_IR_VERSION = 9
# Smaller tensors are not worth the node that undoes it.
_LEAST_SIZE = 256


def build_graph(
    nodes: Sequence[Any],
    weights: Mapping[str, Any],
    inputs: Mapping[str, list[Any]],
    *,
    outputs: Sequence[str] = ("score",),
) -> onnx.ModelProto:
    """A graph of float32 inputs and weights whose outputs are one number per input."""
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(
        nodes,
        "filter",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in outputs],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def scalar_graph(name: str) -> onnx.ModelProto:
    """A graph whose score is one of the scalars, or of the low-level differences, as it stands."""
    if name in LOW_LEVEL:
        return build_graph([helper.make_node("Identity", [name], ["score"])], {}, {name: ["n", 1]})
    weights = {"index": np.asarray([SCALARS.index(name)], np.int64)}
    return build_graph([helper.make_node("Gather", ["scalars", "index"], ["score"], axis=1)], weights, SCALARS_INPUT)


def random_graph(*, seed: int) -> onnx.ModelProto:
    """A graph whose score is a random draw from 0 to 1."""
    nodes = [
        helper.make_node("Slice", ["scalars", "zero", "one", "axis"], ["column"]),
        helper.make_node("RandomUniformLike", ["column"], ["score"], low=0.0, high=1.0, seed=float(seed), dtype=1),
    ]
    weights = {name: np.asarray([value], np.int64) for name, value in (("zero", 0), ("one", 1), ("axis", 1))}
    return build_graph(nodes, weights, SCALARS_INPUT)


def traced_graph(network: nn.Module, samples: Array, outputs: tuple[str, ...] = ("score",)) -> onnx.ModelProto:
    """What a torch network computes of "input", for any number of inputs, checked on samples.

    Args:
        network: the trained one; of an encoder and its head the output is the score.
        samples: some prepared inputs, (n, ...).
        outputs: what its outputs are called.
    """
    inputs = torch.from_numpy(samples)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The tracing exporter on purpose: what is calibrated is the graph that it makes.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        exported = Path(folder) / "traced.onnx"
        torch.onnx.export(
            network.eval(),
            (inputs[:1],),
            str(exported),
            input_names=["input"],
            output_names=list(outputs),
            dynamic_axes={name: {0: "n"} for name in ("input", *outputs)},
            opset_version=_OPSET,
            dynamo=False,
        )
        graph = onnx.load(str(exported))
    with torch.no_grad():
        found = network(inputs)
    trained = [found] if isinstance(found, torch.Tensor) else [each for each in found if each is not None]
    for name, wanted, computed in zip(outputs, trained, session_of(graph).run(None, {"input": samples}), strict=True):
        check_same(wanted.numpy(), computed, what=f"the graph's {name}")
    return graph


def check_same(trained: Array, computed: Array, *, what: str, parity: float = PARITY) -> None:
    """Makes sure that a graph computes what was trained."""
    difference = float(np.abs(trained - computed).max(initial=0.0))
    if not difference <= parity * max(1.0, float(np.abs(trained).max(initial=0.0))):
        raise AssertionError(f"{what} differs from the trained network's by {difference:.2g}")


def session_of(graph: onnx.ModelProto) -> ort.InferenceSession:
    """A session that computes a graph, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


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


def save_filter(path: Path, graph: onnx.ModelProto, spec: FilterSpec | TasksSpec) -> None:
    """Writes a filter's file."""
    save_with_spec(path, graph, spec, key=TASKS_KEY if isinstance(spec, TasksSpec) else METADATA_KEY)


def save_with_spec(path: Path, graph: onnx.ModelProto, spec: BaseModel, *, key: str) -> None:
    """Writes a graph with its spec in the metadata."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    model.metadata_props.add(key=key, value=spec.model_dump_json())
    onnx.checker.check_model(model)
    with replacing(path) as part:
        onnx.save(model, str(part))

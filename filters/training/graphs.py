"""The graphs of filters: what each kind of candidate computes, as ONNX (needs `infilink[train]`)."""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from ...outputs import Array
from ..modalities.descriptor import Descriptor
from ..modalities.stream import AGE, CARRIED, CHANNELS, LOW_LEVEL, MOTION, SCALARS, SIDE, STEP
from .staleness import CLIP, FLOOR, TOP, Blend, Pace
from .temporal import CONVOLUTIONS, TemporalNetwork

if TYPE_CHECKING:
    from torch import nn
import os

from pydantic import BaseModel

from ..spec import METADATA_KEY, TASKS_KEY, FilterSpec, TasksSpec

PARITY = 1e-4
_OPSET = 17
_IR_VERSION = 9
_STREAM = {"channels": ["n", CHANNELS, SIDE, SIDE], "scalars": ["n", len(SCALARS)]}


def network_graph(network: TemporalNetwork) -> onnx.ModelProto:
    """A graph whose score is the network's expected loss."""
    nodes: list[Any] = []
    weights: dict[str, Any] = {}
    image = "channels"
    for i, ((weight, bias), (_, size, stride)) in enumerate(zip(network.folded(), CONVOLUTIONS, strict=True)):
        weights |= {f"w{i}": weight, f"b{i}": bias}
        inputs, pads = [image, f"w{i}", f"b{i}"], [size // 2] * 4
        nodes.append(helper.make_node("Conv", inputs, [f"c{i}"], strides=[stride] * 2, pads=pads))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        image = f"r{i}"
    state = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    weights |= {key: state[key] for key in ("mean", "scale")}
    weights |= {key.replace(".", "_"): state[key] for key in state if key.startswith(("hidden", "last"))}
    weights |= {"low": np.float32(-4), "high": np.float32(4)}
    nodes += [
        helper.make_node("GlobalMaxPool", [image], ["most"]),
        helper.make_node("GlobalAveragePool", [image], ["average"]),
        helper.make_node("Flatten", ["most"], ["flat_most"]),
        helper.make_node("Flatten", ["average"], ["flat_average"]),
        helper.make_node("Sub", ["scalars", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["normal"]),
        helper.make_node("Concat", ["flat_most", "flat_average", "normal"], ["pooled"], axis=1),
        helper.make_node("Gemm", ["pooled", "hidden_weight", "hidden_bias"], ["hidden"], transB=1),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "last_weight", "last_bias"], ["logit"], transB=1),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    return _graph(nodes, weights, _STREAM)


def pace_graph(pace: Pace) -> onnx.ModelProto:
    """A graph whose score is what was carried plus the changes to be expected since the last frame."""
    nodes, weights = _changes(pace, "score")
    return _graph(nodes, weights, _STREAM)


def blend_graph(blend: Blend) -> onnx.ModelProto:
    """A graph whose score is how likely the last kept answer is stale; it carries the changes to be expected."""
    nodes, weights = _changes(blend.pace, "carried")
    weights |= {
        "age_at": np.asarray([AGE], np.int64),
        "top_at": np.asarray([TOP], np.int64),
        "floor": np.float32(FLOOR),
        "blend_mean": blend.mean,
        "blend_scale": blend.scale,
        "blend_weights": blend.weights[:, None],
        "blend_bias": np.asarray([blend.bias], np.float32),
    }
    nodes += [
        helper.make_node("Gather", ["scalars", "age_at"], ["age"], axis=1),
        helper.make_node("Gather", ["scalars", "top_at"], ["top"], axis=1),
        helper.make_node("Concat", ["top", "carried"], ["levels"], axis=1),
        helper.make_node("Add", ["levels", "floor"], ["above"]),
        helper.make_node("Log", ["above"], ["logs"]),
        helper.make_node("Concat", ["age", "logs"], ["features"], axis=1),
        helper.make_node("Sub", ["features", "blend_mean"], ["blend_centred"]),
        helper.make_node("Mul", ["blend_centred", "blend_scale"], ["blend_scaled"]),
        helper.make_node("Clip", ["blend_scaled", "low", "high"], ["blend_normal"]),
        helper.make_node("Gemm", ["blend_normal", "blend_weights", "blend_bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    return _graph(nodes, weights, {"scalars": ["n", len(SCALARS)]}, outputs=("score", "carried"))


def _changes(pace: Pace, name: str) -> tuple[list[Any], dict[str, Any]]:
    """The nodes, and their weights, that make of the scalars what was carried plus the changes of this frame."""
    weights = {
        "motion": np.asarray([SCALARS.index(each) for each in MOTION], np.int64),
        "step": np.asarray([STEP], np.int64),
        "before_at": np.asarray([CARRIED], np.int64),
        "mean": pace.mean,
        "scale": pace.scale,
        "low": np.float32(-CLIP),
        "high": np.float32(CLIP),
        "weights": pace.weights[:, None],
        "bias": np.asarray([pace.bias], np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["scalars", "motion"], ["moves"], axis=1),
        helper.make_node("Sub", ["moves", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["normal"]),
        helper.make_node("Gemm", ["normal", "weights", "bias"], ["log_rate"]),
        helper.make_node("Exp", ["log_rate"], ["rate"]),
        helper.make_node("Gather", ["scalars", "step"], ["step_s"], axis=1),
        helper.make_node("Mul", ["rate", "step_s"], ["changes"]),
        helper.make_node("Gather", ["scalars", "before_at"], ["before"], axis=1),
        helper.make_node("Add", ["before", "changes"], [name]),
    ]
    return nodes, weights


def scalar_graph(name: str) -> onnx.ModelProto:
    """A graph whose score is one of the scalars, or of the low-level differences, as it stands."""
    if name in LOW_LEVEL:
        return _graph([helper.make_node("Identity", [name], ["score"])], {}, {name: ["n", 1]})
    weights = {"index": np.asarray([SCALARS.index(name)], np.int64)}
    node = helper.make_node("Gather", ["scalars", "index"], ["score"], axis=1)
    return _graph([node], weights, {"scalars": ["n", len(SCALARS)]})


def random_graph(*, seed: int) -> onnx.ModelProto:
    """A graph whose score is a lot from 0 to 1."""
    nodes = [
        helper.make_node("Slice", ["scalars", "zero", "one", "axis"], ["column"]),
        helper.make_node("RandomUniformLike", ["column"], ["score"], low=0.0, high=1.0, seed=float(seed), dtype=1),
    ]
    weights = {name: np.asarray([value], np.int64) for name, value in (("zero", 0), ("one", 1), ("axis", 1))}
    return _graph(nodes, weights, {"scalars": ["n", len(SCALARS)]})


def neighbours_graph(descriptor: Descriptor, known: Array, needed: Array, *, neighbours: int) -> onnx.ModelProto:
    """A graph whose score is the share of the nearest known descriptors whose inputs were needed.

    Args:
        descriptor: what makes them.
        known: float32 (inputs, hashes).
        needed: float (inputs,), from 0 to 1.
        neighbours: how many count.
    """
    weights = {
        "known": np.ascontiguousarray(known.T, np.float32),
        "squares": (known**2).sum(axis=1, dtype=np.float32)[None],
        "minus_two": np.float32(-2.0),
        "needed": needed.astype(np.float32),
        "k": np.asarray([neighbours], np.int64),
        "axis": np.asarray([1], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["input", "known"], ["products"]),
        helper.make_node("Mul", ["products", "minus_two"], ["doubled"]),
        helper.make_node("Add", ["doubled", "squares"], ["distances"]),
        helper.make_node("TopK", ["distances", "k"], ["nearest", "which"], axis=1, largest=0),
        helper.make_node("Gather", ["needed", "which"], ["theirs"], axis=0),
        helper.make_node("ReduceMean", ["theirs"], ["score"], axes=[1], keepdims=1),
    ]
    del weights["axis"]
    return _graph(nodes, weights, {"input": ["n", *descriptor.shape]})


def traced_graph(network: "nn.Module", samples: Array, outputs: tuple[str, ...] = ("score",)) -> onnx.ModelProto:
    """What a torch network computes of "input", for any number of inputs, checked on samples.

    Args:
        network: the trained one; of an encoder and its head the output is the score.
        samples: some prepared inputs, (n, ...).
        outputs: what its outputs are called.
    """
    import torch

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


def check_same(trained: Array, computed: Array, *, what: str) -> None:
    """Makes sure that a graph computes what was trained."""
    difference = float(np.abs(trained - computed).max(initial=0.0))
    if not difference <= PARITY * max(1.0, float(np.abs(trained).max(initial=0.0))):
        raise AssertionError(f"{what} differs from the trained network's by {difference:.2g}")


def session_of(graph: onnx.ModelProto) -> ort.InferenceSession:
    """A session that computes a graph, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _graph(
    nodes: list[Any], weights: dict[str, Any], inputs: dict[str, list[Any]], *, outputs: tuple[str, ...] = ("score",)
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(
        nodes,
        "filter",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in outputs],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


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

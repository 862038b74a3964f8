"""Writes a filter as one ONNX file (needs the `onnx` package, in `infilink[train]`)."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .channels import CHANNELS, MOTION, SCALARS
from .encoders import EncoderNetwork
from .network import CONVOLUTIONS, TemporalNetwork
from .pace import CLIP, Pace
from .pictures import SIDE
from .spec import METADATA_KEY, FilterSpec

_OPSET = 17
_IR_VERSION = 9


def write_network(path: Path, network: TemporalNetwork, spec: FilterSpec) -> None:
    """A file whose score is the network's expected loss."""
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
    _write(path, nodes, weights, spec)


def write_pace(path: Path, pace: Pace, spec: FilterSpec) -> None:
    """A file whose score is what was carried plus the changes to be expected since the last frame."""
    weights = {
        "motion": np.asarray([SCALARS.index(name) for name in MOTION], np.int64),
        "step": np.asarray([SCALARS.index("step")], np.int64),
        "carried": np.asarray([SCALARS.index("carried")], np.int64),
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
        helper.make_node("Gather", ["scalars", "carried"], ["before"], axis=1),
        helper.make_node("Add", ["before", "changes"], ["score"]),
    ]
    _write(path, nodes, weights, spec)


def write_scalar(path: Path, name: str, spec: FilterSpec) -> None:
    """A file whose score is one of the scalars as it stands: what a free candidate is."""
    weights = {"index": np.asarray([SCALARS.index(name)], np.int64)}
    _write(path, [helper.make_node("Gather", ["scalars", "index"], ["score"], axis=1)], weights, spec)


def write_encoder(path: Path, network: EncoderNetwork, spec: FilterSpec) -> None:
    """A file whose score is the encoder's and its head's."""
    import torch

    assert spec.modality is not None, "an encoder is of some modality"
    dtype = torch.int64 if spec.modality.kind == "text" else torch.float32
    sample = torch.zeros((1, *spec.modality.shape), dtype=dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    exported = path.with_name(f"{path.name}.{os.getpid()}.exported")
    with warnings.catch_warnings():
        # The tracing exporter on purpose: the caller compares the file with the network.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            network.eval(),
            (sample,),
            str(exported),
            input_names=["input"],
            output_names=["score"],
            opset_version=_OPSET,
            dynamo=False,
        )
    model = onnx.load(str(exported))
    exported.unlink()
    _save(path, model, spec)


def _write(path: Path, nodes: list[Any], weights: dict[str, Any], spec: FilterSpec) -> None:
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(
        nodes,
        "filter",
        [
            helper.make_tensor_value_info("channels", TensorProto.FLOAT, ["n", CHANNELS, SIDE, SIDE]),
            helper.make_tensor_value_info("scalars", TensorProto.FLOAT, ["n", len(SCALARS)]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    _save(path, model, spec)


def _save(path: Path, model: onnx.ModelProto, spec: FilterSpec) -> None:
    model.metadata_props.add(key=METADATA_KEY, value=spec.model_dump_json())
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    onnx.save(model, str(beside))
    beside.replace(path)

"""Filter and reuse files that are made, not trained: what they decide follows from the input alone."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from infilink.filters.modalities import Modality
from infilink.filters.modalities.image import Image
from infilink.filters.modalities.stream import CHANNELS, SCALARS, SIDE
from infilink.filters.packets.features import NAMES
from infilink.filters.packets.graph import save_packets
from infilink.filters.packets.spec import PacketSpec
from infilink.filters.reuse.spec import METADATA_KEY, ReuseSpec
from infilink.filters.reuse.store import CacheSettings
from infilink.filters.spec import FilterSpec, Level, TasksSpec
from infilink.filters.training.graphs import save_filter, save_with_spec
from infilink.outputs import OutputSpec
from onnx import TensorProto, helper, numpy_helper

from ..certificates import certificate

BRIGHT = 0.7
"""Brighter than anything in a drawn frame but the square (`conftest.draw`)."""

LEFT = 60 / 160
"""The share of a drawn frame that holds some of a square on the left, and nothing of one on the right."""

STREAM = {"channels": ["n", CHANNELS, SIDE, SIDE], "scalars": ["n", len(SCALARS)]}
ERROR = 0.02
FRAMES = FilterSpec(
    kind="network",
    rule="value < 1",
    models={"squares": "d0"},
    reference="previous",
    threshold=BRIGHT,
    accuracy=0.9,
    step_s=0.0,
    certificate=certificate(error=ERROR, upper_bound=0.05),
    table=(
        Level(threshold=0.2, rate=0.1, error=0.0, upper_bound=0.01),
        Level(threshold=BRIGHT, rate=0.4, error=ERROR, upper_bound=0.05),
        Level(threshold=0.95, rate=0.9, error=0.3, upper_bound=0.4),
    ),
)
"""A filter of drawn frames: needed is where the square is."""

REPEATS = FRAMES.model_copy(
    update={
        "kind": "top difference",
        "rule": "unchanged",
        "models": {"scene": "d0", "squares": "d0"},
        "reference": "last kept",
        "threshold": 0.1,
        "longest_s": 10.0,
    }
)
"""A filter of drawn frames: kept is what differs from the last kept one in some blocks."""


def graph(
    nodes: list[Any],
    inputs: dict[str, list[Any]],
    *,
    constants: dict[str, np.ndarray] | None = None,
    outputs: dict[str, int] | None = None,
    dtype: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A graph from some inputs to outputs (n, columns); `score`, one column, if nothing else is said."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "made",
            [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", columns])
                for name, columns in (outputs or {"score": 1}).items()
            ],
            [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )


def brightest(*, wrong: float = 0.0) -> onnx.ModelProto:
    """A frame's brightest pixel in grey, from 0 to 1, plus a number that makes it wrong."""
    nodes = [
        helper.make_node("Gather", ["channels", "grey"], ["picture"], axis=1),
        helper.make_node("ReduceMax", ["picture"], ["brightest"], axes=[1, 2], keepdims=0),
        helper.make_node("Add", ["brightest", "wrong"], ["sum"]),
        helper.make_node("Unsqueeze", ["sum", "axis"], ["score"]),
    ]
    constants = {
        "grey": np.asarray(0, np.int64),
        "axis": np.asarray([1], np.int64),
        "wrong": np.float32(wrong),
    }
    return graph(nodes, {"channels": STREAM["channels"]}, constants=constants)


def scalar(name: str) -> onnx.ModelProto:
    """One of a stream's scalars."""
    index = np.asarray([SCALARS.index(name)], np.int64)
    node = helper.make_node("Gather", ["scalars", "index"], ["score"], axis=1)
    return graph([node], {"scalars": STREAM["scalars"]}, constants={"index": index})


def write_filter(path: Path, made: onnx.ModelProto, spec: FilterSpec, **changes: Any) -> Path:
    """A filter's file."""
    save_filter(path, made, spec.model_copy(update=changes))
    return path


def write_frames(path: Path, **changes: Any) -> Path:
    """The file of `FRAMES`."""
    return write_filter(path, brightest(), FRAMES, **changes)


def write_repeats(path: Path, **changes: Any) -> Path:
    """The file of `REPEATS`."""
    return write_filter(path, scalar("top difference"), REPEATS, **changes)


def write_mean(path: Path, modality: Modality, **changes: Any) -> Path:
    """A filter of one modality's inputs, whose score is the mean of what is prepared."""
    kinds = {"uint8": TensorProto.UINT8, "int64": TensorProto.INT64, "float32": TensorProto.FLOAT}
    nodes = [
        helper.make_node("Cast", ["input"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["numbers"], ["flat"]),
        helper.make_node("ReduceMean", ["flat"], ["score"], axes=[1], keepdims=1),
    ]
    made = graph(nodes, {"input": ["n", *modality.shape]}, dtype=kinds[modality.dtype])
    given = {"rule": "label in (dull)", "models": {"h": "d"}, "modality": modality}
    return write_filter(path, made, FRAMES, **(given | changes))


def write_tasks(path: Path) -> Path:
    """One file for both models of the drawn frames: a square anywhere, and a square on the left."""
    image = Image()
    columns = round(LEFT * image.side)
    nodes = [
        helper.make_node("Cast", ["input"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "unit"], ["picture"]),
        helper.make_node("Slice", ["picture", "start", "stop", "axes"], ["left"]),
        helper.make_node("ReduceMin", ["picture"], ["grey"], axes=[1], keepdims=0),
        helper.make_node("ReduceMin", ["left"], ["left_grey"], axes=[1], keepdims=0),
        helper.make_node("ReduceMax", ["grey"], ["anywhere"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMax", ["left_grey"], ["on_left"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["anywhere", "axis"], ["first"]),
        helper.make_node("Unsqueeze", ["on_left", "axis"], ["second"]),
        helper.make_node("Concat", ["first", "second"], ["score"], axis=1),
    ]
    constants = {
        "unit": np.float32(1 / 255),
        "start": np.asarray([0], np.int64),
        "stop": np.asarray([columns], np.int64),
        "axes": np.asarray([3], np.int64),
        "axis": np.asarray([1], np.int64),
    }
    made = graph(
        nodes, {"input": ["n", *image.shape]}, constants=constants, outputs={"score": 2}, dtype=TensorProto.UINT8
    )
    tasks = (
        FRAMES.model_copy(update={"modality": image}),
        FRAMES.model_copy(
            update={
                "rule": "label not in (left)",
                "models": {"scene": "d0"},
                "answers": {"scene": "nothing"},
                "modality": image,
            }
        ),
    )
    save_filter(path, made, TasksSpec(tasks=tasks))
    return path


def write_reuse(path: Path, modality: Modality, output: OutputSpec, **changes: Any) -> Path:
    """A reuse file whose embedding is each channel's mean over a signal, and whose score is their mean."""
    channels, steps = modality.shape
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["embedding"], axes=[2], keepdims=0),
        helper.make_node("ReduceMean", ["embedding"], ["score"], axes=[1], keepdims=1),
    ]
    made = graph(nodes, {"input": ["n", channels, steps]}, outputs={"embedding": channels, "score": 1})
    spec = ReuseSpec(
        model="h",
        digest="d0",
        output=output,
        modality=modality,
        dims=channels,
        accuracy=0.9,
        gate=0.5,
        theta=0.5,
        cache=CacheSettings(capacity=50),
        certificate=certificate(error=ERROR, upper_bound=0.05),
        answered_agreement=1.0 - ERROR,
    )
    save_with_spec(path, made, spec.model_copy(update=changes), key=METADATA_KEY)
    return path


def write_packets(path: Path, **changes: Any) -> Path:
    """A packet gate that decodes every key picture and nothing else, whatever its size; of the model `bright`."""
    weights = dict.fromkeys(NAMES, 0.0) | {"one": -3.0, "age": 1.0}
    spec = PacketSpec(
        kind="every K-th key",
        rule="unchanged",
        models={"bright": "d0"},
        outputs={"bright": OutputSpec(kind="scalar")},
        weights=weights,
        costs={"key": 3.0, "reference": 1.0, "free": 0.5, "mean_s": 0.001},
        keys_only=True,
        threshold=0.01,
        accuracy=0.9,
        decoded=0.1,
        agreement=0.8,
        certificate=certificate(rate=0.7),
    )
    save_packets(path, spec.model_copy(update=changes))
    return path

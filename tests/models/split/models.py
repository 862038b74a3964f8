"""Tiny models that can be cut, each answer known beforehand."""

from pathlib import Path

import numpy as np
from infilink.codec import encode_jpeg
from infilink.models.cost import ModelCost
from infilink.models.spec import digest, parse_spec, read_spec, write_spec
from infilink.traces.trace import TraceInfo, TraceWriter
from onnx import TensorProto, helper, save

SIZE = 32
SCALAR = {"output": {"kind": "scalar", "tolerance": 50.0}}
BOXES = {"output": {"kind": "boxes", "classes": ["spot"]}, "decoder": {"name": "boxes", "units": "pixels"}}


def floats(name, values, shape):
    return helper.make_tensor(name, TensorProto.FLOAT, shape, np.asarray(values, np.float32).reshape(-1))


def write_model(path, nodes, weights, shape, spec, *, batch=1, resize="stretch") -> Path:
    """An ONNX file from `image` to `out`, its spec inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        weights,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    fed = {"size": [SIZE, SIZE], "std": [1.0], "resize": resize}
    write_spec(path, parse_spec({"name": path.stem, "input": fed, **spec}, where=path.stem))
    return path


def write_chain(path, *, gain=1.0, loud=1.0) -> Path:
    """How bright a frame is, times `gain`. Cuts: `map` (4, 16, 16) and `sum` (2, 16, 16); not `left`.

    The map is the frame's grey in blocks of 2x2, four times over, each `loud` times as large.
    """
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["grey"], strides=[2, 2]),
        helper.make_node("Relu", ["grey"], ["map"]),
        helper.make_node("Conv", ["map", "half"], ["left"]),
        helper.make_node("Conv", ["map", "half"], ["right"]),
        helper.make_node("Add", ["left", "right"], ["sum"]),
        helper.make_node("Conv", ["sum", "last"], ["mixed"]),
        helper.make_node("ReduceMean", ["mixed"], ["out"], axes=[1, 2, 3], keepdims=0),
    ]
    weights = [
        floats("first", np.full((4, 3, 2, 2), loud / 12), [4, 3, 2, 2]),
        floats("half", np.full((2, 4), 1 / 8 / loud), [2, 4, 1, 1]),
        floats("last", [gain / 2] * 2, [1, 2, 1, 1]),
    ]
    return write_model(path, nodes, weights, [1], SCALAR)


def write_spot(path) -> Path:
    """One box of a quarter of the input, as sure of it as the frame is bright; the frame is letterboxed."""
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["map"], strides=[2, 2]),
        helper.make_node("Conv", ["map", "second"], ["plane"]),
        helper.make_node("ReduceMean", ["plane"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["out"]),
    ]
    weights = [
        floats("first", np.full((4, 3, 2, 2), 1 / 12), [4, 3, 2, 2]),
        floats("second", [0.25] * 4, [1, 4, 1, 1]),
        floats("slope", [0, 0, 0, 0, 1 / 255, 0], [6]),
        floats("offset", [0, 0, SIZE / 2, SIZE / 2, 0, 0], [6]),
        helper.make_tensor("shape", TensorProto.INT64, [3], [1, 1, 6]),
    ]
    return write_model(path, nodes, weights, [1, 1, 6], BOXES, resize="letterbox")


def write_shaped(path) -> Path:
    """As exporters write it: a batch of any size, and a Reshape by what Shape says. Cuts: `map` and `flat`."""
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["map"], strides=[2, 2]),
        helper.make_node("Shape", ["image"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["map", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["out"]),
    ]
    weights = [
        floats("first", np.full((4, 3, 2, 2), 1 / 12), [4, 3, 2, 2]),
        helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        helper.make_tensor("rest", TensorProto.INT64, [1], [1024]),
        floats("weights", np.full(1024, 1 / 1024), [1024, 1]),
    ]
    return write_model(path, nodes, weights, ["n", 1], SCALAR, batch="n")


def frames(count, *, seed=0):
    """Pictures with something in them: uint8 BGR, 120 x 160."""
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(count)]


def write_trace(path, model, count) -> Path:
    """A trace of pictures, as `infilink record` writes it; the outputs are numbers that can be told apart."""
    name = read_spec(model).name
    info = TraceInfo(
        source="clip.mp4",
        fps=25.0,
        models={name: read_spec(model)},
        digests={name: digest(model)},
        costs={name: ModelCost(1000, 0.01, 0.1)},
        every=2,
    )
    with TraceWriter(path, info) as writer:
        for i, frame in enumerate(frames(count)):
            writer.append(2 * i, i * 0.08, encode_jpeg(frame), {name: np.asarray([i], np.float32)})
    return path

"""Models that give what they are told to: constant arrays, or what a picture of some kind brings about."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from infilink.outputs import Array
from onnx import TensorProto, helper, numpy_helper


def write_constant(
    path: Path,
    outputs: Mapping[str, Array],
    *,
    shape: Sequence[int | str] = (1, 3, 64, 64),
    dtype: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A model that takes a picture and gives these arrays."""
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value), name))
        for name, value in outputs.items()
    ]
    said = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), np.shape(value))
        for name, value in outputs.items()
    ]
    return save(path, nodes, [helper.make_tensor_value_info("images", dtype, shape)], said, metadata=metadata)


def write_mean(path: Path, dtype: int = TensorProto.FLOAT) -> Path:
    """A model of 16 x 16 pixels that gives the mean of what it was fed, as float32."""
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["out"], keepdims=0),
    ]
    taken = helper.make_tensor_value_info("image", dtype, [1, 3, 16, 16])
    return save(path, nodes, [taken], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [])])


def write_nan_on_black(path: Path) -> Path:
    """Two scores of 0.5; NaN for a picture that is black all over, where the mean is divided by itself."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "mean"], ["one"]),
        helper.make_node("Mul", ["one", "half"], ["out"]),
    ]
    half = [numpy_helper.from_array(np.full((1, 2), 0.5, np.float32), "half")]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])
    return save(path, nodes, [taken], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 2])], half)


def write_shorter_on_black(path: Path) -> Path:
    """Two scores of 0.5; a single one for a picture that is black all over."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "dark"], ["light"]),
        helper.make_node("Where", ["light", "two", "one"], ["shape"]),
        helper.make_node("Expand", ["half", "shape"], ["out"]),
    ]
    constants = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in {"dark": np.float32(5), "half": np.float32(0.5), "two": [1, 2], "one": [1, 1]}.items()
    ]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])
    return save(path, nodes, [taken], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, "n"])], constants)


def write_class_by_light(path: Path) -> Path:
    """One box whose class is the picture's mean: 90 where it is 90 bright."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Round", ["mean"], ["whole"]),
        helper.make_node("Mul", ["whole", "last"], ["class"]),
        helper.make_node("Add", ["class", "box"], ["out"]),
    ]
    last, box = np.asarray([[[0, 0, 0, 0, 0, 1]]], np.float32), np.asarray([[[0, 0, 0.5, 0.5, 0.9, 0]]], np.float32)
    constants = [numpy_helper.from_array(last, "last"), numpy_helper.from_array(box, "box")]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])
    return save(path, nodes, [taken], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 1, 6])], constants)


def write_batching(path: Path) -> Path:
    """The mean of each picture of 16 x 16 pixels, of any number of them at once; its spec lies beside it."""
    nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0)]
    nodes.append(helper.make_node("Unsqueeze", ["mean", "last"], ["out"]))
    last = numpy_helper.from_array(np.asarray([1], np.int64), "last")
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["many", 3, 16, 16])
    path.with_suffix(".toml").write_text("[input]\nsize = [16, 16]\nstd = [1.0]\n[output]\nkind = 'scalar'\n")
    return save(path, nodes, [taken], [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["many", 1])], [last])


def write_echo(path: Path, kinds: Sequence[type]) -> Path:
    """A graph of two axes whose outputs are its inputs: `in0` and `out0` of the first type, and so on."""
    types = [helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for kind in kinds]
    nodes = [helper.make_node("Identity", [f"in{at}"], [f"out{at}"]) for at in range(len(kinds))]
    ends = [
        [helper.make_tensor_value_info(f"{end}{at}", each, ["rows", "columns"]) for at, each in enumerate(types)]
        for end in ("in", "out")
    ]
    return save(path, nodes, *ends)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    taken: list[onnx.ValueInfoProto],
    said: list[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Writes the graph."""
    graph = helper.make_graph(nodes, "made", taken, said, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return path

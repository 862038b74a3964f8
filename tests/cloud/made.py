"""Models that say one number, whatever they see: which of them answered can be told from the answer."""

import json
from pathlib import Path

import numpy as np
import onnx
from infilink.models.spec import METADATA_KEY
from onnx import TensorProto, helper, numpy_helper


def write_number(
    path: Path,
    number: float,
    *,
    name: str | None = None,
    spec: bool = True,
    data: bool = False,
    kind: str = "scalar",
    size_bytes: int = 4,
) -> Path:
    """A model whose output is that number.

    Args:
        path: its file.
        number: what it says.
        name: what it is called; None: as its file.
        spec: whether its spec is inside.
        data: whether the number lies in a file beside it.
        kind: of its output.
        size_bytes: of weights that it carries along.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.random.default_rng(0).random((max(1, size_bytes // 1024), 256), np.float32)
    graph = helper.make_graph(
        [
            # Which row is taken comes from the input, so that no optimizer can do without the others.
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["none"]),
            helper.make_node("Cast", ["none"], ["first"], to=TensorProto.INT64),
            helper.make_node("Gather", ["rows", "first"], ["row"]),
            helper.make_node("ReduceMean", ["row"], ["one"], axes=[1], keepdims=0),
            helper.make_node("Mul", ["one", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "number"], ["out"]),
        ],
        "number",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
        [
            numpy_helper.from_array(rows, "rows"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
            numpy_helper.from_array(np.full(1, number, np.float32), "number"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if spec:
        said = {"name": name or path.stem, "input": {"size": [16, 16]}, "output": {"kind": kind}}
        model.metadata_props.add(key=METADATA_KEY, value=json.dumps(said))
    if data:
        onnx.save(model, str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    else:
        onnx.save(model, str(path))
    return path


def write_damaged(path: Path) -> Path:
    """No model at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x08\x07damaged")
    return path


def write_hanging(path: Path) -> Path:
    """A model that never ends: it counts to a number that it never reaches."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["goes_on"]),
            helper.make_node("Sin", ["before"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [1]),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Loop", ["turns", "true", "mean"], ["out"], body=body),
        ],
        "hanging",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
        [
            numpy_helper.from_array(np.asarray(2**62, np.int64), "turns"),
            numpy_helper.from_array(np.asarray(True), "true"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    said = {"name": path.stem, "input": {"size": [16, 16]}, "output": {"kind": "scalar"}}
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(said))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path

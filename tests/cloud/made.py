"""Models that say one number, whatever they see: which of them answered can be told from the answer."""

import json
from pathlib import Path

import numpy as np
import onnx
from infilink.models.spec import METADATA_KEY
from onnx import TensorProto, helper, numpy_helper


def write_number(
    path: Path, number: float, *, name: str | None = None, spec: bool = True, data: bool = False, kind: str = "scalar"
) -> Path:
    """A model whose output is that number.

    Args:
        path: its file.
        number: what it says.
        name: what it is called; None: as its file.
        spec: whether its spec is inside.
        data: whether the number lies in a file beside it.
        kind: of its output.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "number"], ["out"]),
        ],
        "number",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
        [
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

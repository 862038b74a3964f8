"""What a graph takes and gives is read from its file as onnxruntime tells it."""

from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
from infilink.errors import InvalidInput
from infilink.models.tensors import TensorSpec, read_signature
from onnx import TensorProto, helper

ORT = {"float32": "tensor(float)", "float64": "tensor(double)", "bytes": "tensor(string)"}


def several(path: Path) -> Path:
    """Inputs of many types, one with a default; outputs that are these."""
    kinds = ["FLOAT", "FLOAT16", "DOUBLE", "INT8", "UINT8", "INT64", "BOOL", "STRING"]
    shapes = [[1, 3], ["batch", 3], [], [0], [None, 2], [4], [2, 2], [1]]
    takes = [
        helper.make_tensor_value_info(f"in_{kind}", getattr(TensorProto, kind), shape)
        for kind, shape in zip(kinds, shapes, strict=True)
    ]
    gives = [
        helper.make_tensor_value_info(f"out_{kind}", getattr(TensorProto, kind), shape)
        for kind, shape in zip(kinds, shapes, strict=True)
    ]
    nodes = [helper.make_node("Identity", [f"in_{kind}"], [f"out_{kind}"]) for kind in kinds]
    default = helper.make_tensor("default", TensorProto.FLOAT, [1], [1.0])
    takes.append(helper.make_tensor_value_info("default", TensorProto.FLOAT, [1]))
    graph = helper.make_graph(nodes, "several", takes, gives, [default])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), str(path))
    return path


def told(spec: TensorSpec) -> tuple[str, str, list[int]]:
    assert spec.shape is not None
    return spec.name, ORT.get(spec.dtype, f"tensor({spec.dtype})"), list(spec.shape)


def test_the_file_tells_what_onnxruntime_tells(tmp_path: Path) -> None:
    path = several(tmp_path / "several.onnx")
    signature, session = read_signature(path), ort.InferenceSession(str(path))
    for specs, nodes in ((signature.inputs, session.get_inputs()), (signature.outputs, session.get_outputs())):
        assert [told(spec) for spec in specs] == [
            (node.name, node.type, [n if isinstance(n, int) and n else -1 for n in node.shape]) for node in nodes
        ]
    assert not signature.batched


def test_a_tensor_of_any_size_along_an_open_axis_fits(tmp_path: Path) -> None:
    specs = {spec.name: spec for spec in read_signature(several(tmp_path / "several.onnx")).inputs}
    assert specs["in_FLOAT16"].fits((7, 3)) and not specs["in_FLOAT16"].fits((7, 2))
    assert specs["in_DOUBLE"].fits(()) and not specs["in_DOUBLE"].fits((1,))


@pytest.mark.parametrize("content", [b"", b"no model", bytes(100)])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="no ONNX model"):
        read_signature(path)

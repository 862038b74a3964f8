"""A tiny model for the workers."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """Says how bright a frame is."""
    path = tmp_path_factory.mktemp("model") / "bright.onnx"
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image"], ["bright"], axes=[1, 2, 3], keepdims=0)],
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("bright", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    path.with_suffix(".toml").write_text('[input]\nsize = [32, 32]\nstd = [1.0]\n[output]\nkind = "scalar"\n')
    return path

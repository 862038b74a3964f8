"""Models that are served by their tensors alone run in processes of their own, as those that look at pictures do."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.cli import build_app
from infilink.errors import InvalidInput
from infilink.models.process import ModelProcess
from infilink.models.spec import find_models, read_spec
from onnx import TensorProto, helper
from typer.testing import CliRunner

from .test_tensors import several


def join(path: Path, spec: str = 'serve = "tensors"\n') -> Path:
    """Joins two texts, and adds two whole numbers."""
    nodes = [helper.make_node("StringConcat", ["a", "b"], ["ab"]), helper.make_node("Add", ["m", "n"], ["sum"])]
    text = [helper.make_tensor_value_info(name, TensorProto.STRING, ["rows"]) for name in ("a", "b", "ab")]
    whole = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows"]) for name in ("m", "n", "sum")]
    graph = helper.make_graph(nodes, "join", [*text[:2], *whole[:2]], [text[2], whole[2]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), str(path))
    path.with_suffix(".toml").write_text(spec)
    return path


def test_several_inputs_of_any_type_are_taken(tmp_path: Path) -> None:
    with ModelProcess(join(tmp_path / "join.onnx")) as process:
        assert process.batches and process.spec.serve == "tensors"
        words = {"a": np.array(["x", "é"], object), "b": np.array(["y", ""], object)}
        found = process.infer_tensors({**words, "m": np.array([1, 2**40]), "n": np.array([-3, 1])}).values
        assert found["ab"].tolist() == ["xy", "é"] and found["sum"].tolist() == [-2, 2**40 + 1]
        with pytest.raises(InvalidInput, match="takes tensors alone"):
            process.infer(np.zeros((4, 4, 3), np.uint8))
        with pytest.raises(InvalidInput, match="join"):
            process.infer_tensors({"a": np.array(["x"], object)})


def test_every_number_of_the_protocol_goes_through(tmp_path: Path) -> None:
    several(tmp_path / "several.onnx").with_suffix(".toml").write_text('serve = "tensors"\n')
    given = {
        "in_FLOAT": np.ones((1, 3), np.float32),
        "in_FLOAT16": np.full((5, 3), 0.1, np.float16),
        "in_DOUBLE": np.array(1e300),
        "in_INT8": np.zeros(0, np.int8),
        "in_UINT8": np.full((3, 2), 255, np.uint8),
        "in_INT64": np.array([-1, 0, 1, 2**62]),
        "in_BOOL": np.eye(2, dtype=bool),
        "in_STRING": np.array(["text"], object),
    }
    with ModelProcess(tmp_path / "several.onnx") as process:
        values = process.infer_tensors(given, ["out_FLOAT16", "out_INT64"]).values
        assert list(values) == ["out_FLOAT16", "out_INT64"]
        for name, value in process.infer_tensors(given).values.items():
            sent = given[name.replace("out", "in")]
            assert value.dtype == sent.dtype and value.shape == sent.shape and value.tolist() == sent.tolist()


def test_who_looks_for_models_of_pictures_does_not_find_them(tmp_path: Path, make_model) -> None:
    make_model(tmp_path, "bright")
    assert read_spec(join(tmp_path / "join.onnx")).name == "join"
    assert list(find_models(tmp_path)) == ["bright"]


def test_the_list_of_models_says_what_it_takes(tmp_path: Path) -> None:
    join(tmp_path / "join.onnx")
    arguments = ["models", "ls", str(tmp_path), "--json"]
    done = CliRunner().invoke(build_app(arguments), arguments)
    assert done.exit_code == 0
    (row,) = json.loads(done.stdout)["models"]
    assert row["takes"] == ["a bytes [-1]", "b bytes [-1]", "m int64 [-1]", "n int64 [-1]"]
    assert row["gives"] == ["ab bytes [-1]", "sum int64 [-1]"] and "error" not in row

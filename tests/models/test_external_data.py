"""A model is all of its files: weights beside it count, and stay beside it."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.external_data import external_files
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest
from onnx import TensorProto, helper, numpy_helper

FRAME = np.full((16, 16, 3), 10, np.uint8)
SPEC = "[input]\nsize = [16, 16]\nstd = [1.0]\n[output]\nkind = 'vector'\nlength = 3\n"


def write_big(path: Path, weights: list[float], *, nested: bool = False) -> Path:
    """A model that gives its weights, which lie in NAME.onnx.data; below an `If` if nested."""
    tensor = numpy_helper.from_array(np.asarray([weights], np.float32), "weights")
    said = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])
    nodes, constants = [helper.make_node("Identity", ["weights"], ["out"])], [tensor]
    if nested:
        branch = helper.make_graph(nodes, "branch", [], [said], constants)
        yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
        nodes, constants = [helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=branch)], [yes]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])
    graph = helper.make_graph(nodes, "big", [taken], [said], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)  # it would be added to
    onnx.save(
        model, str(path), save_as_external_data=True, location=data.name, size_threshold=0, convert_attribute=True
    )
    path.with_suffix(".toml").write_text(SPEC)
    return path


@pytest.mark.parametrize("nested", [False, True], ids=["in the graph", "in a branch"])
def test_another_data_file_is_another_model(tmp_path: Path, nested: bool) -> None:
    path = write_big(tmp_path / "net.onnx", [1, 2, 3], nested=nested)
    assert external_files(path) == [tmp_path / "net.onnx.data"]
    before, model = digest(path), path.read_bytes()
    assert OnnxModel(path).infer(FRAME).tolist() == [1, 2, 3]
    write_big(path, [4, 5, 6], nested=nested)
    assert path.read_bytes() == model, "only the data differ"
    assert digest(path) != before and len(digest(path)) == 16
    write_big(path, [1, 2, 3], nested=nested)
    assert digest(path) == before


def point_to(path: Path, location: str) -> None:
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    onnx.save(model, str(path))


@pytest.mark.parametrize("location", ["/etc/passwd", "../net.onnx.data", "a/../../x", "C:\\x", "..\\x", ""])
def test_data_outside_the_models_folder_are_refused(tmp_path: Path, location: str) -> None:
    path = write_big(tmp_path / "net.onnx", [1, 2, 3])
    point_to(path, location)
    for ask in (digest, OnnxModel):
        with pytest.raises(InvalidInput, match=r"net.onnx: keeps weights in .*, which is not in its own folder"):
            ask(path)


def test_data_that_are_missing_are_named(tmp_path: Path) -> None:
    path = write_big(tmp_path / "net.onnx", [1, 2, 3])
    (tmp_path / "net.onnx.data").unlink()
    for ask in (digest, OnnxModel):
        with pytest.raises(InvalidInput, match=r"net.onnx: keeps its weights in net.onnx.data, which is not there"):
            ask(path)


def test_a_model_in_one_file_is_that_file(tiny_models: Path) -> None:
    for path in tiny_models.glob("*.onnx"):
        assert external_files(path) == []


@given(st.binary(max_size=60))
def test_any_bytes_are_read_to_an_end(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.onnx"
    path.write_bytes(content)
    with suppress(InvalidInput):
        assert isinstance(external_files(path), list)

"""What answers is the file whose digest is reported, whatever happens to the repository afterwards."""

import shutil

import numpy as np
import pytest
from infilink.cloud.model_store import ModelStore, Source, spec_toml, stamp_of
from infilink.errors import InvalidInput
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest, read_spec

from .made import write_damaged, write_number

GREY = np.full((8, 8, 3), 114, np.uint8)


@pytest.fixture
def store(tmp_path):
    with ModelStore(tmp_path / "copies") as store:
        yield store


def says(model):
    return float(OnnxModel(model.path).infer(GREY)[0])


@pytest.mark.parametrize("data", [False, True])
def test_a_copy_answers_as_the_file_did_when_it_was_taken(tmp_path, store, data):
    path = write_number(tmp_path / "m" / "one.onnx", 1.0, data=data)
    model = store.take(Source(path))
    assert (model.name, model.version, model.digest) == ("one", "1", digest(path))
    # Overwritten in place, as a copy onto it does: a hard link would change with it.
    changed = write_number(tmp_path / "other" / "one.onnx", 2.0, data=data)
    for file in changed.parent.iterdir():
        shutil.copyfile(file, path.parent / file.name)
    assert says(model) == 1.0 and digest(model.path) == model.digest
    newer = store.take(Source(path))
    assert says(newer) == 2.0 and newer.digest != model.digest
    assert stamp_of(newer.source.files()) == newer.stamp != model.stamp


def test_weights_beside_a_model_that_alone_were_replaced_make_another_version(tmp_path, store):
    path = write_number(tmp_path / "m" / "one.onnx", 1.0, data=True)
    before = store.take(Source(path))
    data = path.with_name("one.onnx.data")
    data.write_bytes(data.read_bytes()[:-4] + np.float32(3.0).tobytes())
    after = store.take(Source(path))
    assert after.digest != before.digest and says(before) == 1.0


def test_what_stands_in_the_toml_beside_it_goes_with_the_copy(tmp_path, store, tiny_models):
    for name in ("bright", "light", "corner"):
        spec = read_spec(tiny_models / f"{name}.onnx")
        path = tmp_path / "m" / f"{name}.onnx"
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(tiny_models / path.name, path)
        beside = path.with_suffix(".toml")
        beside.write_text("# by hand\n" + spec_toml(spec))
        model = store.take(Source(path, beside))
        assert model.spec == read_spec(model.path) == spec


def test_a_versions_folder_says_what_it_is_called(tmp_path, store):
    path = write_number(tmp_path / "two" / "7" / "model.onnx", 2.0, name="exported")
    model = store.take(Source(path, None, "two", 7))
    assert (model.name, model.version) == ("two", "7") and read_spec(model.path).name == "two"
    bare = write_number(tmp_path / "three" / "1" / "model.onnx", 3.0, spec=False)
    toml = bare.parents[1] / "model.toml"
    toml.write_text('input = { size = [16, 16] }\noutput = { kind = "scalar" }\n')
    assert store.take(Source(bare, toml, "three", 1)).name == "three"


def test_what_is_wrong_is_told_by_its_place_in_the_repository(tmp_path, store):
    damaged = write_damaged(tmp_path / "m" / "bad.onnx")
    with pytest.raises(InvalidInput, match=f"^{damaged}: not an ONNX model"):
        store.take(Source(damaged))
    without = write_number(tmp_path / "m" / "none.onnx", 1.0, spec=False)
    with pytest.raises(InvalidInput, match=f"^{without}: has no spec: write none.toml beside it") as error:
        store.take(Source(without))
    assert "copies" not in str(error.value)
    with pytest.raises(InvalidInput, match=r"gone.onnx"):
        store.take(Source(tmp_path / "m" / "gone.onnx"))
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_copies_of_one_that_was_killed_are_deleted_and_two_coordinators_share_none(tmp_path):
    first = ModelStore(tmp_path / "copies")
    first.take(Source(write_number(tmp_path / "m" / "one.onnx", 1.0)))
    with pytest.raises(InvalidInput, match="another coordinator keeps its models there"):
        ModelStore(tmp_path / "copies")
    (tmp_path / "copies" / "left").mkdir()
    first.close()
    first.close()
    assert not (tmp_path / "copies").exists()
    (tmp_path / "copies" / "left").mkdir(parents=True)
    with ModelStore(tmp_path / "copies") as again:
        assert [path.name for path in again.folder.iterdir()] == [".lock"]

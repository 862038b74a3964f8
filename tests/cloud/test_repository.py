"""Which models lie in a folder, in which versions, and which of them is served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.repository import Repository, check_name, set_current
from infilink.errors import InvalidInput

from .made import write_damaged, write_number


def test_flat_files_and_versions_stand_beside_each_other(tmp_path):
    write_number(tmp_path / "Flat.onnx", 1.0)
    for version in (1, 2, 10):
        write_number(tmp_path / "many" / str(version) / "model.onnx", version)
    (tmp_path / "many" / "next").mkdir()
    (tmp_path / "Nothing").mkdir()
    repository = Repository.open(tmp_path)
    assert list(repository.models) == ["Flat", "many"]
    assert repository.models["many"].version == "10"
    assert repository.paths["many"] == tmp_path / "many" / "10" / "model.onnx"
    assert repository.specs["many"].name == "many" and set(repository.digests) == {"Flat", "many"}


def test_another_version_than_the_newest_is_served_where_it_is_named(tmp_path):
    for version in (1, 2):
        write_number(tmp_path / "many" / str(version) / "model.onnx", version)
    set_current(tmp_path / "many", 1)
    assert Repository.open(tmp_path).models["many"].version == "1"
    set_current(tmp_path / "many", None)
    assert Repository.open(tmp_path).models["many"].version == "2"


@pytest.mark.parametrize(("text", "says"), [("3", "names 3, and there is only 1, 2"), ("two", "must hold a version")])
def test_a_version_that_is_not_there_is_an_error(tmp_path, text, says):
    for version in (1, 2):
        write_number(tmp_path / "many" / str(version) / "model.onnx", version)
    (tmp_path / "many" / "current").write_text(text)
    with pytest.raises(InvalidInput, match=says):
        Repository.open(tmp_path)


def test_two_models_of_one_name_are_refused(tmp_path):
    write_number(tmp_path / "one.onnx", 1.0)
    write_number(tmp_path / "one" / "1" / "model.onnx", 1.0)
    with pytest.raises(InvalidInput, match=r"both called 'one'"):
        Repository.open(tmp_path)


def test_a_folder_without_models_is_an_error(tmp_path):
    with pytest.raises(InvalidInput, match=r"holds no .onnx file"):
        Repository.open(tmp_path)
    with pytest.raises(InvalidInput, match="no such folder of models"):
        Repository.open(tmp_path / "none")
    write_damaged(tmp_path / "bad.onnx")
    with pytest.raises(InvalidInput, match="not an ONNX model"):
        Repository.open(tmp_path)


@given(st.text(max_size=200))
def test_a_name_is_letters_digits_and_three_signs(name):
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
    fits = 0 < len(name) <= 128 and set(name) <= allowed and name[0] not in "_.-"
    if fits:
        assert check_name(name) == name
    else:
        with pytest.raises(InvalidInput, match="model name"):
            check_name(name)

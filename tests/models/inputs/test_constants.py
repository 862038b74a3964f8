"""What a graph is fed besides its input."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.inputs.base import _constant
from infilink.models.inputs.picture import PictureInput
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import parse_spec, read_spec

from .kinds import constants


class Node:
    """What onnxruntime says of an input."""

    def __init__(self, dtype: str, shape: list[int | str | None]) -> None:
        self.name, self.type, self.shape = "it", f"tensor({dtype})", shape


def test_a_picture_is_fed_with_numbers_that_are_the_same_for_all(tmp_path: Path) -> None:
    model = OnnxModel(constants(tmp_path))
    frames = [np.full((8, 8, 3), grey, np.uint8) for grey in (10, 20)]
    assert model.infer(frames[0]).tolist() == [21, 22, 23]
    assert [np.asarray(found).tolist() for found in model.infer_batch(frames)] == [[21, 22, 23], [41, 42, 43]]


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "expected"),
    [
        ("int64", [], 8000, 8000),
        ("int64", [1], 8000, [8000]),
        ("float", ["n", 3], 0.5, [[0.5] * 3]),
        ("float", [2, 2], (1, 2, 3, 4), [[1, 2], [3, 4]]),
        ("float", ["n", "m"], (1.0, 2.0), [[1, 2]]),
        ("bool", [], True, True),
        ("string", [1], "low", ["low"]),
        ("double", [None], 1, [1.0]),
    ],
)
def test_a_constant_has_the_type_and_shape_that_the_graph_takes(dtype, shape, value, expected) -> None:
    assert _constant(value, Node(dtype, shape)).tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "told"),
    [
        ("int64", [], 0.5, "takes whole numbers"),
        ("uint8", [], 300, "can't be 300"),
        ("float", [2], (1.0, 2.0, 3.0), "can't be"),
        ("float", [], "low", "not 'low'"),
        ("string", [], 1, "not 1"),
        ("complex64", [], 1, "which can't be given"),
    ],
)
def test_what_the_graph_does_not_take_is_refused(dtype, shape, value, told) -> None:
    with pytest.raises(InvalidInput, match=told):
        _constant(value, Node(dtype, shape))


NUMBERS = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, width=32), st.text())


@given(
    value=st.one_of(NUMBERS, st.lists(NUMBERS, max_size=4).map(tuple)),
    dtype=st.sampled_from(["int64", "uint8", "float", "float16", "bool", "string"]),
    shape=st.lists(st.one_of(st.integers(1, 3), st.just("n")), max_size=2),
)
def test_any_constant_fits_or_is_refused(value, dtype, shape) -> None:
    with np.errstate(over="ignore"):
        try:
            found = _constant(value, Node(dtype, shape))
        except InvalidInput:
            return
    assert found.ndim == len(shape)
    assert all(not isinstance(n, int) or n == size for n, size in zip(shape, found.shape, strict=True))


def test_a_spec_keeps_the_types_of_its_constants(tmp_path: Path) -> None:
    fed = {"size": [8, 8], "constants": {"a": 1, "b": 1.0, "c": True, "d": "1", "e": [1, 2.5]}}
    spec = parse_spec({"name": "m", "input": fed, "output": {"kind": "scalar"}}, where="here")
    again = parse_spec(spec.model_dump(mode="json"), where="here")
    assert isinstance(again.fed, PictureInput)
    assert again == spec and [type(value) for value in again.fed.constants.values()] == [int, float, bool, str, tuple]
    assert read_spec(constants(tmp_path)).fed.constants == {"gain": 2, "offset": (1.0, 2.0, 3.0)}

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput, ModelFailed
from infilink.models.inputs.audio import AudioInput
from infilink.models.inputs.form import InputForm
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import read_spec
from infilink.outputs import Array
from onnx import TensorProto, helper

from .kinds import pieces, save_model

FED = {"modality": "audio", "rate_hz": 8000}


def save_echo(path: Path, shape: list[int | str], dtype: int = TensorProto.FLOAT, **fed: object) -> Path:
    """The samples as they are fed."""
    nodes = [helper.make_node("Cast", ["sound"], ["out"], to=TensorProto.FLOAT)]
    spec = {"input": {**FED, **fed}, "output": {"kind": "vector", "length": 4}}
    return save_model(path, nodes, {"sound": (dtype, shape)}, {"out": shape}, spec)


def echoed(path: Path, value: Array) -> list[float]:
    found: list[float] = OnnxModel(path).infer(value).tolist()
    return found


@pytest.mark.parametrize("shape", [["n", 4], [1, 1, 4], [4]])
def test_a_sound_is_cut_or_followed_by_silence_in_every_shape_of_tensor(tmp_path: Path, shape: list[int | str]) -> None:
    path = save_echo(tmp_path / "echo.onnx", shape)
    assert read_spec(path).fed.length == 4, "as the graph says"
    assert echoed(path, np.array([0.5, -0.5], np.float32)) == [0.5, -0.5, 0, 0]
    assert echoed(path, np.linspace(0, 1, 9, dtype=np.float32)) == [0, 0.125, 0.25, 0.375]
    assert echoed(path, np.array([16384, -32768], np.int16)) == [0.5, -1, 0, 0]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.INT16])
def test_samples_are_whole_numbers_where_the_model_wants_them(tmp_path: Path, dtype: int) -> None:
    path = save_echo(tmp_path / "echo.onnx", ["n", 4], dtype, scale="int16")
    assert echoed(path, np.array([0.5, -1, 1], np.float32)) == [16384, -32768, 32767 + (dtype == TensorProto.FLOAT), 0]
    assert echoed(path, np.array([7, -9], np.int16)) == [7, -9, 0, 0]


def test_samples_are_normal_within_each_input_where_the_model_wants_that(tmp_path: Path) -> None:
    path = save_echo(tmp_path / "echo.onnx", ["n", 4], scale="normal")
    assert echoed(path, np.array([0.3, 0.5, 0.3, 0.5], np.float32)) == pytest.approx([-1, 1, -1, 1], abs=1e-3)
    assert echoed(path, np.zeros(4, np.float32)) == [0] * 4


@given(samples=st.lists(st.integers(-99, 99), min_size=1, max_size=40))
def test_every_sample_is_in_one_piece_with_those_before_it_ahead(samples: list[int]) -> None:
    fed = AudioInput(**FED, chunk=4, context=2)
    whole = np.array([0, 0, *samples, 0, 0, 0, 0], np.float32)
    found = fed._pieces(np.array(samples, np.float32))
    assert len(found) == -(-len(samples) // 4)
    for at, piece in enumerate(found):
        np.testing.assert_array_equal(piece, np.pad(whole, 4)[4 + 4 * at :][:6])


@pytest.mark.parametrize(("over", "expected"), [("last", 8.0), ("max", 10.0), ("mean", 19 / 3)])
def test_a_model_is_fed_piece_by_piece_and_remembers(tmp_path: Path, over: str, expected: float) -> None:
    # Six times the mean of six samples, the two before among them, and all that came before: 1, 10, 8.
    value = np.array([0, 0, 0, 1, 2, 2, 2, 2, -6, 0], np.float32)
    path = pieces(tmp_path, over=over)
    model = OnnxModel(path)
    for _ in range(2):
        assert model.infer(value).tolist() == [pytest.approx(expected)], "every input begins from nothing"
    assert not model.batches


@pytest.mark.parametrize(
    ("fed", "told"),
    [
        ({"state": {"state": "nowhere"}}, "has no output 'nowhere'"),
        ({"state": {"other": "stateN"}}, "has no input 'other'"),
        ({"constants": {}}, "also needs gain"),
        ({"constants": {"gain": 1.0, "other": 1}}, "has no input 'other'"),
        ({"constants": {"gain": "loud"}}, "takes tensor.float., not 'loud'"),
        ({"constants": {"gain": [1.0, 2.0]}}, "can't be .1.0, 2.0."),
        ({"name": "sound"}, "has no input 'sound'"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused(tmp_path: Path, fed: dict[str, object], told: str) -> None:
    with pytest.raises((InvalidInput, ModelFailed), match=told):
        OnnxModel(pieces(tmp_path, **fed)).infer(np.zeros(9, np.float32))


@pytest.mark.parametrize(
    ("fed", "told"),
    [
        ({"rate_hz": 0}, "rate_hz"),
        ({"context": 3}, "give `chunk`"),
        ({"state": {"a": "b"}}, "give `chunk`"),
        ({"chunk": 2, "context": 3}, "`context` must be at most"),
        ({"chunk": 2, "scale": "normal"}, "`scale` must be"),
    ],
)
def test_what_can_not_be_meant_is_refused(fed: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        AudioInput.model_validate({**FED, **fed})


def test_a_graph_that_takes_something_else_is_refused(tmp_path: Path) -> None:
    for shape, dtype, told in [
        ([1, 2, 4], TensorProto.FLOAT, "its spec makes"),
        ([1, 5], TensorProto.FLOAT, "its spec makes"),
        ([1, 4], TensorProto.INT16, '`input.scale` is "int16"'),
        ([1, 4], TensorProto.INT64, "sounds are fed as"),
    ]:
        with pytest.raises(InvalidInput, match=told):
            OnnxModel(save_echo(tmp_path / "echo.onnx", list(shape), dtype, length=4))


def test_a_stream_of_another_rate_or_window_does_not_fit() -> None:
    fed = AudioInput(**FED, length=400)
    fits = {"modality": "audio", "rate_hz": 8000}
    assert fed.fits(InputForm(**fits, window=400, stride=200)) == ""
    assert fed.fits(InputForm(**fits)) == "", "whole files are cut or filled up"
    assert "takes 8000 samples a second (`input.rate_hz`), and these come 16000" in fed.fits(
        InputForm(modality="audio", rate_hz=16000)
    )
    assert "come at no rate" in fed.fits(InputForm(modality="audio"))
    assert "takes 400 length" in fed.fits(InputForm(**fits, window=800, stride=800))

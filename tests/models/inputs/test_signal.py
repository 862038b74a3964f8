from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.signal import SignalInput
from infilink.models.onnx_model import OnnxModel
from infilink.models.process import ModelProcess
from infilink.models.spec import parse_spec, read_spec, write_spec
from onnx import TensorProto, helper

FED = {"modality": "signal", "channels": ["x", "y", "z"], "mean": [1.0], "std": [2.0]}
SPEC = {
    "name": "shake",
    "input": {**FED, "steps": 8},
    "output": {"kind": "vector", "length": 3},
}


def save(path: Path, shape: list[int | str], *, spec: dict[str, object] = SPEC) -> Path:
    """The mean of each channel."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["signal"], ["out"], axes=[2], keepdims=0)],
        "shake",
        [helper.make_tensor_value_info("signal", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [shape[0], shape[1]])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    write_spec(path, parse_spec(spec, where="test"))
    return path


def test_a_model_is_fed_a_window_of_channels(tmp_path: Path) -> None:
    model = OnnxModel(save(tmp_path / "shake.onnx", ["n", 3, 8]))
    window = np.arange(24, dtype=np.float32).reshape(8, 3)
    np.testing.assert_allclose(model.infer(window), (window.mean(axis=0) - 1) / 2, rtol=1e-6)
    one, two = model.infer_batch([window, 2 * window])
    assert isinstance(two, np.ndarray) and isinstance(one, np.ndarray)
    np.testing.assert_allclose(two, (2 * window.mean(axis=0) - 1) / 2, rtol=1e-6)


def test_it_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    with ModelProcess(save(tmp_path / "shake.onnx", [1, 3, 8])) as process:
        assert process.infer(np.ones((8, 3), np.float32)).value.tolist() == [0.0, 0.0, 0.0]
        with pytest.raises(InvalidInput, match=r"8 steps \(`input.steps`\), not 7"):
            process.infer(np.ones((7, 3), np.float32))
        with pytest.raises(InvalidInput, match=r"floats of shape \(steps, 3\)"):
            process.infer(np.ones((8, 2), np.float32))


@pytest.mark.parametrize("shape", [[1, 4, 8], [1, 3, 9], [1, 3, 8, 1]])
def test_a_graph_that_takes_something_else_is_refused(tmp_path: Path, shape: list[int]) -> None:
    with pytest.raises(InvalidInput, match=r"`input.channels`, `input.steps`"):
        OnnxModel(save(tmp_path / "shake.onnx", list(shape)))


@pytest.mark.parametrize("wrong", [{"std": [0.0]}, {"mean": [1.0, 2.0]}, {"channels": []}, {"steps": -1}])
def test_what_can_not_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SignalInput.model_validate({"modality": "signal", "channels": ["x", "y", "z"], **wrong})


def test_a_stream_of_other_channels_another_rate_or_window_does_not_fit(tmp_path: Path) -> None:
    channels = {"channels": ("x", "y", "z"), "rate_hz": 32, "window": 8, "stride": 4}
    spec = read_spec(save(tmp_path / "shake.onnx", [1, 3, 8], spec={**SPEC, "input": {**FED, "rate_hz": 32}}))
    assert spec.fits(InputForm(modality="signal", **channels)) == ""
    assert spec.fits(InputForm(modality="signal", **{**channels, "channels": ()})) == "", "they have no names"
    for other, told in [
        ({"channels": ("z", "y", "x")}, "it reads x, y, z (`input.channels`), and these are z, y, x"),
        ({"rate_hz": 50}, "and these come 50 a second"),
        ({"window": 16, "stride": 4}, "it takes 8 steps (`input.steps`), and a window has 16"),
        ({"window": 0, "stride": 0}, "give a `window`"),
    ]:
        assert told in spec.fits(InputForm(modality="signal", **{**channels, **other}))

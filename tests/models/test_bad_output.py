"""An output that can't be used is that one input's matter: the model and its process go on."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import BadOutput, ModelFailed
from infilink.models.cost import measure_cost
from infilink.models.onnx_model import OnnxModel, try_out
from infilink.models.process import ModelProcess
from infilink.models.supervisor import Supervisor
from infilink.outputs import Array

from .made import write_class_by_light, write_nan_on_black, write_shorter_on_black

INPUT = "[input]\nsize = [16, 16]\nstd = [1.0]\n"
LABEL = INPUT + "[output]\nkind = 'label'\nclasses = 2\n"
BOXES = INPUT + "[output]\nkind = 'boxes'\nclasses = 'coco'\n[decoder]\nname = 'boxes'\n"


def grey(value: int) -> Array:
    return np.full((24, 32, 3), value, np.uint8)


@pytest.fixture(params=["classifier", "detector"])
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Array, Array, str]:
    """A model, an input that it has no usable output for, one that it has, and what is said of the first."""
    if request.param == "classifier":
        path = write_nan_on_black(tmp_path / "night.onnx")
        path.with_suffix(".toml").write_text(LABEL)
        return path, grey(0), grey(9), "night: a label output holds NaN or infinity"
    path = write_class_by_light(tmp_path / "lamp.onnx")
    path.with_suffix(".toml").write_text(BOXES)
    return path, grey(90), grey(2), "lamp: a boxes output's class indices must be whole numbers from 0 to 79, not 90.0"


def test_it_is_an_error_of_its_own_that_crosses_the_pipe_and_the_process_goes_on(faulty) -> None:
    path, bad, good, told = faulty
    with closing(ModelProcess(path).load(warm_up=False)) as process:
        pid, before = process.pid, process.infer(good).value
        for _ in range(2):
            with pytest.raises(BadOutput) as caught:
                process.infer(bad)
            assert str(caught.value) == told
            assert np.array_equal(process.infer(good).value, before)
        assert process.pid == pid


def test_another_shape_is_that_inputs_matter_once_the_model_was_seen_to_fit(tmp_path: Path) -> None:
    path = write_shorter_on_black(tmp_path / "night.onnx")
    path.with_suffix(".toml").write_text(LABEL)
    model = OnnxModel(path)
    with pytest.raises(ModelFailed, match="can't read its outputs") as caught:
        model.infer(grey(0))
    assert not isinstance(caught.value, BadOutput)
    model.infer(grey(9))
    with pytest.raises(BadOutput, match=r"night: a label output must have shape \(2,\)"):
        model.infer(grey(0))


def test_a_supervised_model_is_not_started_again_for_it(faulty) -> None:
    path, bad, good, _ = faulty
    model = Supervisor("m", path, repeat=True)
    model.load(warm_up=False)
    try:
        for frame in (bad, good, bad):
            if frame is good:
                model.infer(frame)
            else:
                with pytest.raises(BadOutput):
                    model.infer(frame)
        assert (model.loads, model.executions, model.state) == (1, 1, "loaded")
    finally:
        model.unload()


def test_a_spec_that_does_not_fit_is_no_bad_output(tmp_path: Path) -> None:
    path = write_nan_on_black(tmp_path / "night.onnx")
    path.with_suffix(".toml").write_text(LABEL.replace("2", "3"))
    with pytest.raises(ModelFailed, match=r"must have shape \(3,\)") as caught:
        OnnxModel(path).infer(grey(9))
    assert not isinstance(caught.value, BadOutput)


def test_a_model_is_tried_on_noise_where_it_has_nothing_to_say_of_grey() -> None:
    seen = []

    def infer(frame: Array) -> Array:
        seen.append(float(frame.std()))
        if not frame.std():
            raise BadOutput("a flat picture")
        return frame

    samples = [np.full((8, 8, 3), 114, np.uint8), np.arange(192, dtype=np.uint8).reshape(8, 8, 3)]
    assert try_out(infer, samples).std() > 0 and seen[0] == 0 < seen[1]
    with pytest.raises(BadOutput, match="never"):
        try_out(lambda _frame: (_ for _ in ()).throw(BadOutput("never")), samples)


def test_what_a_model_costs_is_measured_on_such_inputs_too(tmp_path: Path) -> None:
    path = write_nan_on_black(tmp_path / "night.onnx")
    path.with_suffix(".toml").write_text(LABEL)
    cost = measure_cost(path, [grey(0), grey(0), grey(9)])
    assert cost.infer_s > 0 and cost.memory_bytes > 2**20

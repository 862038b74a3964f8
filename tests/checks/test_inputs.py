"""What every kind of input must do for a model, found by `KINDS`."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from infilink.cloud.model_store import ModelStore, Source, spec_toml
from infilink.cloud.runtime.input_pool import InputPool
from infilink.codec import pack, unpack
from infilink.errors import InvalidInput
from infilink.models.cost import measure_cost
from infilink.models.onnx_model import OnnxModel, try_out
from infilink.models.process import ModelProcess
from infilink.models.process_child import FRAME, take
from infilink.models.shared_memory import SharedReader, SharedWriter
from infilink.models.spec import parse_spec, read_spec
from infilink.outputs import Array

from ..models.inputs.kinds import KINDS, Kind

WRONG = {
    "too many dimensions": np.zeros((2, 2, 2, 2, 2), np.float32),
    "whole numbers of a kind that is never an input": np.zeros(3, np.int64),
    "fields that nobody asked for": np.zeros((), [("other", np.float32, (3,)), ("another", np.uint8, (3,))]),
}


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def path(kind: Kind, tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return kind.save(tmp_path / "models")


@pytest.fixture
def inputs(kind: Kind) -> list[Array]:
    random = np.random.default_rng(7)
    return [kind.draw(random) for _ in range(6)]


def equal(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def test_its_spec_is_the_same_read_from_toml_and_from_json(path: Path, kind: Kind) -> None:
    spec = read_spec(path)
    assert parse_spec(tomllib.loads(spec_toml(spec)), where="toml") == spec
    assert parse_spec(spec.model_dump(mode="json"), where="json") == spec
    assert OnnxModel(path).spec == spec


def test_a_model_answers_the_inputs_that_it_is_tried_with(path: Path) -> None:
    model = OnnxModel(path)
    for value in model.spec.fed.samples():
        model.spec.fed.check(value)
    assert np.isfinite(try_out(model.infer, model.spec.fed.samples())).all()


def test_several_at_once_are_answered_as_each_alone(path: Path, kind: Kind, inputs: list[Array]) -> None:
    model = OnnxModel(path)
    assert model.batches == kind.batches
    if kind.batches:
        for value, found in zip(inputs, model.infer_batch(inputs), strict=True):
            np.testing.assert_allclose(found, model.infer(value), rtol=1e-5)


def test_a_process_answers_as_the_model_does(path: Path, inputs: list[Array]) -> None:
    model = OnnxModel(path)
    before = [value.tobytes() for value in inputs]
    with ModelProcess(path) as process:
        for value in inputs:
            np.testing.assert_array_equal(process.infer(value).value, model.infer(value))
    assert [value.tobytes() for value in inputs] == before, "inputs are left as they were"


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_no_such_input_is_refused(path: Path, wrong: Array) -> None:
    model = OnnxModel(path)
    for look in (model.spec.fed.check, model.infer):
        with pytest.raises(InvalidInput, match="must"):
            look(wrong)


def test_a_stream_of_such_inputs_fits_and_one_of_another_kind_does_not(path: Path, kind: Kind, inputs) -> None:
    spec = read_spec(path)
    for value in inputs:
        kind.form.check(value)
        spec.fed.check(value)
    assert spec.fits(kind.form) == ""
    for other in KINDS.values():
        if other.form.modality != kind.form.modality:
            assert spec.fits(other.form)


def test_it_is_the_same_after_a_file_and_in_shared_memory(inputs: list[Array]) -> None:
    writer, reader, pool = SharedWriter(), SharedReader(), InputPool(2**20)
    for value in inputs:
        assert equal(unpack(pack(value)), value)
        large = np.concatenate([value] * 2000) if value.ndim else value
        for given in (value, large):
            assert equal(reader.read(writer.write(given)), given)
            held = pool.copy({FRAME: given})
            assert equal(take(reader, held.sent)[FRAME], given)
    writer.close()
    pool.close()


def test_a_coordinator_runs_a_copy_that_needs_nothing_beside_the_original(path: Path, tmp_path: Path, inputs) -> None:
    expected = OnnxModel(path).infer(inputs[0])
    with ModelStore(tmp_path / "copies") as store:
        model = store.take(Source(path))
        for file in path.parent.iterdir():
            file.unlink()
        np.testing.assert_array_equal(OnnxModel(model.path).infer(inputs[0]), expected)


def test_what_it_costs_can_be_measured(path: Path) -> None:
    cost = measure_cost(path, read_spec(path).fed.samples())
    assert cost.memory_bytes > 2**20 and cost.infer_s > 0

"""What every modality must do, found by `MODALITIES`; `tests/filters/arrays.py` draws the inputs of each."""

import numpy as np
import pytest
import torch
from infilink.errors import InvalidInput
from infilink.filters.modalities import MODALITIES, Modality, fit_modality
from infilink.filters.modalities.descriptor import Descriptor
from infilink.models.inputs.joint import join
from infilink.outputs import Array
from pydantic import BaseModel, TypeAdapter

from ..filters.arrays import make

JOINT = ("signal+text", "image+map")
DESCRIBED = ("image", "audio", "text", "signal", "map")
ALL = (*MODALITIES, *JOINT, *(f"descriptor of {kind}" for kind in DESCRIBED))
NETS = [(name, net) for name in (*MODALITIES, *JOINT) for net in ("ours", "paper")] + [("map", "filterforward")]


def draw(name: str, random: np.random.Generator) -> Array:
    """An input of a modality, or of what a descriptor describes."""
    kinds = name.removeprefix("descriptor of ").split("+")
    made = [make(kind, int(random.integers(2)), random) for kind in kinds]
    return join(**{f"part{i}": part for i, part in enumerate(made)}) if len(made) > 1 else made[0]


def fit(name: str, values: list[Array], *, net: str = "ours") -> BaseModel:
    """The modality of that name."""
    if not name.startswith("descriptor of "):
        return fit_modality(name, values, net=net)
    kind = name.removeprefix("descriptor of ")
    return Descriptor(inner=None if kind == "image" else fit_modality(kind, values))


@pytest.fixture(params=ALL)
def name(request) -> str:
    return request.param


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def inputs(name, random) -> list[Array]:
    return [draw(name, random) for _ in range(12)]


@pytest.fixture
def fitted(name, inputs):
    return fit(name, inputs)


def test_what_is_prepared_has_the_shape_and_dtype_that_it_states_and_is_finite(fitted, inputs):
    for value in inputs:
        prepared = fitted.prepare(value)
        assert prepared.shape == fitted.shape and prepared.dtype == np.dtype(fitted.dtype)
        assert np.isfinite(prepared).all()


def test_an_input_is_left_as_it_was(name, fitted, inputs):
    before = [value.tobytes() for value in inputs]
    fit(name, inputs)
    for value in inputs:
        fitted.prepare(value)
    assert [value.tobytes() for value in inputs] == before


def test_the_same_input_is_prepared_the_same_also_by_what_was_read_from_a_file(name, fitted, inputs):
    again = fit(name, inputs)
    read = TypeAdapter(Modality).validate_json(fitted.model_dump_json())
    assert read == again == fitted and type(read) is type(fitted)
    for value in inputs:
        prepared = fitted.prepare(value)
        fitted.prepare(inputs[0])
        for other in (fitted, again, read):
            assert np.array_equal(other.prepare(value), prepared)


def test_one_input_is_enough_to_fit(name, inputs):
    fitted = fit(name, inputs[:1])
    assert fitted.prepare(inputs[1]).shape == fitted.shape


def test_what_is_augmented_keeps_its_shape_and_its_source_and_follows_the_seed(fitted, inputs):
    batch = np.stack([fitted.prepare(value) for value in inputs])
    before = batch.tobytes()
    first, again = (fitted.augment(batch, np.random.default_rng(1)) for _ in range(2))
    assert batch.tobytes() == before
    assert first.shape == batch.shape and first.dtype == batch.dtype and np.isfinite(first).all()
    assert np.array_equal(first, again)


@pytest.mark.parametrize("wrong", [np.zeros((2, 2, 2, 2, 2), np.float32), np.full((5, 77), np.nan, np.float32)])
def test_what_is_no_such_input_is_refused(name, fitted, wrong):
    with pytest.raises(InvalidInput, match="must"):
        fitted.prepare(wrong)
    if not name.startswith("descriptor"):
        with pytest.raises(InvalidInput):
            fit(name, [wrong])


@pytest.mark.parametrize(("name", "net"), NETS)
def test_its_encoder_makes_of_what_is_prepared_as_many_features_as_it_says(name, net, inputs):
    fitted = fit(name, inputs, net=net)
    encoder, features = fitted.encoder()
    with torch.no_grad():
        found = encoder.eval()(torch.from_numpy(np.stack([fitted.prepare(value) for value in inputs[:2]])))
    assert found.shape == (2, features) and torch.isfinite(found).all()

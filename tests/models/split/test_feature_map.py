"""A map as it travels: what comes back is what was sent, to half a step, and damage is an error."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from infilink.errors import InvalidInput
from infilink.models.split.feature_map import TRANSFERS, MapFormat

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=6).map(lambda shape: (1, *shape))
FLOATS = st.floats(-1e4, 1e4, width=32)


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=FLOATS)), st.sampled_from(TRANSFERS))
def test_what_comes_back_is_near_what_was_sent(value, transfer):
    form = MapFormat(value.shape, "float32", transfer)
    packed = form.pack(value)
    back = form.unpack(packed)
    assert back.dtype == np.float32 and back.shape == value.shape
    if not transfer.endswith("zlib"):
        assert len(packed) == form.size_bytes
    rows = value.reshape(form.channels, -1).astype(np.float64)
    steps = (rows.max(axis=1) - rows.min(axis=1)) / 255
    allowed = {"float32": 0.0, "float16": np.abs(rows) / 1024 + 1e-7}.get(transfer, steps[:, None] * 0.51 + 1e-2)
    assert (np.abs(back.reshape(rows.shape) - rows) <= allowed).all()


@given(SHAPES.flatmap(lambda shape: hnp.arrays(st.sampled_from([np.uint8, np.int8]), shape)))
def test_a_map_of_bytes_travels_as_it_is(value):
    for transfer in ("uint8", "uint8+zlib"):
        form = MapFormat(value.shape, value.dtype.name, transfer)
        np.testing.assert_array_equal(form.unpack(form.pack(value)), value)


def test_each_channel_has_a_scale_of_its_own():
    value = np.random.default_rng(0).random((1, 2, 4, 4), np.float32) * np.asarray([1, 1000], np.float32)[:, None, None]
    form = MapFormat(value.shape, "float32", "uint8")
    back = form.unpack(form.pack(value))
    assert np.abs(back - value)[0, 0].max() < 0.005 < np.abs(back - value)[0, 1].max() < 2.1


def test_a_channel_that_is_all_one_number_comes_back_as_it_is():
    value = np.full((1, 2, 3, 3), 7.25, np.float32)
    form = MapFormat(value.shape, "float32", "uint8+zlib")
    np.testing.assert_array_equal(form.unpack(form.pack(value)), value)


def test_a_graph_of_halves_gets_halves_back():
    value = np.linspace(-1, 1, 18, dtype=np.float16).reshape(1, 2, 3, 3)
    form = MapFormat(value.shape, "float16", "float16")
    np.testing.assert_array_equal(form.unpack(form.pack(value)), value)
    assert (
        MapFormat(value.shape, "float16", "uint8").unpack(MapFormat(value.shape, "float16", "uint8").pack(value)).dtype
        == np.float16
    )


def test_floats_for_a_map_of_bytes_are_refused():
    with pytest.raises(InvalidInput, match="choose uint8"):
        MapFormat((1, 2), "uint8", "float16")


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_what_is_no_map_is_refused(transfer):
    form = MapFormat((1, 2, 3, 3), "float32", transfer)
    with pytest.raises(InvalidInput, match="a map here is"):
        form.pack(np.zeros((1, 2, 3, 4), np.float32))
    packed = form.pack(np.ones((1, 2, 3, 3), np.float32))
    for damaged in (b"", packed[:-5], b"x" * len(packed)):
        if transfer in ("float32", "float16", "uint8") and len(damaged) == len(packed):
            continue
        with pytest.raises(InvalidInput):
            form.unpack(damaged)


@pytest.mark.parametrize(("transfer", "number"), [("uint8", np.nan), ("float32", np.inf), ("float16", 1e6)])
def test_numbers_that_can_not_travel_are_refused(transfer, number):
    with pytest.raises(InvalidInput, match="NaN"):
        MapFormat((1, 2), "float32", transfer).pack(np.asarray([[0, number]], np.float32))


def test_a_bomb_is_not_unpacked():
    form = MapFormat((1, 4), "float32", "uint8+zlib")
    with pytest.raises(InvalidInput, match=f"has {form.size_bytes} bytes, not {form.size_bytes + 1}"):
        form.unpack(zlib.compress(b"\0" * 10**7))

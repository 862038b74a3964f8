"""Features on the wire: a byte each, as exact as what reads them needs, and nothing else is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2
from infilink.protos.features import FURTHEST, FeatureRange

LENGTH = 384
RANDOM = np.random.default_rng(0)
MEAN = RANDOM.normal(size=LENGTH).astype(np.float32)
# Some features change a thousand times as much as others, and one not at all.
DEVIATION = (10.0 ** RANDOM.uniform(-3, 0, LENGTH)).astype(np.float32)
DEVIATION[7] = 0.0
RANGE = FeatureRange.of(MEAN, DEVIATION)


def travelled(features):
    return edge_pb2.Features.FromString(RANGE.write(features).SerializeToString())


def test_every_feature_is_as_exact_as_its_own_deviation_allows_in_400_bytes():
    features = (MEAN + RANDOM.normal(size=LENGTH).clip(-FURTHEST, FURTHEST) * DEVIATION).astype(np.float32)
    message = travelled(features)
    assert message.ByteSize() < 400
    found = RANGE.read(message)
    assert found.dtype == np.float32 and found[7] == MEAN[7]
    assert (np.abs(found - features) <= 0.51 * FURTHEST / 127 * DEVIATION + 1e-6).all()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_what_is_far_off_is_cut_where_its_readers_cut_it(value):
    features = MEAN.copy()
    features[3] = value
    found = RANGE.read(travelled(features))
    assert abs(found[3] - MEAN[3]) <= FURTHEST * DEVIATION[3] * 1.001 and np.isfinite(found).all()


def test_the_range_survives_the_wire():
    message = edge_pb2.FeatureRange.FromString(RANGE.as_message().SerializeToString())
    found = FeatureRange.from_message(message, LENGTH)
    assert found.name == RANGE.name
    np.testing.assert_array_equal(found.mean, RANGE.mean)
    np.testing.assert_array_equal(found.step, RANGE.step)


@pytest.mark.parametrize(
    ("mean", "step", "told"),
    [
        (np.zeros(3), np.zeros(4), "have 3 numbers, those of this stem 4"),
        (np.zeros(4), np.full(4, -1.0), "numbers that none can be"),
        (np.full(4, np.nan), np.ones(4), "numbers that none can be"),
        (np.zeros(4), np.full(4, np.inf), "numbers that none can be"),
    ],
)
def test_a_range_that_is_none_is_refused(mean, step, told):
    with pytest.raises(InvalidInput, match=told):
        FeatureRange.from_message(FeatureRange(mean, step).as_message(), 4)


def test_features_that_are_none_are_not_sent():
    for features in (MEAN[:-1], np.full(LENGTH, np.nan, np.float32)):
        with pytest.raises(InvalidInput, match="must be 384 finite numbers"):
            RANGE.write(features)


def test_features_of_another_length_or_range_are_not_read():
    message = travelled(MEAN)
    other = FeatureRange.of(MEAN + 1, DEVIATION)
    with pytest.raises(InvalidInput, match=f"range '{RANGE.name}', not '{other.name}': the links have changed"):
        other.read(message)
    message.values = message.values + b"0"
    with pytest.raises(InvalidInput, match="385 values, not 384"):
        RANGE.read(message)

"""Reducto's differences: nothing differs from itself, and each grows with what it measures."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.filters.modalities.stream import LOW_LEVEL, SIDE, LowLevel


def differences(picture: np.ndarray, reference: np.ndarray, names=LOW_LEVEL) -> tuple[float, ...]:
    compared = LowLevel(names)
    return compared.compare(compared.features(picture), compared.features(reference))


def square(x: int, size: int) -> np.ndarray:
    picture = np.full((SIDE, SIDE), 60, np.uint8)
    picture[20 : 20 + size, x : x + size] = 200
    return picture


@given(st.integers(0, 2**32 - 1))
def test_a_picture_does_not_differ_from_itself(seed):
    picture = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    assert differences(picture, picture) == (0.0, 0.0, 0.0, 0.0)


def test_a_larger_change_is_a_larger_difference():
    empty = square(30, 0)
    small, large = differences(square(30, 8), empty), differences(square(30, 24), empty)
    assert all(0 < a <= 1 for a in small)
    assert large[0] > small[0] and large[1] > small[1] and large[2] > small[2]


def test_two_small_regions_are_no_large_one():
    both = square(10, 10)
    both[80:90, 80:90] = 200
    pixel, area, _, _ = differences(both, square(30, 0))
    single = differences(square(10, 10), square(30, 0))
    assert area == single[1]
    assert pixel > 1.5 * single[0]


def test_what_is_not_wanted_stays_0():
    a, b = square(30, 24), square(30, 0)
    whole = differences(a, b)
    assert differences(a, b, ("area",)) == (whole[0], whole[1], 0.0, 0.0)
    assert differences(a, b, ("corner",)) == (whole[0], 0.0, 0.0, whole[3])

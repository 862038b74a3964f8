"""What a model usually says on a stream: the learnt constant at first, then what its outputs agree with the most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.answer import Exact
from infilink.links.expectation.usual import KEPT, Usual
from infilink.outputs import Array, OutputSpec

COUNT = OutputSpec(kind="count")
BOXES = OutputSpec(kind="boxes", classes=("car",))


def _exact(number: float) -> Exact:
    value = np.asarray([number], np.float32)
    return Exact(value, value)


def _box(left: float) -> Exact:
    value = np.asarray([[left, 0.1, left + 0.2, 0.3, 0.9, 0.0]], np.float32)
    return Exact(value, value.ravel())


def test_a_stream_that_says_as_the_recording_did_keeps_the_learnt_constant() -> None:
    usual = Usual(COUNT, _exact(2), 0.7)
    assert (usual.adapted, usual.share) == (False, 0.7)
    for number in (2, 3, 2, 2, 1, 2):
        usual.observe(_exact(number))
        assert not usual.adapted
    assert 0.6 < usual.share < 0.8


@pytest.mark.parametrize(
    ("output", "constant", "other"), [(COUNT, _exact(2), _exact(5)), (BOXES, _box(0.1), _box(0.6))]
)
def test_a_stream_that_says_otherwise_moves_it_to_the_most_typical_output(
    output: OutputSpec, constant: Exact, other: Exact
) -> None:
    usual = Usual(output, constant, 0.9)
    usual.observe(other)
    assert not usual.adapted, "once may be by chance"
    for _ in range(10):
        usual.observe(other)
    assert usual.adapted
    assert np.array_equal(usual.exact.value, other.value)
    assert usual.share > 0.6


def test_of_outputs_that_flicker_it_is_the_most_frequent_not_the_last() -> None:
    usual = Usual(COUNT, _exact(2), 0.3)
    for number in (5, 5, 6, 5, 5, 7, 5, 5, 4):
        usual.observe(_exact(number))
    assert usual.exact.value[0] == 5


@given(st.lists(st.integers(0, 3), max_size=60), st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_whatever_comes_the_share_is_one_and_few_are_kept(numbers: list[int], reached: float) -> None:
    usual = Usual(COUNT, _exact(0), reached)
    said: set[float] = {0.0}
    for number in numbers:
        usual.observe(_exact(number))
        said.add(float(number))
        assert 0.0 <= usual.share <= 1.0
        assert _value(usual.exact.value) in said
    assert len(usual._candidates) <= KEPT + 1


def _value(value: Array) -> float:
    return float(value[0])

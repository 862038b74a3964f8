"""The size of a batch follows what was measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.runtime.batching import Batching, few


def trained(batching, took_s):
    """One that has run many groups of each size that it chose."""
    for _ in range(300):
        size = batching.choose(64)
        batching.ran(size, took_s(size))
    return batching


@pytest.mark.parametrize(
    ("took_s", "best"),
    [
        (lambda size: 0.010 * size, 1),
        (lambda size: 0.010 + 0.0001 * size, 16),
        (lambda size: 0.010 if size <= 4 else 0.01 * size, 4),
    ],
    ids=["it saves nothing", "it costs next to nothing", "up to four"],
)
def test_the_size_is_taken_that_answers_most(took_s, best):
    batching = trained(Batching(16), took_s)
    assert batching.choose(64) == best
    assert batching.choose(1) == 1


def test_preferred_sizes_are_the_only_ones_beside_one():
    batching = trained(Batching(16, preferred=(6, 12, 99)), lambda size: 0.01)
    assert set(batching.took_s) == {1, 6, 12} and batching.choose(64) == 12 and batching.choose(11) == 6


def test_what_was_slow_once_is_tried_again():
    batching = trained(Batching(8), lambda size: 0.01 * size)
    for _ in range(3000):
        size = batching.choose(8)
        batching.ran(size, 0.01)
    assert batching.choose(8) == 8


@given(most=st.integers(1, 64), waiting=st.integers(1, 200), took_s=st.lists(st.floats(0.001, 1.0), min_size=9))
def test_it_is_never_more_than_wait_or_may_be(most, waiting, took_s):
    batching = Batching(most)
    for seconds in took_s:
        size = batching.choose(waiting)
        assert 1 <= size <= min(most, waiting)
        batching.ran(size, seconds)


def test_inputs_wait_for_others_until_the_largest_batch_is_full():
    batching = Batching(4, delay_s=0.1)
    assert batching.wait_s(3, 0.02) == pytest.approx(0.08)
    assert batching.wait_s(4, 0.02) == 0 == batching.wait_s(1, 0.2)


def test_short_ones_go_together_and_long_ones_alone():
    assert few(100, 0.0001) == 16 and few(3, 0.0001) == 3 and few(100, 0.02) == 1 and few(100, 0.0) == 1
    assert few(5, 0.003) == 2 and few(5, 0.001, free=2) == 3 and few(2, 0.001, free=2) == 1, "each process its share"

"""What a stream's comparisons show: nothing at first, bounded always, and right in the end."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.expectation.expectation import WAYS
from infilink.links.expectation.live import LiveExpectation

TARGETS = ("cars", "people")


def test_before_anything_was_compared_nothing_moves() -> None:
    live = LiveExpectation(TARGETS)
    assert live.shifts().tolist() == [[0.0] * 3] * 2
    assert live.rank(3.0) == 0.0, "no scores are known yet"


@given(
    st.lists(st.tuples(st.sampled_from(WAYS), st.floats(-6, 6), st.floats(0, 1), st.floats(-1, 1)), max_size=60),
    st.floats(-1, 1),
)
@settings(deadline=None, max_examples=40)
def test_whatever_comes_it_stays_bounded(seen: list[tuple[str, float, float, float]], rank: float) -> None:
    live = LiveExpectation(TARGETS)
    for way, odds, agreement, at in seen:
        live.observe("cars", way, odds, agreement, rank=at)
    shifts = live.shifts(rank)
    assert np.isfinite(shifts).all() and (np.abs(shifts) <= 4.0).all()
    assert not shifts[1].any(), "the other model was never compared"


def test_an_answer_that_agrees_less_than_was_learnt_is_expected_less_and_recovers() -> None:
    live = LiveExpectation(TARGETS)
    for _ in range(100):
        live.observe("cars", "held", 1.0, 0.0)
    worst = live.shifts()[0]
    assert worst[0] < -1.0 and worst[1] == worst[2] == 0.0
    for _ in range(300):
        live.observe("cars", "held", 1.0, 0.73)
    assert abs(live.shifts()[0, 0]) < 0.3


@pytest.mark.parametrize("way", WAYS)
def test_a_way_that_is_wrong_here_falls_within_three_comparisons(way: str) -> None:
    live = LiveExpectation(TARGETS)
    for _ in range(3):
        live.observe("cars", way, 2.0, 0.0)
    assert live.shifts()[0, WAYS.index(way)] < -1.5, "expected .88, now not even .65"


def test_on_an_unknown_camera_links_have_to_show_first_that_they_hold() -> None:
    live = LiveExpectation(TARGETS)
    live.unknown = True
    assert live.shifts().tolist() == [[0.0, -2.0, 0.0]] * 2
    for _ in range(20):
        live.observe("cars", "linked", 1.5, 0.9)
    held, linked, constant = live.shifts()[0]
    assert (held, constant) == (0.0, 0.0)
    assert linked > -0.3


def test_a_score_counts_for_as_much_as_it_told_whatever_its_scale() -> None:
    rng = np.random.default_rng(0)
    found = []
    for scale in (lambda x: x, lambda x: -100.0 + 1e4 * x**3):
        live = LiveExpectation(TARGETS)
        for value in rng.random(400):
            rank = live.rank(scale(value))
            live.observe("people", "held", 0.0, float(value < 0.5), rank=rank)
            live.saw(scale(value))
        found.append(live.shifts(1.0)[1, 0] - live.shifts(-1.0)[1, 0])
        assert live.shifts(1.0)[1, 2] == 0.0
    assert max(found) < -1.5


def test_it_goes_on_where_it_was() -> None:
    live, again = LiveExpectation(TARGETS), LiveExpectation(TARGETS)
    for number in range(30):
        live.saw(float(number))
        live.observe("cars", "linked", 0.3, 0.1, rank=0.5)
    again.restore(json.loads(json.dumps({name: array.tolist() for name, array in live.as_arrays().items()})))
    assert np.array_equal(again.shifts(0.3), live.shifts(0.3)) and again.rank(7.5) == live.rank(7.5)
    assert max(array.size for array in live.as_arrays().values()) <= 64
    with pytest.raises(InvalidInput, match="other models"):
        LiveExpectation(("cars",)).restore(live.as_arrays())
    with pytest.raises(InvalidInput, match="damaged"):
        again.restore({})

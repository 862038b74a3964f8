"""What is expected of answers: drawn to what is known where little was seen, and better than a table where more was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.expectation.expectation import KNOTS_S, PRIOR, WAYS, Cases, Expectation
from infilink.links.expectation.logistic import fit_logistic, log_odds, probability

HELD = np.linspace(0.95, 0.5, len(KNOTS_S))


def cases(count: int, *, seed: int = 0) -> Cases:
    """Held answers agree exactly as often as predictions expect, whatever their age."""
    rng = np.random.default_rng(seed)
    ages_s = np.exp(rng.uniform(np.log(0.2), np.log(60.0), count))
    expected = rng.uniform(0.05, 0.95, (count, len(WAYS)))
    agreements = (rng.random((count, len(WAYS))) < expected).astype(float)
    return Cases(ages_s, expected, np.full(count, np.nan), agreements)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.05, 200.0), st.booleans())
@settings(deadline=None, max_examples=50)
def test_what_is_expected_to_agree_more_does(less: float, more: float, age_s: float, told: bool) -> None:
    less, more = sorted((less, more))
    one = Expectation(HELD, 0.6, np.zeros(2), PRIOR)
    expected = np.asarray([[less] * 3, [more] * 3])
    odds = one.log_odds(np.full(2, age_s), expected, np.full(2, np.nan), told=told)
    assert (odds[1] >= odds[0]).all()
    assert ((probability(odds) > 0) & (probability(odds) < 1)).all()


@given(st.floats(0.0, 3.0), st.floats(0.0, 3.0), st.booleans())
@settings(deadline=None, max_examples=50)
def test_the_further_an_input_moved_the_less_is_held(less: float, more: float, told: bool) -> None:
    less, more = sorted((less, more))
    one = Expectation(HELD, 0.6, np.asarray([-1.0, 0.3]), PRIOR)
    odds = one.log_odds(np.full(2, 2.0), np.full((2, 3), 0.7), np.asarray([less, more]), told=told)
    assert odds[0, 0] >= odds[1, 0]


def test_from_few_cases_it_stays_near_what_is_common_and_from_many_it_is_calibrated() -> None:
    none = Expectation.fit(HELD, 0.6, {}, inputs=100)
    assert np.array_equal(none.weights, PRIOR)
    later = cases(4000, seed=1)

    def loss(one: Expectation) -> float:
        p = probability(one.log_odds(later.ages_s, later.expected, later.moved, told=True))
        return float(((p - later.agreements) ** 2).mean())

    many = Expectation.fit(HELD, 0.6, {True: cases(2000)}, inputs=2000)
    best = float((later.expected * (1.0 - later.expected)).mean())
    assert best - 0.01 < loss(many) < loss(none)
    again = Expectation.fit(HELD, 0.6, {}, inputs=100, prior=many)
    assert np.array_equal(again.weights, many.weights)
    few = Expectation.fit(HELD, 0.6, {True: cases(2000)}, inputs=10)
    moved = [float(np.abs(one.weights - PRIOR).sum()) for one in (few, many)]
    assert moved[0] < 0.5 * moved[1], "many cases of few inputs"


def test_it_survives_a_file() -> None:
    one = Expectation.fit(HELD, 0.6, {True: cases(100)}, inputs=100)
    again = Expectation.from_arrays(one.as_arrays("x"), "x")
    assert again is not None and np.array_equal(again.weights, one.weights) and again.constant == 0.6
    assert Expectation.from_arrays({}, "x") is None


def test_a_regression_finds_the_odds_it_was_made_with() -> None:
    rng = np.random.default_rng(0)
    read = np.stack([rng.normal(size=20_000), np.ones(20_000)], axis=1)
    agreed = (rng.random(20_000) < probability(read @ np.asarray([1.5, -0.5]))).astype(float)
    assert fit_logistic(read, agreed, np.zeros(2), pull=1e-4) == pytest.approx([1.5, -0.5], abs=0.1)
    assert fit_logistic(read, agreed, np.zeros(2), pull=1e4) == pytest.approx([0.0, 0.0], abs=0.01)
    assert probability(log_odds(np.asarray([0.3, 0.9]))) == pytest.approx([0.3, 0.9])

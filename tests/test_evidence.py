"""Bounds hold as often as they say; the sequential test is seldom wrong, and soon right when something changed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.evidence import (
    SequentialTest,
    autocorrelation_time,
    betting,
    clopper_pearson,
    inputs_needed,
    upper_bound,
    wilson_interval,
)
from scipy.stats import beta

ALPHA = 0.1
WORSE = (0.2, 0.3, 0.5)
DELTA = 0.05


@pytest.mark.parametrize(
    ("errors", "inputs"), [(0, 1), (0, 29), (4, 100), (12, 200), (73, 884), (2.5, 40.5), (1e4, 1e6)]
)
def test_clopper_pearson_is_the_one_of_scipy(errors, inputs):
    assert clopper_pearson(errors, inputs) == pytest.approx(beta.ppf(0.95, errors + 1, inputs - errors), abs=1e-9)


def test_clopper_pearson_at_its_ends():
    assert clopper_pearson(0, 29) == pytest.approx(1 - 0.05 ** (1 / 29))
    assert clopper_pearson(5, 5) == 1.0


@given(st.floats(0, 1), st.floats(1, 1e6))
def test_an_interval_holds_the_share_and_narrows(share: float, count: float) -> None:
    low, high = wilson_interval(share, count)
    assert 0 <= low <= share <= high <= 1
    wider = wilson_interval(share, count / 2)
    assert wider[1] - wider[0] >= high - low - 1e-9


def test_intervals_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    bounds = [wilson_interval(count / 60, 60) for count in rng.binomial(60, 0.85, 4000)]
    assert np.mean([low <= 0.85 <= high for low, high in bounds]) >= 0.93


def test_fewer_effective_inputs_mean_a_wider_bound():
    losses = np.zeros(200)
    losses[::20] = 1
    assert upper_bound(losses, tau=1).upper < upper_bound(losses, tau=4).upper
    assert upper_bound(losses, tau=4).effective_inputs == 50


def test_the_betting_bound_is_above_the_mean_and_adapts_to_the_spread():
    random = np.random.default_rng(0)
    calm, wild = random.uniform(0.04, 0.06, 200), (random.random(200) < 0.05).astype(float)
    assert calm.mean() < betting(calm) < betting(wild)
    assert betting(np.ones(10)) == pytest.approx(1.0)


def test_the_bounds_hold_in_at_least_ninety_of_a_hundred_runs():
    random = np.random.default_rng(1)
    runs, held_binary, held_graded = 200, 0, 0
    for _ in range(runs):
        held_binary += upper_bound((random.random(150) < 0.08).astype(float)).upper >= 0.08
        held_graded += upper_bound(random.beta(0.4, 4.6, 150)).upper >= 0.08
    assert held_binary >= 0.9 * runs
    assert held_graded >= 0.9 * runs


def test_the_bound_holds_for_errors_that_come_in_runs():
    """Errors in runs of some ten inputs: taken for independent they would break the bound in many runs."""
    random = np.random.default_rng(2)
    runs, held, naive = 200, 0, 0
    for _ in range(runs):
        losses = np.repeat((random.random(80) < 0.08).astype(float), 10)
        held += upper_bound(losses, tau=autocorrelation_time(losses)).upper >= 0.08
        naive += upper_bound(losses).upper >= 0.08
    assert held >= 0.9 * runs > naive


def test_the_autocorrelation_time_is_one_for_independent_draws_and_the_run_for_runs():
    random = np.random.default_rng(3)
    draws = (random.random(2000) < 0.2).astype(float)
    assert autocorrelation_time(draws) == pytest.approx(1.0, abs=0.4)
    assert autocorrelation_time(np.repeat(draws, 8)) == pytest.approx(8.0, rel=0.4)
    assert autocorrelation_time(np.zeros(50)) == 1.0


def test_how_many_inputs_a_certificate_would_take():
    losses = np.zeros(100)
    losses[:6] = 1
    needed = inputs_needed(losses, tau=1, target=0.1)
    assert upper_bound(np.tile(losses, needed // 100), tau=1).upper <= 0.1
    assert needed <= 500
    assert inputs_needed(losses, tau=1, target=0.05) == 0


def crossing(test: SequentialTest, values: np.ndarray, risk: float) -> int | None:
    """At which sample the evidence was enough."""
    return next((index for index, value in enumerate(values) if test.update(float(value)) >= 1 / risk), None)


def test_what_holds_is_hardly_ever_doubted() -> None:
    rng = np.random.default_rng(1)
    runs = 200
    # At the very bound, the worst that still holds: 0 or 1, and shares in between of the same mean.
    for draw in (lambda n: rng.random(n) < ALPHA, lambda n: rng.beta(0.2, 1.8, n)):
        doubted = sum(crossing(SequentialTest(ALPHA, WORSE), draw(800), DELTA) is not None for _ in range(runs))
        assert doubted / runs <= DELTA + 2 * math.sqrt(DELTA * (1 - DELTA) / runs)


def test_evidence_against_what_holds_is_one_on_average() -> None:
    rng = np.random.default_rng(2)
    final = []
    for _ in range(3000):
        test = SequentialTest(ALPHA, WORSE[:2])
        for value in rng.random(6) < ALPHA:
            test.update(float(value))
        final.append(test.evidence)
    assert np.mean(final) == pytest.approx(1.0, abs=4 * np.std(final) / math.sqrt(len(final)))


@pytest.mark.parametrize("before", [0, 50, 1000])
def test_a_change_is_found_within_200_samples_however_late_it_comes(before: int) -> None:
    rng = np.random.default_rng(before)
    found = []
    for _ in range(60):
        test = SequentialTest(ALPHA, WORSE)
        crossing(test, rng.random(before) < 0.05, DELTA)
        found.append(crossing(test, rng.random(400) < 0.3, DELTA))
    assert np.mean([at is not None and at < 200 for at in found]) >= 0.95


def test_looking_the_other_way_it_finds_what_is_better() -> None:
    good = SequentialTest(ALPHA, [0.0, 0.02, 0.05])
    assert (crossing(good, np.zeros(100), 0.05) or 0) == 38
    rng = np.random.default_rng(3)
    bad = [crossing(SequentialTest(ALPHA, [0.0, 0.02, 0.05]), rng.random(600) < 0.15, 0.05) for _ in range(60)]
    assert sum(at is not None for at in bad) <= 3


def test_it_forgets_when_told_to() -> None:
    test = SequentialTest(ALPHA, WORSE)
    crossing(test, np.ones(50), DELTA)
    test.reset()
    assert (test.count, test.evidence) == (0, 1.0)


def test_evidence_stays_finite_for_ever() -> None:
    test = SequentialTest(ALPHA, WORSE)
    for _ in range(1000):
        test.update(1.0)
    assert math.isfinite(test.evidence)


def test_a_bound_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        SequentialTest(0.0, WORSE)

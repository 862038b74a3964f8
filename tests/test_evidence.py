"""Bounds hold as often as they say; the sequential test is seldom wrong, and soon right when something changed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.evidence import (
    SequentialTest,
    betting,
    clean_runs,
    clopper_pearson,
    fixed_sequence,
    runs_needed,
    share_interval,
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


def test_the_betting_bound_is_above_the_mean_and_adapts_to_the_spread():
    random = np.random.default_rng(0)
    calm, wild = random.uniform(0.04, 0.06, 200), (random.random(200) < 0.05).astype(float)
    assert calm.mean() < betting(calm) < betting(wild)
    assert betting(np.ones(10)) == pytest.approx(1.0)


def ladder(random: np.random.Generator, *, scenes: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses of scenes under looser and looser thresholds, constant within each, and the true mean losses."""
    looseness = np.linspace(0.0, 1.0, 41)
    lost = random.random(scenes) < 0.3
    scores = random.random(scenes)
    return np.repeat(lost & (scores <= looseness[:, None]), inputs, axis=1).astype(float), 0.3 * looseness


@pytest.mark.parametrize(("scenes", "inputs"), [(150, 1), (60, 10), (27, 10), (6, 45)])
def test_a_promise_is_seldom_broken_however_long_scenes_are(scenes, inputs):
    random = np.random.default_rng(1)
    trials, broken = 60, 0
    for _ in range(trials):
        losses, true = ladder(random, scenes=scenes, inputs=inputs)
        broken += bool(true[fixed_sequence(losses, target=0.1).passed].max(initial=0.0) > 0.1)
    assert broken <= 0.1 * trials


def test_runs_are_as_many_as_scenes_and_without_enough_of_them_nothing_passes():
    random = np.random.default_rng(2)
    found = [fixed_sequence(ladder(random, scenes=60, inputs=10)[0], target=0.1) for _ in range(50)]
    assert 35 < np.mean([each.runs[10] for each in found]) <= 60
    assert np.mean([each.passed.any() for each in found]) > 0.9
    few = [fixed_sequence(ladder(random, scenes=6, inputs=45)[0], target=0.1) for _ in range(50)]
    assert np.mean([each.passed.any() for each in few]) < 0.1


def test_a_mean_over_some_inputs_counts_the_runs_of_those():
    random = np.random.default_rng(3)
    losses, _ = ladder(random, scenes=200, inputs=5)
    half = np.repeat(random.random(200) < 0.5, 5)
    whole, part = fixed_sequence(losses, target=0.1), fixed_sequence(losses, target=0.1, where=half)
    assert 0.3 * whole.runs[10] < part.runs[10] < 0.8 * whole.runs[10]
    np.testing.assert_allclose(part.lost / part.runs, losses[:, half].mean(axis=1))
    rows = np.broadcast_to(half, losses.shape)
    np.testing.assert_array_equal(fixed_sequence(losses, target=0.1, where=rows).uppers, part.uppers)
    nowhere = fixed_sequence(losses, target=0.1, where=np.zeros(1000, bool))
    assert not nowhere.passed.any() and (nowhere.uppers == 1.0).all()


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([0.05, 0.1, 0.3]))
def test_bounds_are_above_the_means_and_a_test_ends_at_the_first_failure(seed, inputs, target):
    losses, _ = ladder(np.random.default_rng(seed), scenes=40, inputs=inputs)
    found = fixed_sequence(losses, target=target)
    assert (found.uppers >= losses.mean(axis=1)).all()
    assert (found.passed == (np.cumsum(found.uppers > target) == 0)).all()
    assert (found.runs >= 0).all() and (found.runs <= losses.shape[1]).all()
    surer = fixed_sequence(losses, target=target, confidence=0.99)
    assert (found.passed | ~surer.passed).all()


@given(st.floats(0, 0.9), st.floats(1, 2000), st.floats(1.01, 3))
def test_more_that_is_lost_is_a_higher_bound_and_more_runs_a_lower_one(share, runs, times):
    bound = clopper_pearson(share * runs, runs)
    assert clopper_pearson(min(0.95, share * times) * runs, runs) >= bound - 1e-9
    assert share <= clopper_pearson(share * runs * times, runs * times) <= bound + 1e-9


def test_twice_as_long_a_recording_proves_no_less():
    random = np.random.default_rng(6)
    losses = [ladder(random, scenes=60, inputs=inputs)[0] for inputs in (1, 3, 8) for _ in range(10)]
    short = [int(fixed_sequence(each, target=0.1).passed.sum()) for each in losses]
    long = [int(fixed_sequence(np.tile(each, 2), target=0.1).passed.sum()) for each in losses]
    assert sum(twice < once for once, twice in zip(short, long, strict=True)) <= 1
    assert np.mean(long) > np.mean(short)


def test_graded_losses_that_are_all_alike_are_nearly_their_own_bound():
    random = np.random.default_rng(5)
    losses = np.stack([np.zeros(800), random.uniform(0.03, 0.07, 800)])
    found = fixed_sequence(losses, target=0.1)
    assert found.runs[1] > 400 and 0.05 < found.uppers[1] < 0.08


def test_how_many_runs_a_certificate_would_take():
    assert runs_needed(0.0, target=0.1) == clean_runs(0.1) == 29
    needed = runs_needed(0.06, target=0.1)
    assert needed is not None and clopper_pearson(0.06 * needed, needed) <= 0.1 and needed <= 250
    assert runs_needed(0.1, target=0.1) is None


def test_the_interval_of_a_share_widens_with_runs():
    random = np.random.default_rng(4)
    alone = random.random(900) < 0.4
    together = np.repeat(random.random(60) < 0.4, 15)
    (low, high), runs = share_interval(alone)
    (lower, higher), fewer = share_interval(together)
    assert low <= 0.4 <= high and high - low < 0.15 and runs > 300
    assert lower <= 0.4 <= higher and higher - lower > 0.15 and fewer < 80
    assert share_interval(np.ones(50, bool)) == ((0.0, 1.0), 0.0)


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


def test_with_a_horizon_the_promise_is_for_so_many_samples_and_late_changes_are_found_sooner() -> None:
    rng = np.random.default_rng(5)
    runs, horizon = 200, 250
    doubted = [
        crossing(SequentialTest(ALPHA, WORSE, horizon=horizon), rng.random(250) < ALPHA, 0.05) for _ in range(runs)
    ]
    assert np.mean([at is not None for at in doubted]) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
    found = {}
    for each in (horizon, None):
        delays = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            test = SequentialTest(ALPHA, WORSE, horizon=each)
            crossing(test, rng.random(150) < 0.05, 0.05)
            delays.append(crossing(test, rng.random(400) < 0.4, 0.05))
        found[each] = np.mean(delays)
    assert found[horizon] < found[None]


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

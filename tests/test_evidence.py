import numpy as np
import pytest
from infilink.evidence import autocorrelation_time, betting, clopper_pearson, inputs_needed, upper_bound
from scipy.stats import beta


@pytest.mark.parametrize(("errors", "inputs"), [(0, 1), (0, 29), (4, 100), (12, 200), (73, 884), (2.5, 40.5)])
def test_clopper_pearson_is_the_one_of_scipy(errors, inputs):
    assert clopper_pearson(errors, inputs) == pytest.approx(beta.ppf(0.95, errors + 1, inputs - errors), abs=1e-9)


def test_clopper_pearson_at_its_ends():
    assert clopper_pearson(0, 29) == pytest.approx(1 - 0.05 ** (1 / 29))
    assert clopper_pearson(5, 5) == 1.0


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


def test_the_autocorrelation_time_is_one_for_lots_and_the_run_for_runs():
    random = np.random.default_rng(3)
    lots = (random.random(2000) < 0.2).astype(float)
    assert autocorrelation_time(lots) == pytest.approx(1.0, abs=0.4)
    assert autocorrelation_time(np.repeat(lots, 8)) == pytest.approx(8.0, rel=0.4)
    assert autocorrelation_time(np.zeros(50)) == 1.0


def test_how_many_inputs_a_certificate_would_take():
    losses = np.zeros(100)
    losses[:6] = 1
    needed = inputs_needed(losses, tau=1, target=0.1)
    assert upper_bound(np.tile(losses, needed // 100), tau=1).upper <= 0.1
    assert needed <= 500
    assert inputs_needed(losses, tau=1, target=0.05) == 0

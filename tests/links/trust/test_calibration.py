"""Radii: how many comparisons each risk level needs, and that they cover what they promise."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.trust.calibration import LEVELS, Calibration


@pytest.mark.parametrize(("alpha", "least"), [(0.1, 9), (0.05, 19), (0.01, 99)])
def test_each_risk_level_needs_its_number_of_comparisons(alpha: float, least: int) -> None:
    assert not Calibration.of(np.zeros(least - 1)).calibrated(alpha)
    assert Calibration.of(np.zeros(least)).calibrated(alpha)
    # However many outputs they have.
    assert not Calibration.of(np.zeros(9 * least), runs=least - 1).calibrated(alpha)
    assert Calibration.of(np.zeros(9 * least), runs=least).calibrated(alpha)


def test_nothing_compared_calibrates_nothing() -> None:
    nothing = Calibration.of(np.zeros(0))
    assert nothing.count == 0
    assert all(math.isinf(nothing.radius(level)) for level in LEVELS)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.integers(0, 300))
@settings(deadline=None, max_examples=60)
def test_a_lower_risk_is_never_a_smaller_radius(distances: list[float], runs: int) -> None:
    calibration = Calibration.of(np.asarray(distances), runs=min(runs, len(distances)))
    radii = [calibration.radius(alpha) for alpha in np.linspace(0.0, 0.6, 61)]
    assert radii == sorted(radii, reverse=True)
    assert math.isinf(calibration.radius(0.0))


@given(st.lists(st.floats(0, 100), min_size=0, max_size=300))
@settings(deadline=None, max_examples=40)
def test_a_calibration_survives_json_and_never_gets_narrower(distances: list[float]) -> None:
    calibration = Calibration.of(np.asarray(distances), run_s=2.5)
    again = Calibration.from_list(json.loads(json.dumps(calibration.as_list())))
    assert (again.count, again.run_s) == (calibration.count, 2.5)
    for before, after in zip(calibration.radii, again.radii, strict=True):
        assert after == before or before <= after <= before + 2e-6


def test_damaged_values_are_refused() -> None:
    for values in ([None, 1.0, *[0.1] * len(LEVELS)], [5, 1.0, 0.1]):
        with pytest.raises(ValueError, match="radii"):
            Calibration.from_list(values)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("count", [30, 100])
def test_what_is_promised_is_covered(alpha: float, count: int) -> None:
    rng = np.random.default_rng(count)
    runs = 2000
    # Heavy tails and ties: what is promised holds for any distribution.
    known, new = (np.round(rng.standard_cauchy((runs, n)) ** 2, 1) for n in (count, 1))
    inside = [new[run, 0] <= Calibration.of(known[run]).radius(alpha) for run in range(runs)]
    if count >= math.ceil(1 / alpha) - 1:
        assert np.mean(inside) >= 1 - alpha - 3 * math.sqrt(alpha * (1 - alpha) / runs)
        assert np.mean(inside) <= 1 - alpha + 1 / count + 0.04


@pytest.mark.parametrize("length", [5, 30])
def test_what_is_promised_is_covered_where_inputs_come_in_runs(length: int) -> None:
    rng, runs, alpha = np.random.default_rng(length), 30, 0.1
    known, new = rng.exponential(size=(1000, runs)), rng.exponential(size=1000)
    inside = [
        new[row] <= Calibration.of(np.repeat(known[row], length), runs=runs).radius(alpha) for row in range(len(new))
    ]
    assert 1 - alpha - 0.03 <= np.mean(inside) <= 1 - alpha + 0.06

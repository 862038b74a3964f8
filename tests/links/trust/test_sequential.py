"""The drift test: seldom wrong however long one looks, and soon right when something changed."""

import math

import numpy as np
import pytest
from infilink.evidence import SequentialTest
from infilink.links.trust.certificate import upper_bound
from infilink.links.trust.monitor import DELTA
from scipy.stats import beta

ALPHA = 0.1
WORSE = (0.2, 0.3, 0.5)


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


@pytest.mark.parametrize(("errors", "count"), [(0, 29), (0, 59), (3, 100), (40, 400), (29, 30)])
def test_the_upper_bound_is_clopper_and_pearsons(errors: int, count: int) -> None:
    assert upper_bound(errors, count) == pytest.approx(beta.ppf(0.95, errors + 1, count - errors), abs=2e-5)


def test_the_upper_bound_of_nothing_and_of_much() -> None:
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(5, 5) == 1.0
    assert 0.01 < upper_bound(1000, 100_000) < 0.014

"""Certificates: never on too little evidence, wrong no more often than promised, never below the exact bound."""

import numpy as np
import pytest
from infilink.evidence import clopper_pearson
from infilink.links.trust.certificate import (
    ALPHA,
    LEAST,
    RISK,
    certified,
    certify_threshold,
    independent_share,
    upper_bound,
)
from scipy.stats import beta, binom

GRID = [(errors, count) for count in (1, 28, 29, 46, 61, 100, 461, 2000, 100_000) for errors in (0, 1, 2, 5, 40, 300)]


@pytest.mark.parametrize(("errors", "count"), [(errors, count) for errors, count in GRID if errors < count])
def test_the_bound_is_clopper_and_pearsons_and_never_below_it(errors: int, count: int) -> None:
    exact = beta.ppf(1 - RISK, errors + 1, count - errors)
    for bound in (upper_bound(errors, count), clopper_pearson(errors, count)):
        assert exact - 1e-13 <= bound <= exact + 1e-9


def test_a_part_of_an_error_counts_as_one_and_a_part_of_an_output_as_none() -> None:
    for errors, count in [(0.2, 50.0), (3.5, 120.7), (11.01, 300.99)]:
        whole = upper_bound(np.ceil(errors), np.floor(count))
        assert upper_bound(errors, count) == whole > clopper_pearson(errors, count)
    # What floating point made of a whole number is that number.
    assert upper_bound(0.1 * 3 * 10, 0.7 * 100) == upper_bound(3, 70)


def test_with_nothing_or_nothing_right_the_bound_is_one() -> None:
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(5, 5) == 1.0


def test_what_is_certified_is_what_the_binomial_tail_rules_out() -> None:
    for count in [*range(1, 90), 150, 400, 1000]:
        most = count // 8 + 2
        for errors, tail in enumerate(binom.cdf(np.arange(most), count, ALPHA)):
            agreements = np.ones(count)
            agreements[:errors] = 0.0
            assert certified(agreements) == (tail <= RISK)


def test_nothing_is_certified_on_few_or_wrong_outputs() -> None:
    assert LEAST == 29
    assert not certified(np.ones(LEAST - 1))
    assert certified(np.ones(LEAST))
    assert not certified(np.append(np.ones(LEAST), 0.0))
    assert certify_threshold(np.full(28, 0.999), np.ones(28)) is None
    confidences = np.concatenate([np.full(60, 0.97), np.full(60, 0.6)])
    agreements = np.concatenate([np.ones(60), np.zeros(60)])
    threshold = certify_threshold(confidences, agreements)
    assert threshold is not None
    assert 0.6 < threshold <= 0.97


def test_errors_that_come_in_runs_count_for_less() -> None:
    rng = np.random.default_rng(0)
    alone = [(rng.random(400) < 0.9).astype(float)]
    runs = [np.repeat(rng.random(40) < 0.9, 10).astype(float)]
    assert independent_share(alone) > 0.8
    assert independent_share(runs) < 0.25
    assert independent_share([np.ones(50)]) == 1.0
    assert certified(np.ones(60), share=0.5)
    assert not certified(np.ones(57), share=0.5)


def test_certificates_break_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        confidences = rng.uniform(0.4, 1.0, 200)
        truth = confidences - 0.08
        threshold = certify_threshold(confidences, (rng.random(200) < truth).astype(float))
        if threshold is not None:
            broken += float(np.mean(1.0 - (np.linspace(max(threshold, 0.4), 1.0, 500) - 0.08))) > ALPHA
    assert broken / 400 <= RISK + 0.03

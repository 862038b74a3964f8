"""Certificates: never on too few runs, never for what is wrong, and broken no more often than promised."""

import numpy as np
import pytest
from infilink.links.trust.certificate import ALPHA, GRID, LEAST, RISK, certify, first_level
from infilink.outputs import Array

OFTEN = (np.arange(4000) % 3 == 0).astype(float)
"""What a constant would get wrong: every third input, so that each is a run of its own."""


def scenes(rng: np.random.Generator, inputs: int, length: int) -> tuple[Array, Array]:
    """Confidences and agreements that stay the same for a scene; a confidence overstates by .08."""
    count = inputs // length + 1
    confidences = rng.uniform(0.4, 1.0, count)
    agreements = (rng.random(count) < confidences - 0.08).astype(float)
    return np.repeat(confidences, length)[:inputs], np.repeat(agreements, length)[:inputs]


def test_it_takes_as_many_runs_as_the_binomial_asks_for() -> None:
    assert LEAST == 29
    # One of 40 disagrees, far from the others: 46 would do if nothing had to be learnt of how they come.
    agreements = np.ones(400)
    agreements[::40] = 0.0
    found = certify(np.ones(400), agreements, unknown=OFTEN[:400])
    assert found.threshold == 0.0 and found.runs >= LEAST
    short = certify(np.ones(28), np.ones(28), unknown=OFTEN[:28])
    assert short.threshold is None and short.runs <= 28


def test_where_nothing_ever_disagrees_the_constant_shows_how_long_runs_are() -> None:
    right = np.ones(300)
    assert certify(right, right).threshold is None, "all of it may be one run"
    assert certify(right, right, unknown=OFTEN[:300]).threshold == 0.0
    slow = (np.arange(300) // 30 % 2).astype(float)
    found = certify(right, right, unknown=slow)
    assert found.threshold is None and found.all_runs < LEAST


def test_the_lowest_confidence_that_passes_is_taken() -> None:
    rng = np.random.default_rng(1)
    confidences = rng.uniform(0.5, 1.0, 2000)
    agreements = (rng.random(2000) < np.where(confidences > 0.85, 0.99, 0.4)).astype(float)
    found = certify(confidences, agreements, grid=GRID[3:])
    assert found.threshold in (0.85, 0.8)
    assert found.runs > 300
    shared = certify(confidences, agreements, grid=GRID[3:], risk=RISK / 1000)
    assert shared.threshold is not None and shared.threshold >= found.threshold


def test_where_to_begin_is_where_there_are_runs_enough() -> None:
    rng = np.random.default_rng(2)
    confidences = np.where(rng.random(1000) < 0.02, 0.995, rng.uniform(0.5, 0.96, 1000))
    agreements = (rng.random(1000) < 0.97).astype(float)
    first = first_level(confidences, agreements, inputs=1000)
    assert 0.9 <= GRID[first] < 0.99, "of 20 that are surer nothing can be shown"
    assert certify(confidences, agreements).threshold is None
    assert certify(confidences, agreements, grid=GRID[first:]).threshold == 0.0


@pytest.mark.parametrize("length", [1, 30])
def test_certificates_break_no_more_often_than_promised(length: int) -> None:
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(60):
        found = certify(*scenes(rng, 900, length))
        if found.threshold is not None:
            broken += float(np.mean(1.0 - (np.linspace(max(found.threshold, 0.4), 1.0, 500) - 0.08))) > ALPHA
    assert broken / 60 <= RISK + 0.05

"""What an audited sample is worth where disagreements come in clumps."""

import numpy as np
import pytest
from infilink.links.trust.monitor import Clumping


def share_after(values: np.ndarray) -> float:
    clumping = Clumping()
    for value in values:
        clumping.update(float(value))
    return clumping.share


def test_before_anything_was_seen_some_correlation_is_assumed() -> None:
    assert Clumping().share == pytest.approx(0.7 / 1.3)
    assert share_after(np.zeros(1000)) == Clumping().share, "without a disagreement nothing is learnt"


def test_clumps_make_samples_worth_less() -> None:
    shares = []
    for length in (1, 2, 5, 10):
        rng = np.random.default_rng(length)
        runs = [np.repeat(rng.random(400 // length) < 0.3, length) for _ in range(20)]
        shares.append(float(np.mean([share_after(errors) for errors in runs])))
    assert shares == sorted(shares, reverse=True)
    # Of length n: a correlation of 1 - 1 / n.
    assert shares == pytest.approx([0.9, 1 / 3, 1 / 9, 1 / 19], abs=0.1)


def test_small_disagreements_leave_most_of_what_is_assumed() -> None:
    assert share_after(np.random.default_rng(0).random(5000) * 0.4) == pytest.approx(0.75, abs=0.1)
    assert 0.0 < share_after(np.ones(100)) < 1.0

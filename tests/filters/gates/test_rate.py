"""The share that a filter drops, against calibration's: no label is needed to see that the stream is another."""

import numpy as np
import pytest
from infilink.filters.gates.rate import RateWatch


def blocks(seed, mean, count):
    """Shares of blocks that vary as scenes do."""
    return np.clip(np.random.default_rng(seed).normal(mean, 0.15, count), 0.0, 1.0).tolist()


@pytest.mark.parametrize("mean", [0.6, 0.7])
def test_a_rate_within_the_interval_is_not_far(mean):
    for seed in range(20):
        watch = RateWatch(0.6, 0.7)
        assert not any(watch.add(share) for share in blocks(seed, mean, 250)) and watch.far == ""


@pytest.mark.parametrize(("mean", "far"), [(0.95, "above"), (0.3, "below"), (0.0, "below"), (1.0, "above")])
def test_one_far_from_it_is_seen_and_so_is_that_it_fits_again(mean, far):
    watch = RateWatch(0.6, 0.7)
    changes = [watch.add(share) for share in blocks(1, mean, 60)]
    assert watch.far == far and sum(changes) == 1
    changes = [watch.add(share) for share in blocks(2, 0.65, 400)]
    assert watch.far == "" and sum(changes) == 1


def test_where_calibration_says_nothing_nothing_is_far():
    watch = RateWatch(0.0, 1.0)
    assert not any(watch.add(share) for share in [0.0] * 50 + [1.0] * 50)

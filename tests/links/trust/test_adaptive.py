"""Adaptive levels: regions cover in the long run, whatever the stream does."""

import numpy as np
import pytest
from infilink.links.trust.calibration import Calibration
from infilink.links.trust.monitor import GAMMA, HIGHEST_LEVEL, AdaptiveLevel


@pytest.mark.parametrize("growth", [1.0, 3.0, 100.0])
def test_regions_cover_though_the_stream_gets_worse(growth: float) -> None:
    rng = np.random.default_rng(4)
    calibration = Calibration.of(rng.exponential(size=200))
    level, outside, count = AdaptiveLevel(0.1), 0, 1500
    for step in range(count):
        distance = rng.exponential() * (growth if step > 300 else 1.0)
        missed = distance > calibration.radius(level.level)
        outside += missed
        level.update(outside=missed)
    assert outside / count <= 0.1 + (0.1 + GAMMA) / (GAMMA * count)


def test_an_easy_stream_does_not_make_regions_empty() -> None:
    level = AdaptiveLevel(0.1)
    for _ in range(10_000):
        level.update(outside=False)
    assert level.level == HIGHEST_LEVEL

"""MLink's own rule, kept beside ours for comparison: models by falling activation probability (section 3)."""

import numpy as np

from ...outputs import Array


def activation_probability(links: Array, costs: Array) -> Array:
    """How much each model is to run: P_i = (1 + P1_i - P2_i) / (w c_i), with w = 2 / min c, in [0, 1].

    P1_i is how well i predicts the others on average, P2_i how well the others predict i. Models that cost nothing
    come first, at infinity.

    Args:
        links: performance of each link alone, float (source, target); the diagonal is not read.
        costs: of each model, float (models,).
    """
    count = len(costs)
    if count == 1:
        return np.ones(1)
    off = np.where(np.eye(count, dtype=bool), 0.0, links)
    as_source, as_target = off.sum(axis=1) / (count - 1), off.sum(axis=0) / (count - 1)
    scaled = costs / (costs[costs > 0].min() if (costs > 0).any() else 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(scaled > 0, (1 + as_source - as_target) / (2 * scaled), np.inf)
    return np.asarray(found)

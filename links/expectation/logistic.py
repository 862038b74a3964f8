"""Logistic regression of agreements, drawn to what is known beforehand, by Newton's method."""

import numpy as np

from ...outputs import Array

_STEPS = 25
_LEAST_SPREAD = 0.3
# In a step no case's log-odds move by more.
_MOST_MOVED = 2.0
SUREST = 0.998
"""No share counts as surer."""


def log_odds(shares: Array | float) -> Array:
    """Of shares or probabilities; nothing is taken for surer than .998."""
    inside = np.minimum(np.maximum(shares, 1.0 - SUREST), SUREST)
    return np.asarray(np.log(inside / (1.0 - inside)))


def probability(odds: Array | float) -> Array:
    """The probabilities of log-odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(odds))))


def fit_logistic(read: Array, agreements: Array, prior: Array, *, pull: float) -> Array:
    """The weights (k,) of what is read of each case.

    Args:
        read: of each case (n, k).
        agreements: from 0 to 1 (n,).
        prior: the weights to which they are drawn (k,).
        pull: how strongly, beside a mean case's likelihood; by so much as a number varies.
    """
    if not len(read):
        return prior
    spread = np.where(read.std(axis=0) > 0, np.maximum(read.std(axis=0), _LEAST_SPREAD), 1.0)
    scaled, towards = read / spread, prior * spread
    weights = towards.copy()
    for _ in range(_STEPS):
        p = probability(scaled @ weights)
        gradient = scaled.T @ (p - agreements) / len(read) + pull * (weights - towards)
        curve = (scaled * (p * (1.0 - p))[:, None]).T @ scaled / len(read) + pull * np.eye(len(prior))
        step = np.linalg.solve(curve, gradient)
        # Where nearly all is sure, a whole step goes from one end to the other and back.
        weights = weights - step * min(1.0, _MOST_MOVED / max(float(np.abs(scaled @ step).max()), 1e-12))
    return np.asarray(weights / spread)

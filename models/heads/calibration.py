"""A score becomes a probability: logistic regression on a few cues (Platt 1999), fitted to what blocks left out say."""

import numpy as np

from ...outputs import Array

_STEPS = 50
_LEAST_STEP = 1e-6


def logistic(score: Array) -> Array:
    """The probability (n,) that a log-odds (n,) stands for."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.minimum(np.maximum(score, -30.0), 30.0))))


def fit_logistic(cues: Array, shares: Array, *, ridge: float = 1e-3, alike: float = 0.0) -> Array:
    """The slopes and the constant (q + 1,) with which `logistic(cues @ slopes + constant)` comes close to the shares.

    Slopes below 0 are set to 0: a cue that speaks against what it should speak for is noise.

    Args:
        cues: (n, q).
        shares: in [0, 1]: how often it was so (n,).
        ridge: what keeps the slopes small where the cues tell all apart.
        alike: what keeps the slopes alike, of cues that should tell the same.
    """
    used = np.ones(cues.shape[1], bool)
    while True:
        found = _newton(cues[:, used], shares, ridge, alike)
        wrong = found[:-1] < 0
        if not wrong.any():
            whole = np.zeros(cues.shape[1] + 1)
            whole[:-1][used], whole[-1] = found[:-1], found[-1]
            return whole
        used[np.flatnonzero(used)[wrong]] = False


def _newton(cues: Array, shares: Array, ridge: float, alike: float) -> Array:
    z = np.concatenate([cues, np.ones((len(cues), 1))], axis=1)
    q = cues.shape[1]
    penalty = np.zeros((q + 1, q + 1))
    penalty[:q, :q] = (ridge + alike * q) * np.eye(q) - alike
    # As if one input more had been so, and one not: nothing is certain.
    mean = (shares.sum() + 1.0) / (len(shares) + 2.0)
    least = 1.0 / (len(shares) + 2.0)
    targets = np.clip(shares, least, 1.0 - least)
    found = np.zeros(z.shape[1])
    found[-1] = np.log(mean / (1.0 - mean))

    def loss(at: Array) -> float:
        odds = z @ at
        return float((np.logaddexp(0.0, odds) - targets * odds).sum() + at @ penalty @ at / 2)

    now = loss(found)
    for _ in range(_STEPS):
        p = logistic(z @ found)
        slope = z.T @ (p - targets) + penalty @ found
        curve = (z * (p * (1.0 - p))[:, None]).T @ z + penalty + 1e-9 * np.eye(q + 1)
        step = np.linalg.solve(curve, slope)
        # Newton's step goes too far where the curve is flat: halved until it gains something.
        while (then := loss(found - step)) > now and float(np.abs(step).max()) > _LEAST_STEP:
            step /= 2
        if then > now or float(np.abs(step).max()) < _LEAST_STEP:
            break
        found, now = found - step, then
    return found

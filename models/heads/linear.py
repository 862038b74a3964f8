"""Ridge regression with standardisation, a strength chosen on later blocks, doubt, and recursive updates.

All outputs share one matrix, so that a thousand inputs are learnt in a second, and one more in a fraction of a
millisecond.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from ...outputs import Array

STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Those that are tried, times the mean variance of a feature, which is 1."""
FURTHEST = 4.0
"""A standardised feature beyond is cut: of an input unlike any that was seen."""
_FOLDS = 4
_LEAST_STD = 1e-4


@dataclass
class Linear:
    """A linear map from features (d,) to numbers (k,).

    Attributes:
        mean: of each feature (d,).
        scale: one over its deviation (d,); 0 where it never changes.
        weights: float64 (d + 1, k); the last row is the constant.
        covariance: float64 (d + 1, d + 1): of the weights, as a share of each output's noise.
        noise: each output's error on later inputs, squared and averaged (k,).
        strength: the ridge.
    """

    mean: Array
    scale: Array
    weights: Array
    covariance: Array
    noise: Array
    strength: float

    @classmethod
    def fit(
        cls, features: Array, targets: Array, *, counts: Array | None = None, strengths: Sequence[float] = STRENGTHS
    ) -> Self:
        """Learns it.

        Args:
            features: (n, d), in the order of time.
            targets: (n, k).
            counts: how much each input counts (n,); None: all the same.
            strengths: of these the best on later blocks is taken.
        """
        n, d = features.shape
        mean = features.mean(axis=0, dtype=np.float64)
        std = features.std(axis=0, dtype=np.float64)
        scale = np.where(std > _LEAST_STD, 1.0 / np.maximum(std, _LEAST_STD), 0.0)
        z = _with_one(np.clip((features - mean) * scale, -FURTHEST, FURTHEST))
        c = np.ones(n) if counts is None else np.asarray(counts, np.float64)
        y = np.asarray(targets, np.float64).reshape(n, -1)
        strength, noise = _strength_of(z, y, c, strengths)
        covariance = np.linalg.inv((z * c[:, None]).T @ z + _ridge(d, strength))
        weights = covariance @ ((z * c[:, None]).T @ y)
        return cls(mean.astype(np.float32), scale.astype(np.float32), weights, covariance, noise, strength)

    def standard(self, features: Array) -> Array:
        """Features (n, d) about 0, with a column of ones: (n, d + 1)."""
        return _with_one(np.clip((features - self.mean) * self.scale, -FURTHEST, FURTHEST))

    def predict(self, features: Array) -> Array:
        """The numbers (n, k) for features (n, d)."""
        return np.asarray(self.standard(features) @ self.weights)

    def doubt(self, features: Array) -> Array:
        """How unlike what it learnt each input is: the variance of its answer, as a share of the noise (n,)."""
        z = self.standard(features)
        return np.asarray(np.einsum("nd,de,ne->n", z, self.covariance, z))

    def update(self, features: Array, targets: Array, *, forget: float = 1.0) -> None:
        """Learns one more input: features (d,), targets (k,).

        Args:
            features: of the input.
            targets: what it should have said.
            forget: below 1 what was learnt before counts so much less.
        """
        z = self.standard(features[None])[0]
        gained = self.covariance @ z
        gain = gained / (forget + float(z @ gained))
        self.weights += np.outer(gain, targets - z @ self.weights)
        self.covariance -= np.outer(gain, gained)
        if forget < 1.0:
            self.covariance /= forget

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        names = ("mean", "scale", "weights", "covariance", "noise")
        return {f"{prefix}.{name}": getattr(self, name) for name in names} | {
            f"{prefix}.strength": np.asarray(self.strength)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` wrote."""
        mean, scale, weights, covariance, noise, strength = (
            arrays[f"{prefix}.{name}"] for name in ("mean", "scale", "weights", "covariance", "noise", "strength")
        )
        return cls(mean, scale, weights, covariance, noise, float(strength))


def _with_one(z: Array) -> Array:
    return np.concatenate([z, np.ones((len(z), 1))], axis=1)


def _ridge(d: int, strength: float) -> Array:
    ridge = np.full(d + 1, strength)
    # The constant is free.
    ridge[-1] = 1e-6
    return np.diag(ridge)


def _strength_of(z: Array, y: Array, counts: Array, strengths: Sequence[float]) -> tuple[float, Array]:
    """The strength that does best on blocks later than those it is learnt on, and the squared error there (k,)."""
    if not y.shape[1]:
        return float(strengths[0]), np.zeros(0)
    n, d = z.shape[0], z.shape[1] - 1
    edges = np.linspace(0, n, _FOLDS + 2).astype(int)[1:]
    errors = np.zeros((len(strengths), y.shape[1]))
    tested = 0.0
    for start, stop in pairwise(edges.tolist()):
        weighted = z[:start] * counts[:start, None]
        gram, moment = weighted.T @ z[:start], weighted.T @ y[:start]
        for i, strength in enumerate(strengths):
            weights = np.linalg.solve(gram + _ridge(d, strength), moment)
            errors[i] += (counts[start:stop, None] * (z[start:stop] @ weights - y[start:stop]) ** 2).sum(axis=0)
        tested += float(counts[start:stop].sum())
    errors /= max(tested, 1.0)
    variance = np.maximum(y.var(axis=0), 1e-9)
    best = int((errors / variance).mean(axis=1).argmin())
    return float(strengths[best]), errors[best]

"""Ridge regression in closed form: standardised features, a strength chosen on blocks left out, doubt, one more input.

All targets share one covariance, so that a thousand inputs are learnt in a fraction of a second and one more in a
fraction of a millisecond, however many targets there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array

STRENGTHS = (2.0, 4.0, 8.0, 16.0)
"""The ridges that are tried, a feature that varies: what suits grows with how many of them share the work."""
FURTHEST = 4.0
"""A standardised feature beyond is cut: of an input unlike any that was seen."""
FORGET = 0.9
"""What an update leaves, by default, of what was known along the one direction of its input. Of inputs that look alike
the last ten count; all else stays. On four clips from 0.5 to 1 hardly differed."""
BLOCKS = 16
"""The stretches of time that are left out in turn."""
_LEAST_STD = 1e-4


class LeftOut(NamedTuple):
    """What a fit says of each block of its inputs if it has not learnt from that block: what is judged honestly.

    Attributes:
        numbers: (n, k).
        doubt: (n,).
    """

    numbers: Array
    doubt: Array


class Folded(NamedTuple):
    """A map with its standardisation folded in, as float32: `clip(features, low, high) @ weights + constant`.

    Attributes:
        low: what features are cut at from below (d,).
        high: and from above (d,).
        weights: (d, k).
        constant: (k,).
    """

    low: Array
    high: Array
    weights: Array
    constant: Array


@dataclass
class Linear:
    """A linear map from features (d,) to numbers (k,).

    Attributes:
        mean: of each feature: float64 (d,).
        scale: one over its deviation: float64 (d,); 0 where it never changes.
        weights: float64 (d + 1, k); the last row is the constant.
        covariance: float64 (d + 1, d + 1): of the weights, as a share of each target's noise.
        noise: each target's error on blocks left out, squared and averaged: float64 (k,).
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
        cls, features: Array, targets: Array, *, counts: Array | None = None, importance: Array | None = None
    ) -> Self:
        """Learns it; the arguments are those of `fit_judged`."""
        return cls.fit_judged(features, targets, counts=counts, importance=importance)[0]

    @classmethod
    def fit_judged(
        cls, features: Array, targets: Array, *, counts: Array | None = None, importance: Array | None = None
    ) -> tuple[Self, LeftOut]:
        """Learns it, and tells what it would have said without each block: what its answers are calibrated on.

        Args:
            features: (n, d), in the order of time.
            targets: (n, k).
            counts: how much each input counts (n,); None: all the same.
            importance: how much each target counts where the strength is chosen (k,); None: all the same.

        Raises:
            InvalidInput: the shapes don't fit, there are fewer than two inputs, or a number is not finite.
        """
        x, y = check_features(features), np.asarray(targets, np.float64)
        if y.ndim != 2 or len(y) != len(x) or len(x) < 2:
            raise InvalidInput(
                "a head learns from two inputs or more, features (n, d) with targets (n, k), "
                f"not {x.shape} with {y.shape}"
            )
        if not np.isfinite(y).all():
            raise InvalidInput("targets hold NaN or infinity; leave those inputs out")
        c = np.ones(len(x)) if counts is None else np.asarray(counts, np.float64)
        mean, std = x.mean(axis=0), x.std(axis=0)
        varies = std > _LEAST_STD * np.maximum(1.0, np.abs(mean))
        scale = np.where(varies, 1.0 / np.where(varies, std, 1.0), 0.0)
        spectrum = _Spectrum(_standard(x, mean, scale), y, c)
        weight = np.ones(y.shape[1]) if importance is None else np.asarray(importance, np.float64)
        weight = weight / np.maximum(y.var(axis=0), 1e-9)
        best: tuple[float, float, LeftOut, Array] | None = None
        for strength in np.asarray(STRENGTHS) * max(int(varies.sum()), 1):
            left_out = spectrum.left_out(float(strength))
            noise = c @ (left_out.numbers - y) ** 2 / c.sum()
            error = float(noise @ weight)
            if best is None or error < best[0]:
                best = error, float(strength), left_out, noise
        assert best is not None
        _, strength, left_out, noise = best
        weights, covariance = spectrum.solution(strength)
        return cls(mean, scale, weights, covariance, noise, strength), left_out

    def standard(self, features: Array) -> Array:
        """Features (n, d) about 0, with a column of ones: float64 (n, d + 1).

        Raises:
            InvalidInput: they are not d features each, or not finite.
        """
        x = check_features(features, len(self.mean))
        return np.concatenate([_standard(x, self.mean, self.scale), np.ones((len(x), 1))], axis=1)

    def predict(self, features: Array) -> Array:
        """The numbers (n, k) for features (n, d)."""
        return np.asarray(self.standard(features) @ self.weights)

    def doubt(self, features: Array) -> Array:
        """How unlike what it learnt each input is: the variance of its answer, as a share of the noise (n,)."""
        z = self.standard(features)
        return np.asarray(np.einsum("nd,nd->n", z @ self.covariance, z))

    def update(
        self,
        features: Array,
        targets: Array,
        *,
        columns: Array | slice | None = None,
        share: float = 1.0,
        forget: float = FORGET,
    ) -> None:
        """Learns one more input.

        What is forgotten is only what the input itself bears on, so that nothing is lost while a camera sees the same
        for days, and nothing at all while the weights are no surer than before the first input.

        Args:
            features: of the input (d,).
            targets: what it should have said (k,), or of these columns only.
            columns: which targets are known; None: all.
            share: how much of the targets that is; the covariance, which all share, moves by so much.
            forget: below 1 what was learnt before counts so much less; 1: as if all had been learnt at once.
        """
        z = self.standard(features[None])[0]
        gained = self.covariance @ z
        variance = max(float(z @ gained), 1e-12)
        gain = gained / (1.0 + variance)
        if columns is None:
            self.weights += np.outer(gain, targets - z @ self.weights)
        else:
            self.weights[:, columns] += np.outer(gain, targets - z @ self.weights[:, columns])
        # Directional forgetting (Kulhavy 1987): the covariance grows only along what is being seen.
        known = share * (forget - (1.0 - forget) / variance)
        if known < 0 and np.trace(self.covariance) > len(self.mean) / self.strength:
            known = share
        factor = known / (1.0 + known * variance)
        # A product of one vector with itself is symmetric to the last bit.
        step = gained * np.sqrt(abs(factor))
        self.covariance -= np.outer(np.copysign(1.0, factor) * step, step)

    def folded(self) -> Folded:
        """The same map with the standardisation folded in: for a graph's initialisers."""
        used = self.scale > 0
        reach = FURTHEST / np.where(used, self.scale, 1.0)
        weights = self.weights[:-1] * self.scale[:, None]
        low, high = (np.where(used, self.mean + side * reach, self.mean) for side in (-1, 1))
        constant = self.weights[-1] - self.mean @ weights
        return Folded(*(np.asarray(each, np.float32) for each in (low, high, weights, constant)))

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        names = ("mean", "scale", "weights", "covariance", "noise", "strength")
        return {f"{prefix}.{name}": np.asarray(getattr(self, name)) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` gave.

        Raises:
            InvalidInput: something is missing, has another shape, or is not finite.
        """
        found: dict[str, Array] = {}
        for name in ("mean", "scale", "weights", "covariance", "noise", "strength"):
            if f"{prefix}.{name}" not in arrays:
                raise InvalidInput(f"heads: {prefix}.{name} is missing; learn them anew (`infilink train heads`)")
            found[name] = np.array(arrays[f"{prefix}.{name}"], np.float64)
        d, k = found["mean"].size, found["noise"].size
        shapes = {"mean": (d,), "scale": (d,), "weights": (d + 1, k), "covariance": (d + 1, d + 1), "noise": (k,)}
        for name, each in found.items():
            if each.shape != shapes.get(name, ()) or not np.isfinite(each).all():
                raise InvalidInput(
                    f"heads: {prefix}.{name} must be finite numbers of shape {shapes.get(name, ())}, not {each.shape}; "
                    "the file is damaged: learn them anew (`infilink train heads`)"
                )
        return cls(
            found["mean"],
            found["scale"],
            found["weights"],
            found["covariance"],
            found["noise"],
            float(found["strength"]),
        )


def check_features(features: Array, length: int | None = None) -> Array:
    """Features as float64 (n, d).

    Raises:
        InvalidInput: not so many each, or not finite.
    """
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or (length is not None and x.shape[1] != length):
        raise InvalidInput(f"features must have shape (n, {length or 'd'}), not {x.shape}: is it this stem's?")
    if not np.isfinite(x).all():
        raise InvalidInput("features hold NaN or infinity: the stem's model does not fit its inputs")
    return x


def _standard(x: Array, mean: Array, scale: Array) -> Array:
    return np.asarray(np.minimum(np.maximum((x - mean) * scale, -FURTHEST), FURTHEST))


class _Spectrum:
    """Ridge regression at any strength from one decomposition of z (n, d); the constant is free."""

    def __init__(self, z: Array, y: Array, counts: Array) -> None:
        self._y, self._root = y, np.sqrt(counts)[:, None]
        self._total = float(counts.sum())
        self._mean, self._level = counts @ z / self._total, counts @ y / self._total
        centred = (z - self._mean) * self._root
        gram = centred @ centred.T if len(z) < z.shape[1] else centred.T @ centred
        values, vectors = np.linalg.eigh(gram)
        kept = values > 1e-9 * max(float(values[-1]), 1e-9)
        self._values, vectors = values[kept], vectors[:, kept]
        singular = np.sqrt(self._values)
        if len(z) < z.shape[1]:
            self._inputs, self._directions = vectors, centred.T @ (vectors / singular)
        else:
            self._inputs, self._directions = centred @ (vectors / singular), vectors
        self._moment = self._inputs.T @ ((y - self._level) * self._root)

    def left_out(self, strength: float) -> LeftOut:
        """In closed form: what an input's block adds to its own answer is taken off (the hat matrix's blocks)."""
        kept = self._values / (self._values + strength)
        numbers = np.empty_like(self._y)
        doubt = np.empty(len(self._y))
        edges = np.unique(np.linspace(0, len(self._y), BLOCKS + 1).astype(int)).tolist()
        for start, stop in pairwise(edges):
            inputs, root = self._inputs[start:stop], self._root[start:stop]
            y = self._y[start:stop]
            missed = (y - self._level) * root - inputs * kept @ self._moment
            own = np.concatenate([inputs * np.sqrt(kept), root / np.sqrt(self._total)], axis=1)
            # The inverse of 1 - own own', by whichever side is shorter.
            if len(own) > own.shape[1]:
                inner = np.linalg.inv(np.eye(own.shape[1]) - own.T @ own)
                missed += own @ (inner @ (own.T @ missed))
                lever = np.einsum("bm,bm->b", own @ inner, own)
            else:
                rest = np.linalg.inv(np.eye(len(own)) - own @ own.T)
                missed, lever = rest @ missed, np.diag(rest) - 1.0
            numbers[start:stop] = y - missed / root
            doubt[start:stop] = lever / root[:, 0] ** 2
        return LeftOut(numbers, np.maximum(doubt, 0.0))

    def solution(self, strength: float) -> tuple[Array, Array]:
        """The weights (d + 1, k) and their covariance (d + 1, d + 1)."""
        d = len(self._mean)
        share = 1.0 / (self._values + strength)
        weights = self._directions @ (self._moment * (np.sqrt(self._values) * share)[:, None])
        covariance = np.empty((d + 1, d + 1))
        inner = np.eye(d) / strength - (self._directions * (1.0 / strength - share)) @ self._directions.T
        covariance[:d, :d] = (inner + inner.T) / 2
        covariance[:d, d] = covariance[d, :d] = -covariance[:d, :d] @ self._mean
        covariance[d, d] = 1.0 / self._total - self._mean @ covariance[:d, d]
        return np.concatenate([weights, (self._level - self._mean @ weights)[None]]), covariance

"""What a packet gate has learnt: how probably an answer that is held is wrong, and what a packet costs to decode."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array

_RIDGE = 1e-2
_STEPS = 50
_ENOUGH = 1e-6
_SMALL = 1e-9


@dataclass(frozen=True)
class PacketCosts:
    """What decoding takes by the type of a packet, in units of the stream's mean packet.

    Attributes:
        key: of a key picture.
        reference: of one that others are made of.
        free: of one that no other is made of.
        mean_s: the mean packet's time on the machine that it was measured on, one thread.
    """

    key: float
    reference: float
    free: float
    mean_s: float

    def of(self, *, key: bool, reference: bool) -> float:
        """Of one packet."""
        return self.key if key else self.reference if reference else self.free


@dataclass(frozen=True)
class PacketPolicy:
    """Everything that decides about a packet; it travels to the decoder's process.

    Attributes:
        weights: of the features' numbers, by `features.NAMES`.
        costs: of decoding.
        keys_only: whether only key pictures are chosen: what lies between them is never worth its references.
            threshold: a packet is decoded if its doubt for its cost is above.
    """

    weights: tuple[float, ...]
    costs: PacketCosts
    keys_only: bool
    threshold: float

    def doubt(self, features: Sequence[float]) -> float:
        """The loss that is to be expected of holding the last answer: from 0 to 1."""
        z = 0.0
        for weight, value in zip(self.weights, features, strict=True):
            z += weight * value
        return 1.0 / (1.0 + math.exp(-min(60.0, max(-60.0, z))))


def fit_weights(features: Array, losses: Array) -> tuple[float, ...]:
    """Logistic regression of losses from 0 to 1, by Newton's steps; the first feature is the constant 1.

    Args:
        features: (examples, features).
        losses: (examples,).
    """
    means, scales = features.mean(axis=0), features.std(axis=0)
    means[0], scales[0] = 0.0, 1.0
    # What never changes says nothing, and must not say anything where it does.
    useful = scales > _SMALL
    scales = np.where(useful, scales, 1.0)
    weights = np.where(useful, _newton(np.where(useful, (features - means) / scales, 0.0), losses) / scales, 0.0)
    weights[0] -= float((weights[1:] * means[1:]).sum())
    return tuple(float(each) for each in weights)


def _newton(z: Array, losses: Array) -> Array:
    weights = np.zeros(z.shape[1])
    ridge = np.full(z.shape[1], _RIDGE)
    ridge[0] = _SMALL
    for _ in range(_STEPS):
        said = 1.0 / (1.0 + np.exp(-np.clip(z @ weights, -60.0, 60.0)))
        slope = z.T @ (said - losses) / len(losses) + ridge * weights
        bend = (z * (said * (1.0 - said))[:, None]).T @ z / len(losses) + np.diag(ridge + _SMALL)
        step = np.clip(np.linalg.solve(bend, slope), -2.0, 2.0)
        weights = weights - step
        if np.abs(step).max() < _ENOUGH:
            break
    return weights

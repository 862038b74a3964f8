"""A stem's features as they travel: one byte each, by a mean and a step of its own that the coordinator gives.

Features differ in size by orders of magnitude, and what a scene changes of them may be a hundredth of what they are:
one scale for all of them would round that away.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from . import edge_pb2

FURTHEST = 4.0
"""Deviations from the mean beyond which a feature is cut, as those who read features cut it there."""
_MOST = 127


@dataclass(frozen=True)
class FeatureRange:
    """How features are written as bytes, and read.

    Attributes:
        mean: float32 (length,).
        step: float32 (length,), at least 0: of a feature that never changes.
    """

    mean: Array
    step: Array

    @classmethod
    def of(cls, mean: Array, deviation: Array) -> Self:
        """By each feature's mean and standard deviation, where it was learnt."""
        return cls(np.asarray(mean, np.float32), np.asarray(deviation * (FURTHEST / _MOST), np.float32))

    @cached_property
    def name(self) -> str:
        """Tells it from others."""
        return hashlib.sha256(_bytes(self.mean) + _bytes(self.step)).hexdigest()[:8]

    def as_message(self) -> edge_pb2.FeatureRange:
        """As Welcome carries it."""
        return edge_pb2.FeatureRange(mean=_bytes(self.mean), step=_bytes(self.step))

    @classmethod
    def from_message(cls, message: edge_pb2.FeatureRange, length: int) -> Self:
        """What a Welcome carries, for a stem with so many features.

        Raises:
            InvalidInput: it is for another number of features, or holds numbers that none can be.
        """
        if len(message.mean) != 4 * length or len(message.step) != 4 * length:
            raise InvalidInput(
                f"the coordinator's features have {len(message.mean) // 4} numbers, those of this stem {length}: give "
                "both the same stem"
            )
        mean, step = (np.frombuffer(each, "<f4").astype(np.float32) for each in (message.mean, message.step))
        if not (np.isfinite(mean).all() and np.isfinite(step).all() and (step >= 0).all()):
            raise InvalidInput(
                "the coordinator's range of features (`Welcome.features`) holds numbers that none can be"
            )
        return cls(mean, step)

    def write(self, features: Array) -> edge_pb2.Features:
        """The message with a stem's features, (length,).

        Raises:
            InvalidInput: they are of another length, or not all finite.
        """
        if features.shape != self.mean.shape or not np.isfinite(features).all():
            raise InvalidInput(f"a stem's features must be {len(self.mean)} finite numbers, not {features.shape}")
        # Cut before it is divided, which would overflow.
        moved = np.clip(features - self.mean, -_MOST * self.step, _MOST * self.step)
        units = np.divide(moved, self.step, out=np.zeros_like(moved), where=self.step > 0)
        return edge_pb2.Features(values=np.rint(units).astype(np.int8).tobytes(), range=self.name)

    def read(self, message: edge_pb2.Features) -> Array:
        """The features in a message: float32 (length,).

        Raises:
            InvalidInput: they are of another length, or were written by another range.
        """
        if len(message.values) != len(self.mean):
            raise InvalidInput(f"features: {len(message.values)} values, not {len(self.mean)}")
        if message.range != self.name:
            raise InvalidInput(
                f"features: were written by the range {message.range!r}, not {self.name!r}: the links have changed "
                "since they were made"
            )
        return np.asarray(self.mean + self.step * np.frombuffer(message.values, np.int8), np.float32)


def _bytes(values: Array) -> bytes:
    return np.asarray(values, "<f4").tobytes()

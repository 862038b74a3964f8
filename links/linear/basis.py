"""How one source enters a linear map: its numbers standardised, with hinges where they may bend, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from ...models.encoding.encoding import Encoding
from ...outputs import Array

FURTHEST = 4.0
"""A standardised number beyond is cut: of an input unlike any that was seen."""
_LEAST_STD = 1e-4
_HINGES = 6
_BENT = 8
# How strongly the weights are drawn to nothing (the ridge): of each number of an output, and of each of a stem's
# features times how many there are, so that a stem with more of them is not believed more.
_OUTPUT_RIDGE = 20.0
_FEATURE_RIDGE = 2.6
_DIRECTIONS = 128


@dataclass(frozen=True)
class Basis:
    """From a source's vectors (n, d) to the numbers (n, `length`) that a ridge of strength 1 reads.

    Attributes:
        sums: weighted sums that count as further numbers (d, q): how many boxes there are in all.
        mean: of the d + q numbers in what was learnt from.
        scale: one over their deviations; 0 where one never changes.
        bent: which of them have hinges, one entry a hinge (h,).
        knots: where each hinge begins, standardised (h,).
        axes: the directions that are read, (d, p), in place of the numbers themselves; (0, 0): the numbers.
        offset: what is taken off in the end (length,).
        gain: what that is multiplied by (length,): small where weights are to stay small.
    """

    sums: Array
    mean: Array
    scale: Array
    bent: Array
    knots: Array
    axes: Array
    offset: Array
    gain: Array

    @property
    def length(self) -> int:
        """How many numbers it gives."""
        return len(self.offset)

    @classmethod
    def of_output(cls, encoding: Encoding, vectors: Array) -> Self:
        """The basis of a model's outputs.

        Args:
            encoding: how they became vectors.
            vectors: of what is learnt from, (n, d).
        """
        output, d = encoding.output, vectors.shape[1]
        sums = np.zeros((d, 0))
        bends = np.arange(d)
        if output.kind == "boxes":
            # Where boxes are enters as it is: a grid has too many cells to bend each.
            bends = np.flatnonzero(encoding.columns < len(output.classes))
            if len(bends) > 1:
                sums = np.where(encoding.columns < len(output.classes), encoding.std, 0.0)[:, None]
        with_sums = np.concatenate([vectors, vectors @ sums], axis=1)
        bends = np.concatenate([np.arange(d, with_sums.shape[1]), bends])[:_BENT]
        mean, scale = _standard(with_sums)
        z = np.clip((with_sums - mean) * scale, -FURTHEST, FURTHEST)
        bent, knots = _hinges(z, bends)
        found = np.concatenate([z, np.maximum(z[:, bent] - knots, 0.0)], axis=1)
        offset, gain = _standard(found)
        return cls(sums, mean, scale, bent, knots, np.zeros((0, 0)), offset, gain / np.sqrt(_OUTPUT_RIDGE))

    @classmethod
    def of_features(cls, features: Array, cameras: Sequence[slice] = ()) -> Self:
        """The basis of a stem's features (n, d): the directions in which they vary the most.

        Args:
            features: of what is learnt from.
            cameras: which of them are each camera's; none: all are one's. What varies is told by what varies within
                cameras: from one to the next everything may be another, and tells nothing of what goes on there.
        """
        mean, scale = _standard(features)
        z = np.clip((features - mean) * scale, -FURTHEST, FURTHEST)
        varying = max(1, int((scale > 0).sum()))
        offset = z.mean(axis=0)
        within, inner = z - offset, np.ones(len(offset))
        if cameras:
            within = np.concatenate([z[part] - z[part].mean(axis=0) for part in cameras])
            inner = _standard(within)[1]
        _, vectors = np.linalg.eigh((within * inner).T @ (within * inner))
        axes = inner[:, None] * vectors[:, ::-1][:, : min(_DIRECTIONS, varying, len(features))]
        none = np.zeros(0, np.int64)
        gain = np.full(axes.shape[1], 1.0 / np.sqrt(_FEATURE_RIDGE * varying))
        return cls(np.zeros((len(mean), 0)), mean, scale, none, np.zeros(0), axes, offset @ axes, gain)

    @property
    def width(self) -> int:
        """How long vectors are."""
        return len(self.sums)

    def numbers(self, vectors: Array) -> Array:
        """The numbers (n, length) for vectors (n, d)."""
        return self.read(self.standardised(vectors))

    def standardised(self, vectors: Array) -> Array:
        """The standardised numbers (n, d + q) of vectors (n, d)."""
        read = np.concatenate([vectors, vectors @ self.sums], axis=1) if self.sums.shape[1] else vectors
        return np.asarray(np.minimum(np.maximum((read - self.mean) * self.scale, -FURTHEST), FURTHEST))

    def read(self, standard: Array) -> Array:
        """The numbers (n, length) for standardised ones (n, d + q)."""
        z = standard
        if self.axes.size:
            z = z @ self.axes
        elif len(self.bent):
            z = np.concatenate([z, np.maximum(z[:, self.bent] - self.knots, 0.0)], axis=1)
        return np.asarray((z - self.offset) * self.gain)

    def equals(self, other: "Basis") -> bool:
        """Whether it reads the same."""
        return all(np.array_equal(getattr(self, each.name), getattr(other, each.name)) for each in fields(self))

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        arrays = {f"{prefix}.{each.name}": getattr(self, each.name) for each in fields(self)}
        return {name: array if array.dtype == np.int64 else array.astype(np.float32) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` wrote."""
        return cls(*(arrays[f"{prefix}.{each.name}"] for each in fields(cls)))


def _standard(values: Array) -> tuple[Array, Array]:
    """The mean of each column, and one over its deviation."""
    if not len(values) or not values.shape[1]:
        return np.zeros(values.shape[1]), np.zeros(values.shape[1])
    std = values.std(axis=0, dtype=np.float64)
    scale = np.where(std > _LEAST_STD, 1.0 / np.maximum(std, _LEAST_STD), 0.0)
    return values.mean(axis=0, dtype=np.float64), scale


def _hinges(z: Array, columns: Array) -> tuple[Array, Array]:
    """Which columns (h,) bend, and where (h,): between few values at each, else at quantiles."""
    bent, knots = [], []
    for column in columns.tolist():
        values = np.unique(np.round(z[:, column], 4))
        at = values[1:-1]
        if len(at) > _HINGES:
            at = np.unique(np.quantile(z[:, column], np.linspace(0, 1, _HINGES + 2)[1:-1]))
        bent += [column] * len(at)
        knots += at.tolist()
    return np.asarray(bent, np.int64), np.asarray(knots, np.float64)

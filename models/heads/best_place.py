"""A head that looks for the best place: what a small thing far away leaves in the stem's deepest map.

Beside the pooled features it brought (area under the curve, mean of four clips and a rendered street, all of the first
60 % learnt) .87 for .85, on the street alone .80 for .76, and .87 where boxes said where; with 50 labels .86 for .84.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array

BEST = 3
"""The mean over so many best places is the score: one alone is noisy, and a thing covers a few."""
_MOST = 400
_BLOCKS = 8
_ROUNDS = 5
# Of the number of cells: the ridge.
_RIDGE = 1e-3


@dataclass
class BestPlace:
    """For each of k questions a linear score of every cell of a stem's places; the best cells answer it.

    A cell's score depends on its own features and on what that cell mostly holds, which is folded into a constant a
    cell, so that it is a 1x1 convolution, an addition and the mean of the largest three.

    Attributes:
        weights: float32 (channels, k).
        bias: float32 (k, rows, columns).
    """

    weights: Array
    bias: Array

    @classmethod
    def fit(cls, places: Array, truth: Array, cells: Array | None = None) -> tuple[Self, Array]:
        """Learns it in closed form.

        Where it is not known which cells hold what is asked for, that is found out: all cells of an input count as
        such first, then the best three of each, five times over.

        Args:
            places: (n, channels, rows, columns), in the order of time.
            truth: bool (n, k): whether it is there.
            cells: bool (n, k, rows, columns): where it is; None: nobody knows.

        Returns:
            It, and the scores (n, k) that it gives each block of the inputs if it has not learnt from that block.

        Raises:
            InvalidInput: the shapes don't fit, or a number is not finite.
        """
        if places.ndim != 4 or truth.shape[:1] != places.shape[:1] or truth.ndim != 2 or not len(places):
            raise InvalidInput(
                f"places (n, channels, rows, columns) and truth (n, k) must be of the same inputs, not {places.shape} "
                f"and {truth.shape}"
            )
        if not np.isfinite(places).all():
            raise InvalidInput("places hold NaN or infinity: the stem's model does not fit its inputs")
        grid, questions = places.shape[2:], truth.shape[1]
        sample = _Cells.of(places)
        if cells is None:
            wanted = sample.found(truth[sample.chosen])
        else:
            wanted = cells[sample.chosen].reshape(len(sample.chosen), questions, -1).transpose(0, 2, 1)
        moments = sample.moments(wanted)
        left_out = np.zeros(truth.shape)
        alone = len(moments) == 1
        for part, (start, stop) in enumerate(pairwise(sample.edges)):
            weights, bias = sample.solve(moments, without=None if alone else part)
            left_out[start:stop] = cls(weights, bias.reshape(-1, *grid)).score(places[start:stop])
        weights, bias = sample.solve(moments)
        return cls(weights, bias.reshape(-1, *grid)), left_out

    def cells(self, places: Array) -> Array:
        """The score of every cell: float32 (n, k, rows, columns), for places (n, channels, rows, columns).

        Raises:
            InvalidInput: they are another stem's.
        """
        expected = (len(self.weights), *self.bias.shape[1:])
        if places.shape[1:] != expected:
            raise InvalidInput(f"places must have shape (n, {', '.join(map(str, expected))}), not {places.shape}")
        flat = places.reshape(len(places), expected[0], -1).astype(np.float32)
        scores = self.weights.T @ flat
        return np.asarray(scores.reshape(len(places), *self.bias.shape) + self.bias)

    def score(self, places: Array) -> Array:
        """The mean of the best cells (n, k), for places (n, channels, rows, columns)."""
        flat = self.cells(places).reshape(len(places), self.weights.shape[1], -1)
        best = min(BEST, flat.shape[2])
        return np.asarray(np.partition(flat, -best, axis=2)[:, :, -best:].mean(axis=2), np.float64)

    def scaled(self, factor: float, *, about: float) -> Self:
        """The same with every score times a factor, counted from `about`."""
        return type(self)(self.weights * np.float32(factor), (self.bias - np.float32(about)) * np.float32(factor))

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        return {f"{prefix}.weights": self.weights, f"{prefix}.bias": self.bias}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` gave.

        Raises:
            InvalidInput: something is missing, has another shape, or is not finite.
        """
        weights, bias = (
            np.asarray(arrays.get(f"{prefix}.{name}", np.zeros(0)), np.float32) for name in ("weights", "bias")
        )
        if weights.ndim != 2 or bias.ndim != 3 or weights.shape[1] != len(bias):
            raise InvalidInput(f"heads: {prefix} has the wrong shapes; the file is damaged: learn them anew")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise InvalidInput(f"heads: {prefix} holds NaN or infinity; the file is damaged: learn them anew")
        return cls(weights, bias)


@dataclass
class _Cells:
    """The cells of some inputs, standardised, and what a regression on them needs, by blocks of time.

    A cell is described by how it differs from what it mostly holds, by what it mostly holds, and by a constant.
    """

    chosen: Array
    edges: list[int]
    starts: list[int]
    own: Array  # float32 (m, cells, channels)
    usual: Array  # float32 (cells, channels + 1), the last the constant
    scale: Array  # (channels,)
    mean: Array  # (cells, channels)
    grams: list[Array]

    @classmethod
    def of(cls, places: Array) -> Self:
        n, channels = places.shape[:2]
        chosen = np.unique(np.linspace(0, n - 1, min(n, _MOST)).astype(int))
        own = places[chosen].reshape(len(chosen), channels, -1).transpose(0, 2, 1).astype(np.float32)
        mean = own.mean(axis=0)
        own -= mean
        scale = 1.0 / (np.sqrt((own**2).mean(axis=(0, 1))) + 1e-6)
        own *= scale
        usual = (mean - mean.mean(axis=0)) / (mean.std(axis=0) + 1e-6)
        usual = np.concatenate([usual, np.ones((len(usual), 1), np.float32)], axis=1)
        edges = np.unique(np.linspace(0, n, _BLOCKS + 1).astype(int)).tolist()
        starts = np.searchsorted(chosen, edges).tolist()
        grams = []
        for start, stop in pairwise(starts):
            flat = own[start:stop].reshape(-1, channels)
            gram = np.empty((2 * channels + 1, 2 * channels + 1))
            gram[:channels, :channels] = flat.T @ flat
            gram[:channels, channels:] = own[start:stop].sum(axis=0).T @ usual
            gram[channels:, :channels] = gram[:channels, channels:].T
            gram[channels:, channels:] = (stop - start) * (usual.T @ usual)
            grams.append(gram)
        return cls(chosen, edges, starts, own, usual, scale, mean, grams)

    def found(self, yes: Array) -> Array:
        """Which cells hold what is asked for, of inputs (m, k) that do: bool (m, cells, k)."""
        cells = self.own.shape[1]
        best = min(BEST, cells)
        wanted = np.repeat(yes[:, None], cells, axis=1)
        for _ in range(_ROUNDS - 1):
            weights, bias = self.solve(self.moments(wanted))
            # `own` is centred and scaled, the weights and constants are not.
            scores = self.own @ (weights / self.scale[:, None]) + self.mean @ weights + bias.T
            wanted = np.zeros_like(wanted)
            np.put_along_axis(wanted, np.argpartition(scores, -best, axis=1)[:, -best:], True, axis=1)
            wanted &= yes[:, None]
        return wanted

    def moments(self, wanted: Array) -> list[Array]:
        """Of each block what a regression on bool (m, cells, k) needs beside the gram: (2 channels + 1, k)."""
        channels = self.own.shape[2]
        found = []
        for start, stop in pairwise(self.starts):
            targets = wanted[start:stop].astype(np.float32)
            own = self.own[start:stop].reshape(-1, channels).T @ targets.reshape(-1, targets.shape[2])
            found.append(np.concatenate([own, self.usual.T @ targets.sum(axis=0)]))
        return found

    def solve(self, moments: Sequence[Array], without: int | None = None) -> tuple[Array, Array]:
        """Weights (channels, k) and constants (k, cells) from all blocks, or all but one."""
        used = [part for part in range(len(moments)) if part != without]
        gram = np.sum([self.grams[part] for part in used], axis=0)
        inputs = sum(self.starts[part + 1] - self.starts[part] for part in used)
        ridge = np.full(len(gram), max(_RIDGE * inputs * len(self.mean), 1.0))
        ridge[-1] = 1e-3
        solved = np.linalg.solve(gram + np.diag(ridge), np.sum([moments[part] for part in used], axis=0))
        channels = len(self.scale)
        weights = solved[:channels] * self.scale[:, None]
        bias = self.usual @ solved[channels:] - self.mean @ weights
        return np.asarray(weights, np.float32), np.asarray(bias.T, np.float32)

"""A head that looks for the best place: what a small thing far away leaves in the stem's deepest map."""

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
            InvalidInput: the shapes don't fit.
        """
        if places.ndim != 4 or truth.shape[:1] != places.shape[:1] or truth.ndim != 2 or not len(places):
            raise InvalidInput(
                f"places (n, channels, rows, columns) and truth (n, k) must be of the same inputs, not {places.shape} "
                f"and {truth.shape}"
            )
        grid = places.shape[2:]
        cramped = _Cells.of(places)
        where = None if cells is None else cells[cramped.chosen].reshape(len(cramped.chosen), truth.shape[1], -1)
        yes = truth[cramped.chosen]
        parts = range(len(cramped.grams))
        solved = cramped.solve(parts, yes, where)
        left_out = np.zeros(truth.shape)
        for part, (start, stop) in enumerate(pairwise(cramped.edges)):
            without = [other for other in parts if other != part] or [part]
            weights, bias = cramped.solve(without, yes, where)
            left_out[start:stop] = cls(weights, bias.reshape(-1, *grid)).score(places[start:stop])
        weights, bias = solved
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

    def scaled(self, factor: float) -> Self:
        """The same with every score times a factor."""
        return type(self)(self.weights * np.float32(factor), self.bias * np.float32(factor))

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


def cells_of(boxes: Sequence[Array], classes: Sequence[int], grid: tuple[int, int]) -> Array:
    """Which cells hold the centre of a box of each class: bool (n, classes, rows, columns).

    Args:
        boxes: of each input (m, 6).
        classes: the class indices that are asked for.
        grid: rows and columns.
    """
    rows, columns = grid
    found = np.zeros((len(boxes), len(classes), rows, columns), bool)
    at = {index: place for place, index in enumerate(classes)}
    for i, each in enumerate(boxes):
        kept = each[np.isin(each[:, 5], classes)]
        x = np.clip((kept[:, 0] + kept[:, 2]) / 2 * columns, 0, columns - 1).astype(int)
        y = np.clip((kept[:, 1] + kept[:, 3]) / 2 * rows, 0, rows - 1).astype(int)
        found[i, [at[int(index)] for index in kept[:, 5]], y, x] = True
    return found


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

    def solve(self, parts: Sequence[int], yes: Array, where: Array | None) -> tuple[Array, Array]:
        """Weights (channels, k) and constants (k, cells) from some of the blocks.

        Args:
            parts: those blocks.
            yes: of the chosen inputs: bool (m, k).
            where: of the chosen inputs: bool (m, k, cells); None: to be found out.
        """
        rows = np.concatenate([np.arange(self.starts[part], self.starts[part + 1]) for part in parts])
        gram = sum((self.grams[part] for part in parts), np.zeros_like(self.grams[0]))
        ridge = np.full(len(gram), max(_RIDGE * len(rows) * len(self.mean), 1.0))
        ridge[-1] = 1e-3
        inverse = np.linalg.inv(gram + np.diag(ridge))
        own, told = self.own[rows], yes[rows]
        if where is not None:
            return self._weights(inverse, own, where[rows])
        targets = np.repeat(told[:, :, None], len(self.mean), axis=2)
        weights, bias = self._weights(inverse, own, targets)
        best = min(BEST, len(self.mean))
        for _ in range(_ROUNDS - 1):
            # `own` is centred and scaled, the weights and constants are not.
            scores = (own @ (weights / self.scale[:, None]) + self.mean @ weights).transpose(0, 2, 1) + bias
            targets = np.zeros_like(targets)
            np.put_along_axis(targets, np.argpartition(scores, -best, axis=2)[:, :, -best:], True, axis=2)
            targets &= told[:, :, None]
            weights, bias = self._weights(inverse, own, targets)
        return weights, bias

    def _weights(self, inverse: Array, own: Array, targets: Array) -> tuple[Array, Array]:
        m, cells, channels = own.shape
        wanted = targets.astype(np.float32).transpose(0, 2, 1)
        own_moment = own.reshape(m * cells, channels).T @ wanted.reshape(m * cells, -1)
        moment = np.concatenate([own_moment, self.usual.T @ wanted.sum(axis=0)])
        solved = (inverse @ moment).astype(np.float32)
        weights = solved[:channels] * self.scale[:, None]
        bias = self.usual @ solved[channels:] - self.mean @ weights
        return np.asarray(weights, np.float32), np.asarray(bias.T, np.float32)

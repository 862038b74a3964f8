"""How maps become features: the maximum and the mean over all places, or over the cells of a coarse grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from onnx import helper, numpy_helper

from ...outputs import Array


@dataclass(frozen=True)
class Part:
    """Some of a stem's features: what one map gives.

    Attributes:
        of: which of the stem's maps it is of, counted from 0.
        how: "max" and "mean" over all its places, or the maxima over each cell of a "grid".
        grid: that grid's rows and columns.
    """

    of: int
    how: Literal["max", "mean", "grid"]
    grid: tuple[int, int] = (1, 1)

    def length(self, channels: int) -> int:
        """How many features it is, of a map of so many channels."""
        return channels * self.grid[0] * self.grid[1]


def whole(maps: int) -> list[Part]:
    """Maximum and mean of so many maps, each over all its places."""
    return [Part(of, how) for of in range(maps) for how in ("max", "mean")]


def pool(
    parts: Sequence[Part], maps: Sequence[tuple[str, tuple[int, int, int]]], columns: Array | None, given: str
) -> tuple[list[Any], list[Any]]:
    """The nodes from maps to features, and their constants.

    Args:
        parts: of the features, in order.
        maps: each one's name, and its channels, rows and columns.
        columns: which of the parts' numbers are features; None: all.
        given: the features' name.
    """
    nodes, flat = [], []
    for i, part in enumerate(parts):
        name, (_, *places) = maps[part.of]
        if part.how == "grid":
            cells = [_cells(n, k) for n, k in zip(places, part.grid, strict=True)]
            kernel, strides = ([cell[k] for cell in cells] for k in (0, 1))
            nodes.append(helper.make_node("MaxPool", [name], [f"stem_part_{i}"], kernel_shape=kernel, strides=strides))
        else:
            operator = "GlobalMaxPool" if part.how == "max" else "GlobalAveragePool"
            nodes.append(helper.make_node(operator, [name], [f"stem_part_{i}"]))
        nodes.append(helper.make_node("Flatten", [f"stem_part_{i}"], [f"stem_flat_{i}"]))
        flat.append(f"stem_flat_{i}")
    if columns is None:
        return [*nodes, helper.make_node("Concat", flat, [given], axis=1)], []
    nodes.append(helper.make_node("Concat", flat, ["stem_all"], axis=1))
    nodes.append(helper.make_node("Gather", ["stem_all", "stem_columns"], [given], axis=1))
    return nodes, [numpy_helper.from_array(columns.astype(np.int64), "stem_columns")]


def _cells(places: int, cells: int) -> tuple[int, int]:
    """Places in a cell along one side, and from one cell to the next: some may lie in two cells, none in no cell."""
    stride = max(1, places // cells)
    return places - stride * (cells - 1), stride

"""Decoders of detectors that say of each cell of their grids what is there: yolox to fastestdet."""

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from ..outputs import Array
from .candidates import (
    Candidates,
    Raw,
    Size,
    around,
    best_of,
    expect_width,
    in_pixels,
    probabilities,
    rows_of,
    sigmoid,
    softmax,
)

if TYPE_CHECKING:
    from .decoding import DecoderSpec


def yolox(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """YOLOX rows over the strides: centre and log size relative to the cell, objectness, class scores."""
    rows = rows_of(decoder.pick(raw))
    expect_width(rows, 5 + classes, f"5 + {classes} classes")
    cells, strides = _cells(size, decoder.strides, len(rows))
    chosen, best, found = best_of(probabilities(rows[:, 5:], decoder) * probabilities(rows[:, 4:5], decoder), decoder)
    rows, strides = rows[chosen], strides[chosen]
    centre = (rows[:, :2] + cells[chosen]) * strides
    return Candidates(around(centre, np.exp(rows[:, 2:4]) * strides), best, found)


def yolov5(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """YOLOv5 and v7 rows, decoded in the graph: centre and size, objectness, class scores."""
    rows = rows_of(decoder.pick(raw))
    expect_width(rows, 5 + classes + decoder.extra, f"5 + {classes} classes{_extra(decoder)}")
    scores = probabilities(rows[:, 5 : 5 + classes], decoder) * probabilities(rows[:, 4:5], decoder)
    chosen, best, found = best_of(scores, decoder)
    return Candidates(in_pixels(around(rows[chosen, :2], rows[chosen, 2:4]), decoder, size), best, found)


def yolov8(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """YOLOv8, v9 and v11 columns, decoded in the graph: centre and size, class scores; rows will do as well."""
    table = np.asarray(decoder.pick(raw), np.float32)
    height, width = table.shape[-2:]
    table = table.reshape(height, width)
    rows = table.T if height == 4 + classes + decoder.extra else table
    expect_width(rows, 4 + classes + decoder.extra, f"4 + {classes} classes{_extra(decoder)}")
    chosen, best, found = best_of(probabilities(rows[:, 4 : 4 + classes], decoder), decoder)
    return Candidates(in_pixels(around(rows[chosen, :2], rows[chosen, 2:4]), decoder, size), best, found)


def nanodet(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """NanoDet: class scores and four distances to the middle of each cell (NanoDet-Plus: `cell = 0`)."""
    return _distances(raw, decoder, classes, size, cell=0.5)


def scrfd(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """SCRFD: class scores and four distances to the corner of each cell, two boxes a cell; key points are left out."""
    return _distances(raw, decoder, classes, size, cell=0.0)


def fastestdet(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """FastestDet's one map: objectness, centre (tanh of cells) and size (sigmoid of the input), class scores."""
    table = np.asarray(decoder.pick(raw), np.float32)
    height, width = table.shape[-2:]
    rows = table.reshape(-1, height * width).T
    expect_width(rows, 5 + classes, f"5 + {classes} classes")
    chosen, best, found = best_of(rows[:, :1] ** 0.6 * rows[:, 5:] ** 0.4, decoder)
    cells = np.stack([chosen % width, chosen // width], axis=1)
    centre = (cells + np.tanh(rows[chosen, 1:3])) * (size[0] / width, size[1] / height)
    return Candidates(around(centre, sigmoid(rows[chosen, 3:5]) * size), best, found)


def _distances(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size, *, cell: float) -> Candidates:
    """A score map and a distance map per stride, or one map with both side by side.

    The maps are ordered by kind (scores of every stride, then distances) or by stride (scores, distances, scores ...);
    what comes after them, such as key points, is not read. Distances are four numbers in strides, or four
    distributions over 0, 1, 2 ... strides.
    """
    maps = [rows_of(value) for value in raw.values()]
    levels = len(decoder.strides)
    if len(maps) == 1:
        scores, distances = maps[0][:, :classes], maps[0][:, classes:]
    else:
        by_stride = len(maps[0]) == len(maps[1])
        first = slice(0, 2 * levels, 2) if by_stride else slice(0, levels)
        second = slice(1, 2 * levels, 2) if by_stride else slice(levels, 2 * levels)
        scores, distances = np.concatenate(maps[first]), np.concatenate(maps[second])
    expect_width(scores, classes, f"{classes} classes")
    if distances.shape[1] % 4 or not distances.size or len(distances) != len(scores):
        raise ValueError(f"{list(distances.shape)} is no map of 4 distances for {len(scores)} scores")
    cells, strides = _cells(size, decoder.strides, len(scores))
    chosen, best, found = best_of(probabilities(scores, decoder), decoder)
    sides = distances[chosen].reshape(len(chosen), 4, distances.shape[1] // 4)
    if sides.shape[2] > 1:
        sides = softmax(sides) @ np.arange(sides.shape[2], dtype=np.float32)[:, None]
    centre = (cells[chosen] + (cell if decoder.cell is None else decoder.cell)) * strides[chosen]
    sides = sides[:, :, 0] * strides[chosen]
    return Candidates(np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1), best, found)


def _extra(decoder: "DecoderSpec") -> str:
    return f" + {decoder.extra} others" if decoder.extra else ""


@lru_cache(maxsize=64)
def _cells(size: Size, strides: tuple[int, ...], rows: int) -> tuple[Array, Array]:
    """Each row's cell (x, y) and stride; several rows may share a cell."""
    shapes = [(ceil(size[1] / stride), ceil(size[0] / stride)) for stride in strides]
    total = sum(height * width for height, width in shapes)
    if rows % total:
        raise ValueError(f"it has {rows} rows, but strides {strides} make {total} cells of {size[0]}x{size[1]} pixels")
    cells = np.concatenate([np.indices(shape)[::-1].reshape(2, -1).T for shape in shapes])
    steps = np.concatenate([np.full((h * w, 1), s) for s, (h, w) in zip(strides, shapes, strict=True)])
    share = rows // total
    return np.repeat(cells, share, axis=0).astype(np.float32), np.repeat(steps, share, axis=0).astype(np.float32)

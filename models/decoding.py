"""From a model's raw output tensors to the one array that `outputs.py` describes: the decoders, by name.

A decoder of values returns the array itself. A decoder of boxes returns candidates, in which the wanted classes are
then chosen and overlaps removed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..outputs import Array, OutputSpec, box_iou
from .preprocessing import Letterbox

Raw = dict[str, Array]
"""A model's outputs by name."""

Size = tuple[int, int]
"""Width and height of a model's input."""


class DecoderSpec(BaseModel):
    """Which decoder reads the raw outputs, and its settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="raw", description="one of `decoding.DECODERS`")
    output: str = Field(default="", description="the ONNX output to read; empty: the last one")
    stride: int = Field(default=1, ge=1, le=64, description="mask: keep the strongest of each block of so many pixels")
    score: float = Field(default=0.35, ge=0, le=1, description="boxes: the least score that counts")
    nms_iou: float = Field(default=0.45, gt=0, le=1, description="boxes: overlap above which the weaker one goes")
    keep: tuple[str, ...] = Field(default=(), description="boxes: the classes that count; empty: all")
    limit: int = Field(default=100, ge=1, le=1000, description="boxes: at most so many, best first")
    logits: bool = Field(default=False, description="boxes: the scores still need a sigmoid")
    units: Literal["shares", "pixels"] = Field(default="shares", description="boxes, ultraface: what corners are in")
    strides: tuple[int, ...] = Field(default=(8, 16, 32), min_length=1, description="yolox, nanodet, scrfd: the grids")
    cell: float | None = Field(default=None, ge=0, le=1, description="nanodet, scrfd: a point's place in its cell")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DECODERS:
            raise ValueError(f"no decoder is called {name!r}; there are {', '.join(DECODERS)}")
        return name

    @field_validator("strides")
    @classmethod
    def _positive(cls, strides: tuple[int, ...]) -> tuple[int, ...]:
        if min(strides) < 1:
            raise ValueError(f"must be 1 or more each, not {strides}")
        return strides

    def pick(self, raw: Raw) -> Array:
        """The one output that a decoder reads: the named one, or the last."""
        if self.output and self.output not in raw:
            raise ValueError(f"there is no output {self.output!r}")
        return np.asarray(raw[self.output] if self.output else next(reversed(raw.values())))


def decode(raw: Raw, decoder: DecoderSpec, output: OutputSpec, letterbox: Letterbox) -> Array:
    """The model's output for one frame, from its raw outputs by name (each with a batch axis of 1)."""
    if decoder.name in BOX_DECODERS:
        size = (letterbox.input_width, letterbox.input_height)
        found = BOX_DECODERS[decoder.name](raw, decoder, len(output.classes), size)
        return finish_boxes(found, decoder, output, letterbox)
    value = VALUE_DECODERS[decoder.name](decoder.pick(raw))
    return _mask(value, decoder, letterbox) if output.kind == "mask" else value.reshape(-1)


def _mask(value: Array, decoder: DecoderSpec, letterbox: Letterbox) -> Array:
    """A map of the whole input as a map of the frame: without the letterbox's border, one number a block."""
    height, width = value.shape[-2:]
    plane = value.reshape(height, width)
    across, down = width / letterbox.input_width, height / letterbox.input_height
    top, left = round(letterbox.offset_y * down), round(letterbox.offset_x * across)
    bottom, right = (
        round((letterbox.offset_y + letterbox.height) * down),
        round((letterbox.offset_x + letterbox.width) * across),
    )
    plane = plane[top:bottom, left:right]
    step = decoder.stride
    rows, columns = plane.shape[0] // step * step, plane.shape[1] // step * step
    return np.asarray(plane[:rows, :columns].reshape(rows // step, step, columns // step, step).max(axis=(1, 3)))


@dataclass(frozen=True)
class Candidates:
    """Boxes before overlaps are removed.

    Attributes:
        corners: x1, y1, x2, y2 in input pixels, (n, 4).
        scores: (n,).
        classes: class indices, (n,).
    """

    corners: Array
    scores: Array
    classes: Array


def boxes(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """Rows of x1, y1, x2, y2, score, class: what a graph with its own decoding returns."""
    rows = _rows(decoder.pick(raw))
    _expect_width(rows, 6, "x1, y1, x2, y2, score, class")
    rows = rows[rows[:, 4] >= decoder.score]
    return Candidates(rows[:, :4] * _unit(decoder, size), rows[:, 4], rows[:, 5].astype(np.int64))


def yolox(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """YOLOX rows over the strides: centre and log size relative to the cell, objectness, class scores."""
    rows = _rows(decoder.pick(raw))
    _expect_width(rows, 5 + classes, f"5 + {classes} classes")
    cells, strides = _cells(size, decoder.strides, len(rows))
    chosen, best, found = _best(_scores(rows[:, 5:], decoder) * _scores(rows[:, 4:5], decoder), decoder)
    rows, strides = rows[chosen], strides[chosen]
    centre = (rows[:, :2] + cells[chosen]) * strides
    return Candidates(_corners(centre, np.exp(rows[:, 2:4]) * strides), best, found)


def yolov5(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """YOLOv5 and v7 rows, decoded in the graph: centre and size, objectness, class scores."""
    rows = _rows(decoder.pick(raw))
    _expect_width(rows, 5 + classes, f"5 + {classes} classes")
    chosen, best, found = _best(_scores(rows[:, 5:], decoder) * _scores(rows[:, 4:5], decoder), decoder)
    return Candidates(_corners(rows[chosen, :2], rows[chosen, 2:4]), best, found)


def yolov8(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """YOLOv8, v9 and v11 columns, decoded in the graph: centre and size, class scores; rows will do as well."""
    table = np.asarray(decoder.pick(raw), np.float32)
    height, width = table.shape[-2:]
    table = table.reshape(height, width)
    rows = table.T if height == 4 + classes else table
    _expect_width(rows, 4 + classes, f"4 + {classes} classes")
    chosen, best, found = _best(_scores(rows[:, 4:], decoder), decoder)
    return Candidates(_corners(rows[chosen, :2], rows[chosen, 2:4]), best, found)


def nanodet(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """NanoDet: class scores and four distances to the middle of each cell (NanoDet-Plus: `cell = 0`)."""
    return _distances(raw, decoder, classes, size, cell=0.5)


def scrfd(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """SCRFD: class scores and four distances to the corner of each cell, two boxes a cell; key points are left out."""
    return _distances(raw, decoder, classes, size, cell=0.0)


def fastestdet(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """FastestDet's one map: objectness, centre (tanh of cells) and size (sigmoid of the input), class scores."""
    table = np.asarray(decoder.pick(raw), np.float32)
    height, width = table.shape[-2:]
    rows = table.reshape(-1, height * width).T
    _expect_width(rows, 5 + classes, f"5 + {classes} classes")
    chosen, best, found = _best(rows[:, :1] ** 0.6 * rows[:, 5:] ** 0.4, decoder)
    cells = np.stack([chosen % width, chosen // width], axis=1)
    centre = (cells + np.tanh(rows[chosen, 1:3])) * (size[0] / width, size[1] / height)
    return Candidates(_corners(centre, sigmoid(rows[chosen, 3:5]) * size), best, found)


def ultraface(raw: Raw, decoder: DecoderSpec, classes: int, size: Size) -> Candidates:
    """UltraFace and other SSDs that decode in the graph: scores with the background first, and corners."""
    first, second = (_rows(value) for value in list(raw.values())[:2])
    scores, corners = (second, first) if second.shape[1] == 1 + classes and first.shape[1] == 4 else (first, second)
    _expect_width(scores, 1 + classes, f"the background + {classes} classes")
    _expect_width(corners, 4, "x1, y1, x2, y2")
    chosen, best, found = _best(_scores(scores[:, 1:], decoder), decoder)
    return Candidates(corners[chosen] * _unit(decoder, size), best, found)


def _distances(raw: Raw, decoder: DecoderSpec, classes: int, size: Size, *, cell: float) -> Candidates:
    """A score map and a distance map per stride, or one map with both side by side.

    The maps are ordered by kind (scores of every stride, then distances) or by stride (scores, distances, scores ...);
    what comes after them, such as key points, is not read. Distances are four numbers in strides, or four
    distributions over 0, 1, 2 ... strides.
    """
    maps = [_rows(value) for value in raw.values()]
    levels = len(decoder.strides)
    if len(maps) == 1:
        scores, distances = maps[0][:, :classes], maps[0][:, classes:]
    else:
        by_stride = len(maps[0]) == len(maps[1])
        first = slice(0, 2 * levels, 2) if by_stride else slice(0, levels)
        second = slice(1, 2 * levels, 2) if by_stride else slice(levels, 2 * levels)
        scores, distances = np.concatenate(maps[first]), np.concatenate(maps[second])
    _expect_width(scores, classes, f"{classes} classes")
    if distances.shape[1] % 4 or not distances.size or len(distances) != len(scores):
        raise ValueError(f"{list(distances.shape)} is no map of 4 distances for {len(scores)} scores")
    cells, strides = _cells(size, decoder.strides, len(scores))
    chosen, best, found = _best(_scores(scores, decoder), decoder)
    sides = distances[chosen].reshape(len(chosen), 4, distances.shape[1] // 4)
    if sides.shape[2] > 1:
        sides = softmax(sides) @ np.arange(sides.shape[2], dtype=np.float32)[:, None]
    centre = (cells[chosen] + (cell if decoder.cell is None else decoder.cell)) * strides[chosen]
    sides = sides[:, :, 0] * strides[chosen]
    return Candidates(np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1), best, found)


def finish_boxes(found: Candidates, decoder: DecoderSpec, output: OutputSpec, letterbox: Letterbox) -> Array:
    """Keeps the wanted classes, removes overlaps within a class, and brings the boxes into the frame."""
    corners, scores, classes = found.corners, found.scores, found.classes
    if decoder.keep:
        wanted = np.isin(classes, [output.classes.index(name) for name in decoder.keep])
        corners, scores, classes = corners[wanted], scores[wanted], classes[wanted]
    corners = letterbox.to_frame(corners)
    # What lies in the letterbox's border only has no area left.
    order = np.argsort(-scores, kind="stable")
    order = order[(corners[order, :2] < corners[order, 2:]).all(axis=1)]
    rows = np.concatenate([corners, scores[:, None], classes[:, None]], axis=1).astype(np.float32)[order]
    # A graph with its own decoding has removed overlaps in its own way.
    return rows[: decoder.limit] if decoder.name == "boxes" else suppress(rows, decoder.nms_iou, decoder.limit)


def suppress(rows: Array, max_iou: float, limit: int) -> Array:
    """Non-maximum suppression within each class of rows that are sorted by score; at most `limit` stay."""
    kept: list[Array] = []
    while len(rows) and len(kept) < limit:
        best, rest = rows[:1], rows[1:]
        kept.append(best)
        rows = rest[(box_iou(best, rest)[0] <= max_iou) | (rest[:, 5] != best[0, 5])]
    return np.concatenate(kept) if kept else np.zeros((0, 6), np.float32)


def sigmoid(value: Array) -> Array:
    """The logistic function, without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * np.asarray(value, np.float32)), np.float32)


def softmax(value: Array) -> Array:
    """The softmax over the last axis."""
    exp = np.exp(value - value.max(axis=-1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))


def _softmax_of_all(value: Array) -> Array:
    return softmax(value.reshape(-1).astype(np.float32))


def _rows(value: Array) -> Array:
    return np.asarray(value, np.float32).reshape(-1, value.shape[-1])


def _expect_width(rows: Array, width: int, what: str) -> None:
    if rows.shape[1] != width:
        raise ValueError(f"its rows hold {rows.shape[1]} numbers, not {width} ({what})")


def _scores(value: Array, decoder: DecoderSpec) -> Array:
    return sigmoid(value) if decoder.logits else value


def _best(scores: Array, decoder: DecoderSpec) -> tuple[Array, Array, Array]:
    """The rows whose best class scores enough: their indices, those scores, and those classes."""
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    chosen = np.flatnonzero(best >= decoder.score)
    return chosen, best[chosen], classes[chosen]


def _corners(centre: Array, size: Array) -> Array:
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def _unit(decoder: DecoderSpec, size: Size) -> Size | tuple[int, int, int, int]:
    return (1, 1, 1, 1) if decoder.units == "pixels" else size * 2


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


BOX_DECODERS: dict[str, Callable[[Raw, DecoderSpec, int, Size], Candidates]] = {
    "boxes": boxes,
    "yolox": yolox,
    "yolov5": yolov5,
    "yolov8": yolov8,
    "nanodet": nanodet,
    "scrfd": scrfd,
    "fastestdet": fastestdet,
    "ultraface": ultraface,
}

VALUE_DECODERS: dict[str, Callable[[Array], Array]] = {
    "raw": np.asarray,
    "sigmoid": sigmoid,
    "softmax": _softmax_of_all,
}
DECODERS = (*VALUE_DECODERS, *BOX_DECODERS)

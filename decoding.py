"""From a model's raw output tensors to the one array that `outputs.py` describes."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from .outputs import Array, OutputSpec
from .preprocessing import Placement


class DecoderSpec(BaseModel):
    """Which decoder reads the raw outputs, and its settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="raw", description="one of `decoding.DECODERS`")
    output: str = Field(default="", description="the ONNX output to read; empty: the decoder's own choice")
    score: float = Field(default=0.35, ge=0, le=1, description="boxes: the least score that counts")
    nms_iou: float = Field(default=0.45, gt=0, le=1, description="boxes: overlap above which the weaker one goes")
    keep: tuple[str, ...] = Field(default=(), description="boxes: the classes that count; empty: all")
    limit: int = Field(default=100, ge=1, le=1000, description="boxes: at most so many, best first")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DECODERS:
            raise ValueError(f"no decoder is called {name!r}; there are {', '.join(DECODERS)}")
        return name


def decode(raw: dict[str, Array], decoder: DecoderSpec, output: OutputSpec, placement: Placement) -> Array:
    """The model's output for one frame, from its raw outputs by name (each with a batch axis of 1)."""
    value: Array = DECODERS[decoder.name](raw, decoder, output, placement)
    return value


def _only(raw: dict[str, Array], decoder: DecoderSpec) -> Array:
    """The output that the spec names, or the last one."""
    if decoder.output and decoder.output not in raw:
        raise ValueError(f"there is no output {decoder.output!r}")
    value = raw[decoder.output] if decoder.output else next(reversed(raw.values()))
    return np.asarray(value)


def _raw(raw: dict[str, Array], decoder: DecoderSpec, output: OutputSpec, placement: Placement) -> Array:
    value = _only(raw, decoder)
    return value.reshape([n for n in value.shape if n != 1] or [1]) if output.kind == "mask" else value.reshape(-1)


def _sigmoid(raw: dict[str, Array], decoder: DecoderSpec, output: OutputSpec, placement: Placement) -> Array:
    value = _raw(raw, decoder, output, placement)
    return np.asarray(1.0 / (1.0 + np.exp(-value.astype(np.float32))))


def _softmax(raw: dict[str, Array], decoder: DecoderSpec, output: OutputSpec, placement: Placement) -> Array:
    value = _only(raw, decoder).reshape(-1).astype(np.float32)
    exp = np.exp(value - value.max())
    return np.asarray(exp / exp.sum())


def _boxes(raw: dict[str, Array], decoder: DecoderSpec, output: OutputSpec, placement: Placement) -> Array:
    """Rows of x1, y1, x2, y2 (shares of the input), score, class: what a graph with its own decoding returns."""
    rows = _only(raw, decoder).reshape(-1, 6).astype(np.float32)
    rows = rows[rows[:, 4] >= decoder.score]
    corners = rows[:, :4] * ((placement.input_width, placement.input_height) * 2)
    return finish_boxes(corners, rows[:, 4], rows[:, 5].astype(np.int64), decoder, output, placement, nms=False)


def _yolox(raw: dict[str, Array], decoder: DecoderSpec, output: OutputSpec, placement: Placement) -> Array:
    """YOLOX rows over strides 8, 16, 32: centre and log size relative to the cell, objectness, class scores."""
    rows = _only(raw, decoder)[0].astype(np.float32)
    grids, strides = _yolox_grid(placement.input_width, placement.input_height)
    scores = rows[:, 4:5] * rows[:, 5:]
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    chosen = best >= decoder.score
    rows, grids, strides = rows[chosen], grids[chosen], strides[chosen]
    centre = (rows[:, :2] + grids) * strides
    half = np.exp(rows[:, 2:4]) * strides / 2
    corners = np.concatenate([centre - half, centre + half], axis=1)
    return finish_boxes(corners, best[chosen], classes[chosen], decoder, output, placement)


def _yolox_grid(width: int, height: int) -> tuple[Array, Array]:
    grids, strides = [], []
    for stride in (8, 16, 32):
        xs, ys = np.meshgrid(np.arange(width // stride), np.arange(height // stride))
        grids.append(np.stack([xs, ys], axis=2).reshape(-1, 2))
        strides.append(np.full((grids[-1].shape[0], 1), stride))
    return np.concatenate(grids).astype(np.float32), np.concatenate(strides).astype(np.float32)


def finish_boxes(
    corners: Array,
    scores: Array,
    classes: Array,
    decoder: DecoderSpec,
    output: OutputSpec,
    placement: Placement,
    *,
    nms: bool = True,
) -> Array:
    """Keeps the wanted classes, removes overlaps within a class, and brings boxes (input pixels) into the frame."""
    if decoder.keep:
        wanted = [output.classes.index(name) for name in decoder.keep]
        chosen = np.isin(classes, wanted)
        corners, scores, classes = corners[chosen], scores[chosen], classes[chosen]
    if nms and len(scores):
        sizes = corners[:, 2:] - corners[:, :2]
        rects = np.concatenate([corners[:, :2], sizes], axis=1)
        kept = cv2.dnn.NMSBoxesBatched(
            rects.tolist(), scores.tolist(), classes.tolist(), decoder.score, decoder.nms_iou
        )
        index = np.asarray(kept, np.int64).reshape(-1)
        corners, scores, classes = corners[index], scores[index], classes[index]
    order = np.argsort(-scores, kind="stable")[: decoder.limit]
    columns = [placement.to_frame(corners[order]), scores[order, None], classes[order, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)


DECODERS: dict[str, Callable[..., Any]] = {
    "raw": _raw,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "boxes": _boxes,
    "yolox": _yolox,
}

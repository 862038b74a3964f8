"""From a model's raw output tensors to the one array that `outputs.py` describes: the decoders, by name.

A decoder of values returns the array itself. A decoder of boxes (`grid_decoders.py`, `table_decoders.py`) returns
candidates, in which the wanted classes are then chosen and overlaps removed.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..errors import BadOutput
from ..outputs import Array, OutputSpec, box_iou
from .candidates import FORMS, Candidates, Raw, Size, sigmoid, softmax
from .grid_decoders import fastestdet, nanodet, scrfd, yolov5, yolov8, yolox
from .inputs.fed import Letterbox
from .table_decoders import boxes, detr, lists, ultraface

Column = Literal["x1", "y1", "x2", "y2", "cx", "cy", "w", "h", "score", "class", "-"]

_IN_PIXELS = ("yolov5", "yolov8")
_WITHOUT_OVERLAPS = ("boxes", "lists", "detr")


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
    units: Literal["shares", "pixels"] | None = Field(default=None, description="what boxes are in: of the input")
    columns: tuple[Column, ...] = Field(default=(), description="boxes, lists, detr, ultraface: a row's numbers")
    outputs: tuple[str, ...] = Field(default=(), description="lists, detr, ultraface: the ONNX outputs to read")
    background: Literal["first", "last", "none"] | None = Field(
        default=None, description="detr, ultraface: the place of the class that stands for nothing"
    )
    first_class: int = Field(default=0, ge=0, description="boxes, lists: the number that the first class has")
    extra: int = Field(default=0, ge=0, description="boxes, yolov5, yolov8: numbers at a row's end that are not read")
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

    @model_validator(mode="after")
    def _fitting(self) -> "DecoderSpec":
        expected = {"lists": (3, 4), "detr": (0, 2), "ultraface": (0, 2)}.get(self.name, (0,))
        if len(self.outputs) not in expected:
            what = (
                "boxes, scores, classes and, if there is one, how many count"
                if self.name == "lists"
                else "scores, boxes"
            )
            raise ValueError(f"`outputs` of decoder {self.name} must name {what}; not {list(self.outputs)}")
        scored = ("score", "class") if self.name == "boxes" else ()
        named = sorted(name for name in self.columns if name != "-")
        if self.columns and named not in [sorted((*form, *scored)) for form in FORMS]:
            forms = " or ".join(", ".join((*form, *scored)) for form in FORMS)
            raise ValueError(
                f"`columns` must hold {forms}, in the model's order, `-` for others; not {list(self.columns)}"
            )
        if "-" in self.columns and self.name != "boxes":
            raise ValueError(f"`columns` of decoder {self.name} has four names")
        return self

    @property
    def unit(self) -> Literal["shares", "pixels"]:
        """What boxes are in; the decoder's own unit where the spec does not say."""
        return self.units or ("pixels" if self.name in _IN_PIXELS else "shares")

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


def finish_boxes(found: Candidates, decoder: DecoderSpec, output: OutputSpec, letterbox: Letterbox) -> Array:
    """Keeps the wanted classes, removes overlaps within a class, and brings the boxes into the frame."""
    corners, scores, classes = found.corners, found.scores, found.classes
    if not np.isfinite(corners).all():
        raise BadOutput("a boxes output's corners hold NaN or infinity")
    if decoder.keep:
        wanted = np.isin(classes, [output.classes.index(name) for name in decoder.keep])
        corners, scores, classes = corners[wanted], scores[wanted], classes[wanted]
    corners = letterbox.to_frame(corners)
    # What lies in the letterbox's border only has no area left.
    order = np.argsort(-scores, kind="stable")
    order = order[(corners[order, :2] < corners[order, 2:]).all(axis=1)]
    rows = np.concatenate([corners, scores[:, None], classes[:, None]], axis=1).astype(np.float32)[order]
    # A graph with its own decoding has removed overlaps in its own way.
    if decoder.name in _WITHOUT_OVERLAPS:
        return rows[: decoder.limit]
    return suppress(rows, decoder.nms_iou, decoder.limit)


def suppress(rows: Array, max_iou: float, limit: int) -> Array:
    """Non-maximum suppression within each class of rows that are sorted by score; at most `limit` stay."""
    kept: list[Array] = []
    while len(rows) and len(kept) < limit:
        best, rest = rows[:1], rows[1:]
        kept.append(best)
        rows = rest[(box_iou(best, rest)[0] <= max_iou) | (rest[:, 5] != best[0, 5])]
    return np.concatenate(kept) if kept else np.zeros((0, 6), np.float32)


def _softmax_of_all(value: Array) -> Array:
    return softmax(value.reshape(-1).astype(np.float32))


BOX_DECODERS: dict[str, Callable[[Raw, DecoderSpec, int, Size], Candidates]] = {
    "boxes": boxes,
    "yolox": yolox,
    "yolov5": yolov5,
    "yolov8": yolov8,
    "nanodet": nanodet,
    "scrfd": scrfd,
    "fastestdet": fastestdet,
    "ultraface": ultraface,
    "detr": detr,
    "lists": lists,
}

VALUE_DECODERS: dict[str, Callable[[Array], Array]] = {
    "raw": np.asarray,
    "sigmoid": sigmoid,
    "softmax": _softmax_of_all,
}
DECODERS = (*VALUE_DECODERS, *BOX_DECODERS)

"""From a model's raw output tensors to the one array that `outputs.py` describes."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from .box_decoders import BOX_DECODERS, Raw, finish_boxes, sigmoid, softmax
from .outputs import Array, OutputSpec
from .preprocessing import Placement


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


def decode(raw: Raw, decoder: DecoderSpec, output: OutputSpec, placement: Placement) -> Array:
    """The model's output for one frame, from its raw outputs by name (each with a batch axis of 1)."""
    if decoder.name in BOX_DECODERS:
        size = (placement.input_width, placement.input_height)
        found = BOX_DECODERS[decoder.name](raw, decoder, len(output.classes), size)
        return finish_boxes(found, decoder, output, placement)
    value = VALUE_DECODERS[decoder.name](decoder.pick(raw))
    return _mask(value, decoder, placement) if output.kind == "mask" else value.reshape(-1)


def _softmax_of_all(value: Array) -> Array:
    return softmax(value.reshape(-1).astype(np.float32))


def _mask(value: Array, decoder: DecoderSpec, placement: Placement) -> Array:
    """A map of the whole input as a map of the frame: without the letterbox's border, one number a block."""
    height, width = value.shape[-2:]
    plane = value.reshape(height, width)
    across, down = width / placement.input_width, height / placement.input_height
    top, left = round(placement.offset_y * down), round(placement.offset_x * across)
    bottom, right = (
        round((placement.offset_y + placement.height) * down),
        round((placement.offset_x + placement.width) * across),
    )
    plane = plane[top:bottom, left:right]
    step = decoder.stride
    rows, columns = plane.shape[0] // step * step, plane.shape[1] // step * step
    return np.asarray(plane[:rows, :columns].reshape(rows // step, step, columns // step, step).max(axis=(1, 3)))


VALUE_DECODERS: dict[str, Callable[[Array], Array]] = {
    "raw": np.asarray,
    "sigmoid": sigmoid,
    "softmax": _softmax_of_all,
}
DECODERS = (*VALUE_DECODERS, *BOX_DECODERS)

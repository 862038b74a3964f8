"""From a frame to a model's input tensor, and where the frame lies in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import InvalidInput, ModelFailed
from ...outputs import Array
from .fed import Fed, Feeder, Letterbox, only

FED_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int32)": np.dtype(np.int32),
}
"""The types of input that a picture is fed as, by onnxruntime's names."""

_LEAST_SPAN = 0.05
_WHOLE_SPAN = 8


class PictureInput(BaseModel):
    """How to make a model's input tensor: `(pixel - mean) / std`, pixels from 0 to 255, in `color` order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: Literal["image"] = "image"
    name: str = Field(default="", description="the ONNX input's name; empty: the only one there is")
    size: tuple[int, int] = Field(description="width, height")
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    color: Literal["RGB", "BGR", "GRAY"] = "RGB"
    resize: Literal["stretch", "letterbox", "letterbox_center"] = "stretch"
    fill: int = Field(default=114, ge=0, le=255, description="the letterbox's grey")
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)

    @model_validator(mode="after")
    def _fits(self) -> "PictureInput":
        channels = 1 if self.color == "GRAY" else 3
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                allowed = "1 number" if channels == 1 else f"1 or {channels} numbers"
                raise ValueError(f"`{key}` must have {allowed}, not {len(values)}")
        self._check_scale()
        if min(self.size) < 1 or max(self.size) > 8192:
            raise ValueError(f"`size` (width, height) must be from 1 to 8192 each, not {self.size}")
        return self

    def _check_scale(self) -> None:
        """Raises ValueError where mean and std can't be meant for pixels from 0 to 255."""
        if not all(np.isfinite(number) for number in (*self.mean, *self.std)):
            raise ValueError("`mean` and `std` must be finite numbers")
        if min(self.std) <= 0:
            raise ValueError(f"`std` must be above 0, not {min(self.std):g}: it divides each pixel")
        of_shares = [
            f"{key} = {[round(n * 255, 3) for n in each]}"
            for key, each in (("mean", self.mean), ("std", self.std))
            if any(0 < abs(n) < 1 for n in each)
        ]
        if of_shares:
            raise ValueError(
                f"`mean` and `std` are of pixels from 0 to 255, and these are of 0 to 1: times 255, "
                f"{', '.join(of_shares)}; to divide by 255 alone, mean = [0], std = [255]"
            )
        if max(abs(n) for n in self.mean) > 255 or 255 / max(self.std) < _LEAST_SPAN:
            raise ValueError(
                f"`mean` {list(self.mean)} and `std` {list(self.std)} leave nothing of pixels from 0 to 255: "
                "were they times 255 already?"
            )

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no frame (uint8 BGR)."""
        check_frame(value)

    def samples(self) -> list[Array]:
        """Inputs to try a model out with: a grey frame, and one of noise."""
        grey = np.full((360, 640, 3), 114, np.uint8)
        return [grey, np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)]

    def bind(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensor for a graph with these inputs.

        Raises:
            InvalidInput: it has not the one that this makes.
        """
        node = only(self.name, nodes)
        expected, actual = self.tensor_shape, node.shape
        fits = len(actual) == 4 and all(not isinstance(a, int) or a == e for a, e in zip(actual, expected, strict=True))
        if not fits:
            raise InvalidInput(
                f"its input {node.name!r} is {actual}, but its spec makes {list(expected)} "
                f"(`input.size` is width, height; `input.layout` is {self.layout})"
            )
        try:
            kind = self.fed_as(node.type)
        except InvalidInput as error:
            raise InvalidInput(f"its input {node.name!r}: {error}") from error

        def feed(value: Array) -> Fed:
            try:
                tensor, letterbox = preprocess(value, self)
            except cv2.error as error:
                raise ModelFailed(f"a frame of {value.shape}: {str(error).splitlines()[0]}") from error
            if kind.kind in "iu":
                tensor = np.rint(tensor)
            return Fed({node.name: tensor.astype(kind, copy=False)}, letterbox)

        return feed

    def fed_as(self, onnx_type: str) -> np.dtype[Any]:
        """What the tensor's numbers are for an input of this type.

        Raises:
            InvalidInput: pictures are not fed as that, or what this makes of them does not fit into it.
        """
        kind = FED_TYPES.get(onnx_type)
        if kind is None:
            raise InvalidInput(f"it takes {onnx_type}, and pictures are fed as {', '.join(FED_TYPES)}")
        if kind.kind in "iu":
            least, most = self._range()
            fits = np.iinfo(kind).min - 0.5 <= least and most <= np.iinfo(kind).max + 0.5
            if not fits or most - least < _WHOLE_SPAN:
                usual = "mean = [128], std = [1]" if kind == np.int8 else "mean = [0], std = [1]"
                raise InvalidInput(
                    f"it takes whole numbers ({onnx_type}), and `input.mean` and `input.std` make {least:.4g} to "
                    f"{most:.4g} of the pixels; raw pixels are {usual}"
                )
        return kind

    def _range(self) -> tuple[float, float]:
        """The tensor's least and largest number."""
        mean, std = np.asarray(self.mean, np.float64), np.asarray(self.std, np.float64)
        return float(((0 - mean) / std).min()), float(((255 - mean) / std).max())

    @property
    def tensor_shape(self) -> tuple[int, int, int, int]:
        """The tensor's shape for one frame."""
        channels = 1 if self.color == "GRAY" else 3
        width, height = self.size
        return (1, channels, height, width) if self.layout == "NCHW" else (1, height, width, channels)


def check_frame(frame: Array) -> None:
    """Makes sure that this is a frame.

    Raises:
        InvalidInput: it is not uint8, not height x width x 3, or has no pixel.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InvalidInput(
            f"a frame must be uint8 of shape (height, width, 3), at least 1 pixel; not {frame.dtype} of {frame.shape}"
        )


def preprocess(frame: Array, spec: PictureInput) -> tuple[Array, Letterbox]:
    """The input tensor (float32, `spec.tensor_shape`) of a frame (uint8 BGR, height x width x 3).

    Raises:
        InvalidInput: it is no such frame.
    """
    check_frame(frame)
    width, height = spec.size
    if spec.resize == "stretch":
        image = cv2.resize(frame, spec.size, interpolation=_interpolation(frame, width, height))
        letterbox = Letterbox(0, 0, width, height, width, height)
    else:
        image, letterbox = _letterbox(frame, spec)
    return _as_tensor(image, spec), letterbox


def _as_tensor(image: Array, spec: PictureInput) -> Array:
    """The tensor of a picture of the model's size: each number is written once, where the model reads it."""
    tensor = np.empty(spec.tensor_shape, np.float32)
    if spec.color == "GRAY":
        planes: Sequence[Array] = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)]
    else:
        planes = cv2.split(image)[:: -1 if spec.color == "RGB" else 1]
    means, stds = (np.broadcast_to(np.asarray(each, np.float32), len(planes)) for each in (spec.mean, spec.std))
    for at, plane in enumerate(planes):
        target = tensor[0, at] if spec.layout == "NCHW" else tensor[0, :, :, at]
        mean, factor = means[at], 1.0 / stds[at]
        if mean:
            np.subtract(plane, mean, out=target, dtype=np.float32)
            target *= factor
        elif factor != 1.0:
            np.multiply(plane, factor, out=target, dtype=np.float32)
        else:
            target[:] = plane
    return tensor


def _letterbox(frame: Array, spec: PictureInput) -> tuple[Array, Letterbox]:
    width, height = spec.size
    scale = min(width / frame.shape[1], height / frame.shape[0])
    # Cut, not rounded, as the reference code of YOLOX does; the boxes go back through the exact scale.
    inner_width, inner_height = max(1, int(frame.shape[1] * scale)), max(1, int(frame.shape[0] * scale))
    left, top = 0, 0
    if spec.resize == "letterbox_center":
        left, top = (width - inner_width) // 2, (height - inner_height) // 2
    image = np.full((height, width, 3), spec.fill, np.uint8)
    inner = image[top : top + inner_height, left : left + inner_width]
    inner[:] = cv2.resize(
        frame, (inner_width, inner_height), interpolation=_interpolation(frame, inner_width, inner_height)
    )
    return image, Letterbox(left, top, frame.shape[1] * scale, frame.shape[0] * scale, width, height)


def _interpolation(frame: Array, width: int, height: int) -> int:
    shrinks_much = frame.shape[1] >= 2 * width and frame.shape[0] >= 2 * height
    return cv2.INTER_AREA if shrinks_much else cv2.INTER_LINEAR

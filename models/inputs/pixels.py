"""From pictures to the numbers of a model's input tensor, and where each lies in it."""

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import Field, model_validator

from ...errors import InvalidInput, ModelFailed
from ...outputs import Array
from .base import BaseInput
from .fed import Letterbox

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


class PixelInput(BaseInput):
    """How pixels become numbers: `(pixel - mean) / std`, pixels from 0 to 255, in `color` order."""

    size: tuple[int, int] = Field(description="width, height")
    color: Literal["RGB", "BGR", "GRAY"] = "RGB"
    resize: Literal["stretch", "letterbox", "letterbox_center"] = "stretch"
    fill: int = Field(default=114, ge=0, le=255, description="the letterbox's grey")
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)

    @model_validator(mode="after")
    def _fits(self) -> "PixelInput":
        channels = self.channels
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

    @property
    def channels(self) -> int:
        """How many numbers a pixel has."""
        return 1 if self.color == "GRAY" else 3

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

    def write(self, frame: Array, target: Array) -> Letterbox:
        """Writes a frame's numbers where the model reads them: each number once.

        Args:
            frame: uint8 BGR, height x width x 3.
            target: float32, channels x height x width, of the model's size.

        Raises:
            InvalidInput: this is no frame.
            ModelFailed: OpenCV can't do it.
        """
        check_frame(frame)
        try:
            image, letterbox = _sized(frame, self)
            self._normalize(image, target)
        except cv2.error as error:
            raise ModelFailed(f"a frame of {frame.shape}: {str(error).splitlines()[0]}") from error
        return letterbox

    def _normalize(self, image: Array, target: Array) -> None:
        if self.color == "GRAY":
            planes: Sequence[Array] = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)]
        else:
            planes = cv2.split(image)[:: -1 if self.color == "RGB" else 1]
        means, stds = (np.broadcast_to(np.asarray(each, np.float32), len(planes)) for each in (self.mean, self.std))
        for at, plane in enumerate(planes):
            mean, factor, out = means[at], 1.0 / stds[at], target[at]
            if mean:
                np.subtract(plane, mean, out=out, dtype=np.float32)
                out *= factor
            elif factor != 1.0:
                np.multiply(plane, factor, out=out, dtype=np.float32)
            else:
                out[:] = plane


def check_frame(frame: Array) -> None:
    """Makes sure that this is a frame.

    Raises:
        InvalidInput: it is not uint8, not height x width x 3, or has no pixel.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InvalidInput(
            f"a frame must be uint8 of shape (height, width, 3), at least 1 pixel; not {frame.dtype} of {frame.shape}"
        )


def as_fed(tensor: Array, kind: np.dtype[Any]) -> Array:
    """A tensor of pixels in the type that the model takes: whole numbers are rounded."""
    return (np.rint(tensor) if kind.kind in "iu" else tensor).astype(kind, copy=False)


def _sized(frame: Array, spec: PixelInput) -> tuple[Array, Letterbox]:
    if spec.resize != "stretch":
        return _letterbox(frame, spec)
    width, height = spec.size
    image = cv2.resize(frame, spec.size, interpolation=_interpolation(frame, width, height))
    return image, Letterbox(0, 0, width, height, width, height)


def _letterbox(frame: Array, spec: PixelInput) -> tuple[Array, Letterbox]:
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

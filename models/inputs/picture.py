"""From a frame to a model's input tensor, and where the frame lies in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .base import fitting
from .fed import Fed, Feeder, Letterbox, only
from .pixels import PixelInput, as_fed, check_frame

_TRIAL_SIZES = ((720, 1280), (360, 640))


class PictureInput(PixelInput):
    """How a frame becomes a model's input tensor."""

    modality: Literal["image"] = "image"
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no frame (uint8 BGR)."""
        check_frame(value)

    def told(self) -> str:
        """Its size and layout."""
        return f"{self.size[0]}x{self.size[1]} {self.layout}"

    def samples(self) -> list[Array]:
        """Inputs to try a model out with: a grey frame, and one of noise."""
        grey = np.full((360, 640, 3), 114, np.uint8)
        return [grey, np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)]

    def trials(self) -> list[Array]:
        """Inputs to measure a model with: noise as large as cameras give it."""
        random = np.random.default_rng(0)
        return [random.integers(0, 256, (*size, 3), np.uint8) for size in _TRIAL_SIZES for _ in range(2)]

    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensor.

        Raises:
            InvalidInput: the graph takes something else.
        """
        node = only(self.name, nodes)
        if not fitting(node, self.tensor_shape):
            raise InvalidInput(
                f"its input {node.name!r} is {node.shape}, but its spec makes {list(self.tensor_shape)} "
                f"(`input.size` is width, height; `input.layout` is {self.layout})"
            )
        try:
            kind = self.fed_as(node.type)
        except InvalidInput as error:
            raise InvalidInput(f"its input {node.name!r}: {error}") from error

        def feed(value: Array) -> Fed:
            tensor, letterbox = preprocess(value, self)
            return Fed({node.name: as_fed(tensor, kind)}, letterbox)

        return feed

    @property
    def tensor_shape(self) -> tuple[int, int, int, int]:
        """The tensor's shape for one frame."""
        width, height, channels = *self.size, self.channels
        return (1, channels, height, width) if self.layout == "NCHW" else (1, height, width, channels)


def preprocess(frame: Array, spec: PictureInput) -> tuple[Array, Letterbox]:
    """The input tensor (float32, `spec.tensor_shape`) of a frame (uint8 BGR, height x width x 3).

    Raises:
        InvalidInput: it is no such frame.
    """
    tensor = np.empty(spec.tensor_shape, np.float32)
    planes = tensor[0] if spec.layout == "NCHW" else tensor[0].transpose(2, 0, 1)
    return tensor, spec.write(frame, planes)

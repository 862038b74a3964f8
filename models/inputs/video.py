"""A clip: a window of a video's newest frames, each as a picture would be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from ...errors import InvalidInput
from ...outputs import Array
from .base import Shapes, fitting, size_in, window_fits
from .fed import WHOLE, Fed, Feeder, only
from .form import InputForm
from .pixels import PixelInput, as_fed

_SAMPLE_FRAMES = 8
# From the axes of a layout to frames, channels, height, width: how the tensor is looked at while it is written.
_AXES = {"NCTHW": (1, 0, 2, 3), "NTCHW": (0, 1, 2, 3), "NTHWC": (0, 3, 1, 2)}


class VideoInput(PixelInput):
    """How a clip becomes a model's input tensor."""

    modality: Literal["video"]
    frames: int = Field(default=0, ge=0, le=1024, description="how many; 0: as many as the graph says, or any number")
    layout: Literal["NCTHW", "NTCHW", "NTHWC"] = "NCTHW"

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no such clip: uint8 BGR (frames, height, width, 3)."""
        if value.dtype != np.uint8 or value.ndim != 4 or value.shape[3] != 3 or not value.size:
            raise InvalidInput(
                "a clip must be uint8 of shape (frames, height, width, 3), at least 1 pixel; not "
                f"{value.dtype} of {value.shape}"
            )
        if self.frames and len(value) != self.frames:
            raise InvalidInput(f"a clip must have {self.frames} frames (`input.frames`), not {len(value)}")

    def told(self) -> str:
        """How many frames of what size, and their layout."""
        return f"{self.frames or 'any'} frames {self.size[0]}x{self.size[1]} {self.layout}"

    def samples(self) -> list[Array]:
        """Inputs to try a model out with: a grey clip, and one of noise."""
        shape = (self.frames or _SAMPLE_FRAMES, 120, 160, 3)
        return [np.full(shape, 114, np.uint8), np.random.default_rng(0).integers(0, 256, shape, np.uint8)]

    def filled(self, shapes: Shapes) -> Self:
        """With as many frames as the graph says."""
        frames = self.frames or size_in(shapes, self.name, self.layout.index("T"), 5)
        return self.model_copy(update={"frames": frames})

    def fits(self, form: InputForm) -> str:
        """Why inputs of this form are none for the model: another window."""
        return super().fits(form) or window_fits("frames", self.frames, form)

    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensor.

        Raises:
            InvalidInput: the graph takes something else.
        """
        node = only(self.name, nodes)
        expected = self._shape(self.frames or None)
        if not fitting(node, expected):
            raise InvalidInput(
                f"its input {node.name!r} is {node.shape}, but its spec makes {[e or 'frames' for e in expected]} "
                f"(`input.size` is width, height; `input.frames`; `input.layout` is {self.layout})"
            )
        try:
            kind = self.fed_as(node.type)
        except InvalidInput as error:
            raise InvalidInput(f"its input {node.name!r}: {error}") from error

        def feed(value: Array) -> Fed:
            self.check(value)
            tensor = np.empty([size or 1 for size in self._shape(len(value))], np.float32)
            letterbox = WHOLE
            for frame, target in zip(value, tensor[0].transpose(_AXES[self.layout]), strict=True):
                letterbox = self.write(frame, target)
            return Fed({node.name: as_fed(tensor, kind)}, letterbox)

        return feed

    def _shape(self, frames: int | None) -> list[int | None]:
        sizes = {"N": 1, "C": self.channels, "T": frames, "H": self.size[1], "W": self.size[0]}
        return [sizes[axis] for axis in self.layout]

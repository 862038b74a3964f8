"""A window of frames: the newest picture of a stream and those that led to it."""

from collections import deque
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...models.stem.stem import shrink
from ...outputs import Array
from .image import PAPER_SIDE, SIDE, augment_pictures, check_picture
from .net import Net

if TYPE_CHECKING:
    from torch import nn

_FRAMES = 3
_PAPER_FRAMES = 5


class Video(BaseModel):
    """The newest frames of a stream, or a clip of its own.

    Attributes:
        net: whose feature network it is for.
        frames: how many frames a window has.
        side: pixels along either side of what the network sees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["video"] = "video"
    net: Net = "ours"
    frames: int = Field(default=_FRAMES, ge=2, le=32)
    side: int = Field(default=SIDE, ge=16)

    @classmethod
    def fit(cls, values: list[Array], *, net: Net = "ours") -> Self:
        """Of the network's own size."""
        for value in values[:1]:
            check_picture(value if value.ndim == 3 else value[0] if len(value) else value)
        return cls(
            net=net,
            frames=_PAPER_FRAMES if net == "paper" else _FRAMES,
            side=PAPER_SIDE if net == "paper" else SIDE,
        )

    @property
    def dtype(self) -> str:
        """Of a prepared input."""
        return "uint8"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared input."""
        return (self.frames, 3, self.side, self.side)

    def prepare(self, value: Array) -> Array:
        """A clip (frames, height, width, 3), evenly thinned: uint8 (frames, 3, side, side).

        Raises:
            InvalidInput: it is no clip.
        """
        if value.ndim != 4 or len(value) < 1:
            raise InvalidInput(f"a clip must be uint8 (frames, height, width, 3), not {value.dtype} {value.shape}")
        at = np.linspace(0, len(value) - 1, self.frames).round().astype(int)
        return np.stack([self.prepare_frame(value[i]) for i in at])

    def prepare_frame(self, frame: Array) -> Array:
        """One frame of a stream: uint8 (3, side, side).

        Raises:
            InvalidInput: it is no picture.
        """
        check_picture(frame)
        return shrink(frame, (self.side, self.side)).transpose(2, 0, 1)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Shifts and mirrors each window, and makes it brighter or darker."""
        return augment_pictures(batch, random)

    def encoder(self) -> "tuple[nn.Module, int]":
        """One tower for all frames, then the newest frame's features and how they changed: (n, 96)."""
        if self.net == "paper":
            from ..networks.paper import PaperVideoEncoder

            return PaperVideoEncoder(self.frames), PaperVideoEncoder.FEATURES
        from ..networks.encoders import VideoEncoder

        return VideoEncoder(), VideoEncoder.FEATURES


class Window:
    """The newest frames of a stream, as a `Video` prepares them; before there are enough, the first one is repeated."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._frames: deque[Array] = deque(maxlen=video.frames)

    def see(self, frame: Array) -> Array:
        """Takes the next frame in and returns the window: uint8 (frames, 3, side, side)."""
        prepared = self._video.prepare_frame(frame)
        self._frames.extend([prepared] * (self._video.frames if not self._frames else 1))
        return np.stack(self._frames)

    def reset(self) -> None:
        """Starts a new stream."""
        self._frames.clear()

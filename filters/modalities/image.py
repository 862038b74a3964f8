"""A picture by itself, in colour, without memory of earlier ones."""

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...models.stem.stem import shrink
from ...outputs import Array
from .net import Net

if TYPE_CHECKING:
    from torch import nn

SIDE = 112
PAPER_SIDE = 224


class Image(BaseModel):
    """A picture, uint8 (height, width, 3), BGR, of any size.

    Attributes:
        net: whose feature network it is for.
        side: pixels along either side of what the network sees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["image"] = "image"
    net: Net = "ours"
    side: int = Field(default=SIDE, ge=16)

    @classmethod
    def fit(cls, values: list[Array], *, net: Net = "ours") -> Self:
        """Of the network's own size."""
        for value in values[:1]:
            check_picture(value)
        return cls(net=net, side=PAPER_SIDE if net == "paper" else SIDE)

    @property
    def dtype(self) -> str:
        """Of a prepared input."""
        return "uint8"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared input."""
        return (3, self.side, self.side)

    def prepare(self, value: Array) -> Array:
        """The picture at the network's size: uint8 (3, side, side).

        Raises:
            InvalidInput: it is no picture.
        """
        check_picture(value)
        return shrink(value, (self.side, self.side)).transpose(2, 0, 1)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Shifts and mirrors each picture, and makes it brighter or darker."""
        return augment_pictures(batch, random)

    def encoder(self) -> "tuple[nn.Module, int]":
        """Strided convolutions and a residual one, mean and most: features (n, 112)."""
        if self.net == "paper":
            from ..networks.paper import PaperMapEncoder

            return PaperMapEncoder(3), PaperMapEncoder.FEATURES
        from ..networks.encoders import PictureEncoder

        return PictureEncoder(3), PictureEncoder.FEATURES


def check_picture(value: Array) -> None:
    """Raises InvalidInput if it is none."""
    if value.ndim != 3 or value.shape[2] != 3 or value.dtype != np.uint8 or min(value.shape) < 1:
        raise InvalidInput(f"a picture must be uint8 (height, width, 3), not {value.dtype} {value.shape}")


def augment_pictures(batch: Array, random: np.random.Generator) -> Array:
    """Shifts and mirrors, and another gain, all of an input (..., height, width) alike: uint8."""
    out = np.empty_like(batch)
    most = batch.shape[-1] // 16
    for row, picture in zip(out, batch, strict=True):
        down, across = random.integers(-most, most + 1, 2)
        moved = np.roll(picture, (down, across), axis=(-2, -1))
        row[:] = moved[..., ::-1] if random.random() < 0.5 else moved
    gain = random.uniform(0.8, 1.2, (len(batch),) + (1,) * (batch.ndim - 1)).astype(np.float32)
    return np.asarray(np.minimum(out * gain, 255.0), np.uint8)

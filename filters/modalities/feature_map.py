"""A model's own feature map, at the cut between the part of it on the device and the part in the cloud."""

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...errors import InvalidInput
from ...outputs import Array
from .net import Net

if TYPE_CHECKING:
    from torch import nn


class FeatureMap(BaseModel):
    """A map (channels, height, width) of numbers.

    Attributes:
        net: whose feature network it is for.
        size: channels, height, width.
        mean: of each channel, over the inputs that were trained on.
        scale: one over its deviation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["map"] = "map"
    net: Net = "ours"
    size: tuple[int, int, int]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, values: list[Array], *, net: Net = "ours") -> Self:
        """Of the size they all have."""
        size = tuple(values[0].shape)
        for value in values:
            _check(value, size)
        stack = np.stack(values)
        scale = 1.0 / np.maximum(stack.std(axis=(0, 2, 3), dtype=np.float64), 1e-6)
        mean = stack.mean(axis=(0, 2, 3), dtype=np.float64)
        return cls(net=net, size=(size[0], size[1], size[2]), mean=tuple(mean.tolist()), scale=tuple(scale.tolist()))

    @property
    def dtype(self) -> str:
        """Of a prepared input."""
        return "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared input."""
        return self.size

    def prepare(self, value: Array) -> Array:
        """Each channel about 0: float32, of the same shape.

        Raises:
            InvalidInput: it has another size, or NaN.
        """
        _check(value, self.size)
        mean, scale = (np.asarray(each, np.float32)[:, None, None] for each in (self.mean, self.scale))
        return np.asarray((value.astype(np.float32) - mean) * scale)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Mirrors, another gain."""
        mirrored = batch[..., ::-1] if random.random() < 0.5 else batch
        return np.asarray(mirrored * random.uniform(0.9, 1.1, (len(batch), 1, 1, 1)).astype(np.float32))

    def encoder(self) -> "tuple[nn.Module, int]":
        """A 1x1 convolution, a strided and a residual one, mean and most: features (n, 96)."""
        if self.net == "paper":
            from ..networks.paper import PaperVectorEncoder

            return PaperVectorEncoder(int(np.prod(self.size))), PaperVectorEncoder.FEATURES
        if self.net == "filterforward":
            from ..networks.paper import FilterForwardEncoder

            return FilterForwardEncoder(self.size[0]), FilterForwardEncoder.FEATURES
        from ..networks.encoders import MapEncoder

        return MapEncoder(self.size[0], stride=2 if min(self.size[1:]) >= 8 else 1), 96


def _check(value: Array, size: tuple[int, ...]) -> None:
    if value.ndim != 3 or tuple(value.shape) != tuple(size):
        raise InvalidInput(f"a feature map must be {'x'.join(map(str, size))} like the others, not {value.shape}")
    if not np.isfinite(value).all():
        raise InvalidInput("a feature map must not hold NaN or infinity")

"""A sensor's signal: a window of several channels over time."""

from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...outputs import Array
from .net import Net

if TYPE_CHECKING:
    from torch import nn

_LONGEST = 512


class Signal(BaseModel):
    """A window (steps, channels) of numbers; windows of another length are stretched to `steps`.

    Attributes:
        net: whose feature network it is for.
        steps: how many steps a window is brought to.
        mean: of each channel, over the inputs that were trained on.
        scale: one over its deviation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["signal"] = "signal"
    net: Net = "ours"
    steps: int = Field(ge=4)
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, values: list[Array], *, net: Net = "ours") -> Self:
        """As long as the median window."""
        for value in values:
            _check(value, values[0].shape[-1])
        steps = int(np.clip(np.median([len(value) for value in values]), 8, _LONGEST))
        all_steps = np.concatenate([np.asarray(value, np.float64) for value in values])
        scale = 1.0 / np.maximum(all_steps.std(axis=0), 1e-6)
        return cls(net=net, steps=steps, mean=tuple(all_steps.mean(axis=0).tolist()), scale=tuple(scale.tolist()))

    @property
    def dtype(self) -> str:
        """Of a prepared input."""
        return "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared input."""
        return (len(self.mean), self.steps)

    @cached_property
    def _normal(self) -> tuple[Array, Array]:
        return np.asarray(self.mean, np.float32), np.asarray(self.scale, np.float32)

    def prepare(self, value: Array) -> Array:
        """Each channel about 0: float32 (channels, steps).

        Raises:
            InvalidInput: it has other channels, or NaN.
        """
        _check(value, len(self.mean))
        mean, scale = self._normal
        normal = (np.asarray(value, np.float32) - mean) * scale
        if len(normal) != self.steps:
            at = np.linspace(0, len(normal) - 1, self.steps)
            low = np.floor(at).astype(np.int64)
            high, part = np.minimum(low + 1, len(normal) - 1), (at - low).astype(np.float32)[:, None]
            normal = normal[low] * (1 - part) + normal[high] * part
        return np.ascontiguousarray(normal.T, np.float32)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Shifts in time, another gain, a little noise."""
        gain = random.uniform(0.9, 1.1, (len(batch), 1, 1)).astype(np.float32)
        noise = random.normal(0, 0.05, batch.shape).astype(np.float32)
        return np.asarray(np.roll(batch, int(random.integers(-8, 9)), axis=2) * gain + noise)

    def encoder(self) -> "tuple[nn.Module, int]":
        """Three strided convolutions over time, mean and most: features (n, 96)."""
        if self.net == "paper":
            from ..networks.paper import PaperVectorEncoder

            return PaperVectorEncoder(len(self.mean) * self.steps), PaperVectorEncoder.FEATURES
        from ..networks.encoders import SignalEncoder

        return SignalEncoder(len(self.mean)), 96


def _check(value: Array, channels: int) -> None:
    if value.ndim != 2 or value.shape[1] != channels or len(value) < 2:
        raise InvalidInput(f"a signal must be (steps, {channels}) with at least 2 steps, not {value.shape}")
    if not np.isfinite(value).all():
        raise InvalidInput("a signal must not hold NaN or infinity")

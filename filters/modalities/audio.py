"""Sound, as a waveform: its spectrogram on a scale like the ear's."""

from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...outputs import Array

if TYPE_CHECKING:
    from torch import nn

_WINDOW = 256
_BANDS = 32
_LONGEST = 512


class Audio(BaseModel):
    """A waveform: int16, or floats from -1 to 1, one dimension, always of the same rate.

    Attributes:
        frames: how many frames of the spectrogram count; shorter sounds are followed by silence.
        hop: samples from one frame to the next.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["audio"] = "audio"
    frames: int = Field(ge=4)
    hop: int = Field(default=_WINDOW // 2, ge=1)

    @classmethod
    def fit(cls, values: list[Array]) -> Self:
        """As long as nearly all of the sounds, with hops that make not too many frames of that."""
        longest = float(np.quantile([len(_samples(value)) for value in values], 0.95))
        hop = _WINDOW // 2
        while longest / hop > _LONGEST:
            hop *= 2
        return cls(frames=max(8, int(np.ceil(longest / hop))), hop=hop)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what a network is fed for one input."""
        return (1, _BANDS, self.frames)

    @cached_property
    def _bands(self) -> Array:
        """Triangular filters from the spectrum's bins to bands, evenly spaced on the mel scale: (bins, bands)."""
        bins = _WINDOW // 2 + 1
        edges = 700 * (10 ** (np.linspace(0, np.log10(1 + 4000 / 700), _BANDS + 2)) - 1) / 4000 * (bins - 1)
        at = np.arange(bins)[:, None]
        rising = (at - edges[:-2]) / np.maximum(edges[1:-1] - edges[:-2], 1.0)
        falling = (edges[2:] - at) / np.maximum(edges[2:] - edges[1:-1], 1.0)
        return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)

    def prepare(self, value: Array) -> Array:
        """The logarithm of the bands' power, about 0: float32 (1, bands, frames).

        Raises:
            InvalidInput: it is no waveform.
        """
        samples = np.zeros(self.hop * (self.frames - 1) + _WINDOW, np.float32)
        taken = _samples(value)[: len(samples)]
        samples[: len(taken)] = taken
        frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[:: self.hop]
        power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1)) ** 2
        bands = np.log(power.astype(np.float32) @ self._bands + 1e-6)
        return np.ascontiguousarray(((bands - bands.mean()) / (bands.std() + 1e-3)).T[None], np.float32)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Shifts in time and hides a few bands."""
        moved = np.roll(batch, int(random.integers(-4, 5)), axis=3).copy()
        start = int(random.integers(0, _BANDS - 3))
        moved[:, :, start : start + int(random.integers(0, 4))] = 0
        return moved

    def encoder(self) -> "tuple[nn.Module, int]":
        """Three strided convolutions, mean and most: features (n, 96)."""
        from ..encoders import MapEncoder

        return MapEncoder(1, stride=2), 96


def _samples(value: Array) -> Array:
    if value.ndim != 1 or value.dtype.kind not in "fi" or len(value) < 1:
        raise InvalidInput(f"a sound must be int16 or floats in one dimension, not {value.dtype} {value.shape}")
    samples = value.astype(np.float32) / 32768 if value.dtype.kind == "i" else value.astype(np.float32)
    if not np.isfinite(samples).all():
        raise InvalidInput("a sound must not hold NaN or infinity")
    return samples

"""Sound, as a waveform or a spectrogram: its bands on a scale like the ear's."""

from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...outputs import Array
from .net import Net

if TYPE_CHECKING:
    from torch import nn

_WINDOW = 256
_BANDS = 32
_LONGEST = 512
_PAPER_SIZE = (500, 129)
_HANNING = np.hanning(_WINDOW).astype(np.float32)


class Audio(BaseModel):
    """A waveform (int16, or floats from -1 to 1, one dimension, always of one rate), or a spectrogram of one.

    A spectrogram is float (frames, bins), magnitudes or powers, not logarithms, always of as many bins.

    Attributes:
        net: whose feature network it is for.
        form: which of the two an input is.
        frames: how many frames of the spectrogram count; shorter sounds are followed by silence.
        bins: how many bins a frame has.
        hop: of a waveform: samples from one frame to the next.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["audio"] = "audio"
    net: Net = "ours"
    form: Literal["waveform", "spectrogram"] = "waveform"
    frames: int = Field(ge=4)
    bins: int = Field(default=_WINDOW // 2 + 1, ge=2)
    hop: int = Field(default=_WINDOW // 2, ge=1)

    @classmethod
    def fit(cls, values: list[Array], *, net: Net = "ours") -> Self:
        """As long as nearly all of the sounds; of waveforms, with hops that make not too many frames of that."""
        form: Literal["waveform", "spectrogram"] = "spectrogram" if values[0].ndim == 2 else "waveform"
        bins = values[0].shape[1] if form == "spectrogram" else _WINDOW // 2 + 1
        for value in values:
            _check(value, form, bins)
        longest = float(np.quantile([len(value) for value in values], 0.95))
        hop = _WINDOW // 2
        if form == "spectrogram":
            return cls(net=net, form=form, frames=int(np.clip(longest, 8, _LONGEST)), bins=bins)
        while longest / hop > _LONGEST:
            hop *= 2
        return cls(net=net, frames=max(8, int(np.ceil(longest / hop))), hop=hop)

    @property
    def dtype(self) -> str:
        """Of a prepared input."""
        return "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared input."""
        return (1, *_PAPER_SIZE) if self.net == "paper" else (1, _BANDS, self.frames)

    @cached_property
    def _bands(self) -> Array:
        """Triangular filters from the spectrum's bins to bands, evenly spaced on the mel scale: (bins, bands)."""
        edges = 700 * (10 ** (np.linspace(0, np.log10(1 + 4000 / 700), _BANDS + 2)) - 1) / 4000 * (self.bins - 1)
        at = np.arange(self.bins)[:, None]
        rising = (at - edges[:-2]) / np.maximum(edges[1:-1] - edges[:-2], 1.0)
        falling = (edges[2:] - at) / np.maximum(edges[2:] - edges[1:-1], 1.0)
        return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)

    def prepare(self, value: Array) -> Array:
        """The logarithm of the bands' power, about 0: float32 (1, bands, frames); the paper's: (1, 500, 129).

        Raises:
            InvalidInput: it is no such sound.
        """
        _check(value, self.form, self.bins)
        if self.net == "paper":
            magnitude = self._power(value) if self.form == "spectrogram" else np.sqrt(self._power(value))
            return cv2.resize(magnitude, _PAPER_SIZE[::-1], interpolation=cv2.INTER_LINEAR)[None]
        bands = np.log(self._power(value) @ self._bands + 1e-6)
        return np.ascontiguousarray(((bands - bands.mean()) / (bands.std() + 1e-3)).T[None], np.float32)

    def _power(self, value: Array) -> Array:
        """The spectrogram: float32 (frames, bins)."""
        if self.form == "spectrogram":
            power = np.zeros((self.frames, self.bins), np.float32)
            power[: len(value)] = value[: self.frames]
            return power
        samples = np.zeros(self.hop * (self.frames - 1) + _WINDOW, np.float32)
        taken = value[: len(samples)]
        samples[: len(taken)] = taken * np.float32(1 / 32768 if value.dtype.kind == "i" else 1)
        frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[:: self.hop]
        return (np.abs(np.fft.rfft(frames * _HANNING, axis=1)) ** 2).astype(np.float32)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Shifts in time and hides a few bands."""
        moved = np.roll(batch, int(random.integers(-4, 5)), axis=3).copy()
        start = int(random.integers(0, _BANDS - 3))
        moved[:, :, start : start + int(random.integers(0, 4))] = 0
        return moved

    def encoder(self) -> "tuple[nn.Module, int]":
        """Three strided convolutions, mean and most: features (n, 96)."""
        if self.net == "paper":
            from ..networks.paper import PaperMapEncoder

            return PaperMapEncoder(1), PaperMapEncoder.FEATURES
        from ..networks.encoders import MapEncoder

        return MapEncoder(1, stride=2), 96


def _check(value: Array, form: str, bins: int) -> None:
    if form == "waveform" and (value.ndim != 1 or value.dtype.kind not in "fi" or len(value) < 1):
        raise InvalidInput(f"a sound must be int16 or floats in one dimension, not {value.dtype} {value.shape}")
    if form == "spectrogram" and (value.ndim != 2 or value.dtype.kind != "f" or value.shape[1] != bins):
        raise InvalidInput(f"a spectrogram must be floats (frames, {bins}), not {value.dtype} {value.shape}")
    if not np.isfinite(value).all():
        raise InvalidInput("a sound must not hold NaN or infinity")
    if form == "spectrogram" and value.min(initial=0.0) < 0:
        raise InvalidInput("a spectrogram must hold magnitudes or powers, none below 0; undo its logarithm")

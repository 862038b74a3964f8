"""Hand-made descriptors of pictures, sounds, texts and signals, to look up the answers for the nearest known inputs.

As in FoggyCache: SIFT or MFCC, hashed by random projections; nothing is learned.
"""

from functools import cached_property
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...models.stem.stem import shrink
from ...outputs import Array
from .audio import Audio
from .feature_map import FeatureMap
from .image import check_picture
from .signal import Signal
from .text import Text

_SIDE = 224
_WORDS = 512
_CEPSTRA = 13
HASHES = 64


class Descriptor(BaseModel):
    """A vector of fixed length.

    Attributes:
        of: the modality that is described: image (mean SIFT), audio (MFCC, mean and deviation), text (bag of words),
            signal (as it is), map (channel means).
        inner: how that modality prepares an input; None for pictures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["descriptor"] = "descriptor"
    inner: Audio | Text | Signal | FeatureMap | None = Field(default=None, discriminator="kind")
    seed: int = 0

    @property
    def dtype(self) -> str:
        """Of what is looked up."""
        return "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is looked up for one input."""
        return (HASHES,)

    def prepare(self, value: Array) -> Array:
        """The descriptor, of length 1, projected at random: float32 (64,).

        Raises:
            InvalidInput: it is no such input.
        """
        described = self._describe(value)
        described /= float(np.linalg.norm(described)) + 1e-6
        return np.asarray(described @ self._projection(len(described)), np.float32)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """The batch as it is: nothing is learned."""
        return batch

    def _describe(self, value: Array) -> Array:
        if self.inner is None:
            value = value[-1] if value.ndim == 4 and len(value) else value  # of a clip, the newest frame
            check_picture(value)
            _, found = self._sift.detectAndCompute(shrink(value, (_SIDE, _SIDE)), None)
            return np.zeros(128, np.float32) if found is None else np.asarray(found.mean(axis=0), np.float32)
        if isinstance(self.inner, Text):
            counts = np.zeros(_WORDS, np.float32)
            prepared = self.inner.prepare(value)
            np.add.at(counts, prepared[prepared > 0] % _WORDS, 1.0)
            return np.sqrt(counts)
        prepared = self.inner.prepare(value)
        if isinstance(self.inner, Audio):
            bands = prepared[0]
            at = np.pi * (np.arange(len(bands)) + 0.5) / len(bands)
            cepstra = np.cos(np.outer(np.arange(1, _CEPSTRA + 1), at)).astype(np.float32) @ bands
            return np.concatenate([cepstra.mean(axis=1), cepstra.std(axis=1)])
        if isinstance(self.inner, Signal):
            return prepared.reshape(-1)
        return np.concatenate([prepared.mean(axis=(1, 2)), prepared.max(axis=(1, 2))])

    @cached_property
    def _sift(self) -> cv2.SIFT:
        return cv2.SIFT.create(nfeatures=200)

    def _projection(self, size: int) -> Array:
        """The same for every input: all of a modality's descriptors have one size."""
        if size not in self._projections:
            draw = np.random.default_rng(self.seed)
            self._projections[size] = (draw.standard_normal((size, HASHES)) / np.sqrt(HASHES)).astype(np.float32)
        return self._projections[size]

    @cached_property
    def _projections(self) -> dict[int, Array]:
        return {}

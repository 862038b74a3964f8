"""Inputs as an online filter sees them. NumPy and OpenCV only."""

from dataclasses import dataclass

import cv2
import numpy as np

from ...outputs import Array
from ..modalities.stream import Channels


@dataclass(frozen=True)
class Seen:
    """Inputs as a filter sees them: images uint8 (n, side, side, 3), scalars float32 (n, 17), seconds float64 (n,)."""

    images: Array
    scalars: Array
    captured_s: Array

    def rows(self, rows: Array | slice) -> "Seen":
        """Some of them."""
        return Seen(self.images[rows], self.scalars[rows], self.captured_s[rows])


def last_seen(channels: Channels, captured_s: float) -> Seen:
    """The input that `channels` saw last, as it is kept to be learnt from."""
    image = cv2.merge([cv2.convertScaleAbs(channel, alpha=255.0) for channel in channels.tensor[0]])
    return Seen(image[None], channels.scalars.copy(), np.asarray([captured_s]))


def join_seen(parts: list[Seen]) -> Seen:
    """All of several, one after the other."""
    return Seen(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.scalars for part in parts]),
        np.concatenate([part.captured_s for part in parts]),
    )

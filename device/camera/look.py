"""What one picture says of the camera that took it: small grey structure, by blocks; OpenCV and NumPy only."""

from dataclasses import dataclass

import cv2
import numpy as np

from ...outputs import Array

WIDTH, HEIGHT = 160, 96
_BLOCK = 16
ROWS, COLUMNS = HEIGHT // _BLOCK, WIDTH // _BLOCK
# Single pixels' noise is no structure.
_SMOOTH = (3, 3)
_BRIGHT, _COLOURFUL = 0.95, 0.9
_LEAST_LIGHT = 32.0
# One step of chroma on the way from a video to RGB sets the three of a grey pixel so far apart.
_ROUNDED = 4


@dataclass(frozen=True)
class Look:
    """A picture, shrunk to 160x96; blocks are 16x16 of its pixels, so (6, 10) of them.

    Attributes:
        across: float32 (96, 160), how grey changes from left to right.
        down: float32 (96, 160), the same from top to bottom.
        structure: float32 (6, 10), the mean square of both in a block.
        detail: float32 (6, 10), that of the second derivative: what goes first where a picture is blurred.
        light: the 95th percentile of grey, from 0 to 255.
        colour: how far red, green and blue differ, beside `light`: so much or less in all but the most colourful tenth.
    """

    across: Array
    down: Array
    structure: Array
    detail: Array
    light: float
    colour: float

    @classmethod
    def at(cls, picture: Array) -> "Look":
        """Looks at a picture (uint8 BGR)."""
        if picture.shape[1] > 2 * WIDTH and picture.shape[0] > 2 * HEIGHT:
            # Four pixels of each place are enough of a large picture; all of them would take eight times as long.
            picture = cv2.resize(picture, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_NEAREST)
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        smooth = cv2.blur(grey, _SMOOTH)
        across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
        down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        detail = cv2.Laplacian(grey, cv2.CV_32F)
        blue, green, red = cv2.split(small[::2, ::2])
        spread = cv2.subtract(cv2.max(cv2.max(blue, green), red), cv2.min(cv2.min(blue, green), red))
        light = _percentile(grey[::2, ::2], _BRIGHT)
        return cls(
            across=across,
            down=down,
            structure=block_means(across * across + down * down),
            detail=block_means(detail * detail),
            light=light,
            colour=max(0.0, _percentile(spread, _COLOURFUL) - _ROUNDED) / max(light, _LEAST_LIGHT),
        )


def block_means(values: Array) -> Array:
    """The mean of each block: (6, 10) of (96, 160)."""
    return cv2.resize(values, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)


def _percentile(values: Array, share: float) -> float:
    """The least value that so many of them are not above."""
    place = int(share * (values.size - 1))
    return float(np.partition(values, place, axis=None)[place])

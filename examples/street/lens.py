"""What the camera adds: rain before the lens, exposure, sensor noise and the caption."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import HEIGHT, WIDTH
from .weather import Air

Picture = NDArray[np.uint8]
BANK = 192


class Lens:
    """Noise and rain come from banks made once, at a random offset in every frame: cheap, and never the same."""

    def __init__(self, rng: np.random.Generator, caption: str) -> None:
        self.rng = rng
        noise = rng.normal(0.0, 1.0, (HEIGHT + BANK, WIDTH + BANK, 3)).astype(np.float32)
        noise = noise * 0.75 + 0.5 * rng.normal(0.0, 1.0, noise.shape[:2]).astype(np.float32)[..., None]
        self.noise = np.clip(noise * 20 + 128, 0, 255).astype(np.uint8)
        self.streaks = _streaks(rng)
        self.caption = caption

    def expose(self, picture: Picture, air: Air, time_s: float) -> Picture:
        """Finish a frame."""
        if air.rain > 0.02:
            row = int(BANK - 1 - (time_s * 937.0) % BANK)
            column = int((time_s * 61.0) % BANK)
            drops = self.streaks[row : row + HEIGHT, column : column + WIDTH]
            strength = air.rain * (0.75 if air.darkness < 0.75 else 0.5)
            picture = np.asarray(cv2.addWeighted(picture, 1.0, drops, strength, 0), np.uint8)
        left, top = self.rng.integers(0, BANK, 2)
        noise = self.noise[top : top + HEIGHT, left : left + WIDTH]
        level = (1.6 + 2.2 * air.darkness) / 20
        noisy = np.asarray(cv2.addWeighted(picture, air.gain, noise, level, -128 * level), np.uint8)
        for colour, weight in (((30, 30, 30), 2), ((225, 225, 225), 1)):
            cv2.putText(
                noisy, self.caption, (8, HEIGHT - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, weight, cv2.LINE_AA
            )
        return noisy


def _streaks(rng: np.random.Generator) -> Picture:
    """Falling drops as thin slanted lines; they repeat every `BANK` pixels downwards, so that they can fall forever."""
    tile = np.zeros((BANK, WIDTH + BANK, 3), np.uint8)
    for _ in range(420):
        x, y = int(rng.integers(0, WIDTH + BANK)), int(rng.integers(0, BANK))
        length, bright = int(rng.integers(8, 20)), int(rng.integers(50, 150))
        for shift in (0, -BANK):
            cv2.line(tile, (x, y + shift), (x - length // 5, y + shift + length), (bright,) * 3, 1, cv2.LINE_AA)
    return np.tile(tile, (HEIGHT // BANK + 2, 1, 1))

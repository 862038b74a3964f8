"""The empty street: everything that never moves, rendered once for each lighting condition."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import HEIGHT, WIDTH, Camera
from .masonry import Surface, paint
from .weather import KEYS, Air

Picture = NDArray[np.uint8]
TO_SUN = np.array([-0.42, -0.55, 0.72])
LAMPS_X = (-7.0, 6.0, 18.5, 30.0, 62.0, 83.0)
LAMP_Y, LAMP_Z = 9.9, 5.2


@dataclass(frozen=True)
class Light:
    """A lighting condition; colours are BGR factors on what a surface reflects."""

    ambient: tuple[float, float, float]
    sun: tuple[float, float, float]
    lamps: float
    windows: float
    sky: tuple[float, float, float]


LIGHTS = {
    "clear": Light((0.60, 0.55, 0.50), (0.62, 0.72, 0.78), 0.0, 0.0, (235, 195, 150)),
    "overcast": Light((0.78, 0.77, 0.75), (0.03, 0.03, 0.03), 0.0, 0.05, (205, 202, 198)),
    "dusk": Light((0.44, 0.36, 0.39), (0.03, 0.08, 0.16), 0.28, 0.55, (150, 125, 160)),
    "night": Light((0.17, 0.12, 0.11), (0.0, 0.0, 0.0), 0.62, 0.9, (48, 30, 24)),
}
LAMP_COLOUR = np.array([0.55, 0.82, 1.0])


def lamp_light(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """How strongly the street lamps light a place, 0..about 1."""
    near = [((x - at) ** 2 + (y - LAMP_Y + 1.2) ** 2) / 42.0 + (z - LAMP_Z + 2) ** 2 / 60.0 for at in LAMPS_X]
    return np.asarray(sum(1.0 / (1.0 + d) ** 2 for d in near))


class Backdrop:
    """The empty street in any light, blended from eight pictures that are rendered once (four lights, dry and wet)."""

    def __init__(self, camera: Camera) -> None:
        surface = paint(camera)
        lamps = lamp_light(surface.x, surface.y, surface.z)
        self.layers = {(key, wet): _expose(surface, LIGHTS[key], wet, lamps) for key in KEYS for wet in (False, True)}
        self._cached: tuple[tuple[float, ...], Picture] | None = None

    def picture(self, air: Air) -> Picture:
        """The empty street in this light; a shared array, not to be written into."""
        key = (*air.weights, air.wet)
        if self._cached is None or self._cached[0] != key:
            self._cached = key, self._blend(air)
        return self._cached[1]

    def _blend(self, air: Air) -> Picture:
        parts = [
            (self.layers[name, False], weight * (1 - air.wet)) for name, weight in zip(KEYS, air.weights, strict=True)
        ]
        parts += [(self.layers[name, True], weight * air.wet) for name, weight in zip(KEYS, air.weights, strict=True)]
        parts = [(layer, weight) for layer, weight in parts if weight > 0]
        blended, total = parts[0]
        for layer, weight in parts[1:]:
            total += weight
            blended = np.asarray(cv2.addWeighted(blended, 1 - weight / total, layer, weight / total, 0), np.uint8)
        return blended


def _expose(surface: Surface, light: Light, wet: bool, lamps: NDArray[np.float64]) -> Picture:
    """Light the surface, and shrink it to the camera's size, which smooths its edges."""
    # What is dark adds nothing, and in place, as these are large.
    lit = np.broadcast_to(np.array(light.ambient), surface.albedo.shape).copy()
    if not wet:
        lit += np.array(light.sun) * surface.facing[..., None]
    if light.lamps:
        lit += LAMP_COLOUR * (lamps * light.lamps)[..., None]
    lit *= surface.albedo * np.where(surface.ground, 0.62, 0.9)[..., None] if wet else surface.albedo
    if light.windows:
        lit += LAMP_COLOUR * (surface.glow * light.windows)[..., None]
    lit[surface.sky] = np.array(light.sky) / 255.0 * (0.85 if wet else 1.0)
    if wet:
        lit += _reflections(surface, lit)
    lit *= 255
    small = cv2.resize(np.clip(lit, 0, 255, out=lit).astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _reflections(surface: Surface, lit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wet ground mirrors what stands above it, smeared downwards."""
    height = lit.shape[0]
    row = int(np.argmax(surface.ground.mean(axis=1) > 0.9))  # where the ground begins across the whole picture
    mirrored = np.zeros_like(lit)
    depth = min(row, height - row)
    mirrored[row : row + depth] = lit[row - depth : row][::-1]
    smeared = np.asarray(cv2.blur(mirrored, (9, 121)))
    return np.where(surface.ground[..., None], 0.30 * smeared, 0.0)

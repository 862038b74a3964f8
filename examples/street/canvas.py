"""Anti-aliased drawing of world geometry on a frame, lit by the light of the moment."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .backdrop import LAMP_COLOUR, LIGHTS, TO_SUN, lamp_light
from .camera import Camera, Points
from .weather import KEYS, Air

SHIFT = 4
Colour = tuple[float, float, float]
Picture = NDArray[np.uint8]


class Canvas:
    """One frame in the making."""

    def __init__(self, camera: Camera, picture: Picture, air: Air) -> None:
        self.camera = camera
        self.picture = picture
        self.air = air
        shares = list(zip((LIGHTS[key] for key in KEYS), air.weights, strict=True))
        dull = 1.0 - air.wet
        self.ambient = sum((np.array(light.ambient) * share for light, share in shares), np.zeros(3))
        self.sun = sum((np.array(light.sun) * share * dull for light, share in shares), np.zeros(3))
        self.lamps = sum(light.lamps * share for light, share in shares)
        self.sunny = float(self.sun[1])

    def light_at(self, x: float, y: float) -> tuple[Points, Points]:
        """Ambient light with the lamps' share at a place, and direct sun (none in the near house's shadow)."""
        lamp = float(lamp_light(np.float64(x), np.float64(y), np.float64(1.0))) * self.lamps  # type: ignore[arg-type]
        return self.ambient + LAMP_COLOUR * lamp, self.sun * float(y > -0.4)

    def shade(self, albedo: Sequence[float], light: tuple[Points, Points], facing: float) -> Colour:
        """The colour of a surface that looks towards the sun by the cosine ``facing``."""
        ambient, sun = light
        lit = np.minimum(255.0 * np.asarray(albedo) * (ambient + sun * max(0.0, facing)), 255.0)
        return float(lit[0]), float(lit[1]), float(lit[2])

    def polygon(self, pixels: Points, colour: Sequence[float]) -> None:
        """Fill a polygon given in pixels."""
        points = np.rint(pixels * (1 << SHIFT)).astype(np.int32)
        cv2.fillPoly(self.picture, [points], colour, cv2.LINE_AA, SHIFT)

    def stroke(self, start: Points, end: Points, width: float, colour: Sequence[float]) -> None:
        """A line of any width, given in pixels."""
        along = end - start
        normal = np.array([-along[1], along[0]]) * (width / 2 / max(1e-6, float(np.hypot(*along))))
        self.polygon(np.stack([start + normal, end + normal, end - normal, start - normal]), colour)

    def disc(self, centre: Points, radius: float, colour: Sequence[float]) -> None:
        """A filled circle in pixels."""
        x, y = (centre * (1 << SHIFT)).astype(int)
        cv2.circle(self.picture, (int(x), int(y)), int(radius * (1 << SHIFT)), colour, -1, cv2.LINE_AA, SHIFT)

    def darken(self, pixels: Points, share: float) -> None:
        """Take light away inside a convex outline: a shadow."""
        region = self._region(pixels)
        if region is None:
            return
        view, mask = region
        dark = cv2.convertScaleAbs(view, alpha=1.0 - share)
        cv2.copyTo(dark, mask, view)

    def glow(self, pixels: Points, colour: Sequence[float], soft: int) -> None:
        """Add light inside an outline, with soft edges."""
        region = self._region(pixels, margin=soft)
        if region is None:
            return
        view, mask = region
        light = cv2.merge([cv2.blur(mask, (soft, soft))] * 3)
        scaled = cv2.multiply(light, np.array([*colour, 0.0]) / 255.0)
        cv2.add(view, scaled, dst=view)

    def sun_shadow(self, corners: Points) -> Points:
        """Where the sun throws the shadow of points on the ground, as a convex outline in pixels."""
        fallen = corners.copy()
        fallen[:, :2] -= TO_SUN[:2] / TO_SUN[2] * corners[:, 2:]
        fallen[:, 2] = 0.0
        outline = cv2.convexHull(self.camera.project(fallen).astype(np.float32))
        return np.asarray(outline[:, 0], np.float64)

    def _region(self, pixels: Points, margin: int = 1) -> tuple[Picture, Picture] | None:
        """The part of the picture around an outline, and the outline as a mask of the same size."""
        height, width = self.picture.shape[:2]
        left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - margin, 0)
        right, bottom = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + margin, (width, height))
        if right - left < 2 or bottom - top < 2:
            return None
        mask = np.zeros((bottom - top, right - left), np.uint8)
        points = np.rint((pixels - (left, top)) * (1 << SHIFT)).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_8, SHIFT)
        return self.picture[top:bottom, left:right], mask

"""A fixed camera: where a point of the street appears in its picture."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360
# What is nearer to the lens, or behind it, is drawn as if it were so far away: far outside the picture.
_NEAREST_M = 0.3
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera on a house wall or a pole; metres: x along the street, y towards its far side, z up."""

    position: tuple[float, float, float] = (0.0, -15.0, 11.0)
    yaw_deg: float = 20.0
    pitch_deg: float = 20.5
    focal_px: float = 455.0

    @cached_property
    def place(self) -> Points:
        """The camera's position as an array."""
        return np.array(self.position)

    @cached_property
    def axes(self) -> Points:
        """Rows: right, up, forward, as unit vectors in the world."""
        yaw, pitch = np.radians(self.yaw_deg), np.radians(self.pitch_deg)
        right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
        return np.stack([right, np.cross(right, forward), forward])

    def project(self, points: Points) -> Points:
        """Map (n, 3) world points to (n, 2) pixels."""
        seen = (points - self.place) @ self.axes.T
        pixels = seen[:, :2] * (self.focal_px / np.maximum(seen[:, 2:], _NEAREST_M))
        pixels[:, 0] += WIDTH / 2
        pixels[:, 1] = HEIGHT / 2 - pixels[:, 1]
        return pixels

    def depth(self, x: float, y: float, z: float = 0.0) -> float:
        """Distance of a point along the optical axis, in metres."""
        forward = self.axes[2]
        cx, cy, cz = self.position
        return float((x - cx) * forward[0] + (y - cy) * forward[1] + (z - cz) * forward[2])

    def rays(self, scale: int) -> Points:
        """Direction through every pixel of a picture ``scale`` times as large: (h, w, 3)."""
        u = (np.arange(WIDTH * scale) + 0.5) / scale - WIDTH / 2
        v = HEIGHT / 2 - (np.arange(HEIGHT * scale) + 0.5) / scale
        right, up, forward = self.axes
        rays: Points = u[None, :, None] * right + v[:, None, None] * up + self.focal_px * forward
        return rays

"""Cars and trucks: a side profile drawn out to the vehicle's width, with wheels, windows and lamps."""

from dataclasses import dataclass

import cv2
import numpy as np

from .backdrop import TO_SUN
from .camera import Points
from .canvas import Canvas
from .traffic import Vehicle

Outline = tuple[tuple[float, float], ...]
PAINTS = (
    (0.88, 0.88, 0.88),
    (0.20, 0.20, 0.21),
    (0.55, 0.55, 0.56),
    (0.16, 0.18, 0.72),
    (0.62, 0.30, 0.14),
    (0.30, 0.46, 0.26),
    (0.22, 0.62, 0.80),
    (0.45, 0.50, 0.62),
    (0.72, 0.58, 0.40),
    (0.28, 0.22, 0.45),
)
TRUCK_PAINTS = ((0.90, 0.90, 0.90), (0.30, 0.60, 0.85), (0.75, 0.50, 0.25), (0.35, 0.65, 0.40), (0.25, 0.28, 0.75))
GLASS = (0.23, 0.20, 0.17)


@dataclass(frozen=True)
class Shape:
    """A vehicle's form in its own frame: metres forward and up."""

    profile: Outline
    """Around the side, from the rear bumper over the roof to the front."""
    glass: frozenset[int]
    """Which strips between two points of the profile are panes."""
    windows: tuple[Outline, ...]
    width: float
    roof_inset: float
    wheels: tuple[float, ...]
    wheel_radius: float
    lamp_z: float


CAR = Shape(
    (
        (-2.1, 0.28),
        (-2.15, 0.85),
        (-1.75, 0.98),
        (-1.2, 1.43),
        (0.3, 1.46),
        (1.05, 0.98),
        (1.95, 0.82),
        (2.13, 0.6),
        (2.1, 0.28),
    ),
    frozenset({2, 4}),
    (((-1.55, 1.0), (-1.1, 1.36), (-0.4, 1.38), (-0.4, 1.0)), ((-0.3, 1.0), (-0.3, 1.38), (0.22, 1.38), (0.78, 1.0))),
    1.8,
    0.17,
    (-1.32, 1.35),
    0.33,
    0.66,
)
ESTATE = Shape(
    ((-2.15, 0.28), (-2.18, 0.9), (-1.95, 1.45), (0.2, 1.52), (1.0, 1.0), (1.95, 0.86), (2.13, 0.6), (2.1, 0.28)),
    frozenset({1, 3}),
    (
        ((-1.85, 1.02), (-1.75, 1.4), (-0.5, 1.43), (-0.5, 1.02)),
        ((-0.4, 1.02), (-0.4, 1.43), (0.12, 1.43), (0.72, 1.02)),
    ),
    1.82,
    0.14,
    (-1.35, 1.35),
    0.34,
    0.7,
)
TRUCK = Shape(
    ((-3.1, 0.45), (-3.1, 2.85), (1.4, 2.85), (1.5, 2.3), (2.2, 2.25), (2.85, 1.35), (3.12, 1.1), (3.12, 0.4)),
    frozenset({4}),
    (((1.65, 1.35), (1.65, 2.1), (2.15, 2.1), (2.6, 1.35)),),
    2.15,
    0.02,
    (-1.9, 2.1),
    0.42,
    0.85,
)


class Body:
    """One vehicle, placed in the world of one frame."""

    def __init__(self, vehicle: Vehicle, canvas: Canvas) -> None:
        self.vehicle = vehicle
        self.canvas = canvas
        look = vehicle.look
        self.shape = TRUCK if vehicle.kind == "truck" else CAR if look % 3 else ESTATE
        paints = TRUCK_PAINTS if vehicle.kind == "truck" else PAINTS
        self.paint = paints[look // 3 % len(paints)]
        heading = vehicle.heading
        self.ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
        self.left = np.array([-self.ahead[1], self.ahead[0], 0.0])
        self.place = np.array([vehicle.x, vehicle.y, 0.0])
        self.light = canvas.light_at(vehicle.x, vehicle.y)
        view = canvas.camera.place - self.place
        self.side = 1.0 if view @ self.left > 0 else -1.0
        profile = np.array(self.shape.profile)
        half = self.shape.width / 2 - self.shape.roof_inset * np.clip((profile[:, 1] - 1.0) / 0.4, 0, 1)
        self.near = self.world(profile, half * self.side)
        self.off = self.world(profile, -half * self.side)
        pixels = canvas.camera.project(np.concatenate([self.near, self.off]))
        self.near_px, self.off_px = pixels[: len(profile)], pixels[len(profile) :]
        self.hull = np.asarray(cv2.convexHull(pixels.astype(np.float32))[:, 0], np.float64)

    def world(self, outline: Points, across: Points | float) -> Points:
        """Points of the vehicle's own frame in the world."""
        lateral = np.broadcast_to(np.asarray(across, np.float64), len(outline))
        flat: Points = self.place + outline[:, :1] * self.ahead + lateral[:, None] * self.left
        flat[:, 2] = outline[:, 1]
        return flat

    def draw(self) -> None:
        """Shadow, far wheels' shade, strips from far to near, the side, wheels and lamps."""
        self._shadow()
        self._strips()
        canvas, light = self.canvas, self.light
        side_normal = self.left * self.side
        colour = canvas.shade(self.paint, light, float(side_normal @ TO_SUN))
        canvas.polygon(self.near_px, colour)
        half = (self.shape.width / 2 - self.shape.roof_inset / 2) * self.side
        glass = canvas.shade(GLASS, light, 0.3)
        for window in self.shape.windows:
            canvas.polygon(canvas.camera.project(self.world(np.array(window), half)), glass)
        self._wheels()
        self._lamps()

    def _shadow(self) -> None:
        canvas, shape = self.canvas, self.shape
        length = shape.profile[-1][0] - shape.profile[0][0]
        base = np.array([(-length / 2 - 0.1, 0.0), (length / 2 + 0.1, 0.0)])
        half = shape.width / 2 + 0.12
        corners = np.concatenate([self.world(base, half), self.world(base[::-1], -half)])
        canvas.darken(canvas.camera.project(corners), 0.5)
        if canvas.sunny > 0.2 and self.vehicle.y > -0.4:
            canvas.darken(canvas.sun_shadow(np.concatenate([self.near, self.off])), 0.55 * min(1.0, canvas.sunny / 0.7))

    def _strips(self) -> None:
        canvas, profile = self.canvas, self.shape.profile
        view = canvas.camera.place
        for index in sorted(range(len(profile) - 1), key=lambda i: -abs(self.near[i : i + 2] - view).sum()):
            (ax, az), (bx, bz) = profile[index], profile[index + 1]
            normal = self.ahead * (az - bz) * -1.0
            normal = -(bz - az) * self.ahead + np.array([0.0, 0.0, bx - ax])
            normal /= np.linalg.norm(normal)
            if normal @ (view - self.near[index]) <= 0:
                continue
            albedo = GLASS if index in self.shape.glass else self.paint
            quad = np.stack([self.near_px[index], self.near_px[index + 1], self.off_px[index + 1], self.off_px[index]])
            canvas.polygon(quad, canvas.shade(albedo, self.light, float(normal @ TO_SUN)))

    def _wheels(self) -> None:
        canvas, shape = self.canvas, self.shape
        turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        rim = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        tyre, hub = canvas.shade((0.09, 0.09, 0.09), self.light, 0.3), canvas.shade((0.5, 0.5, 0.5), self.light, 0.3)
        for at in shape.wheels:
            centre = np.array([at, shape.wheel_radius])
            flat = np.concatenate([centre + rim * shape.wheel_radius, centre + rim * shape.wheel_radius * 0.5])
            pixels = canvas.camera.project(self.world(flat, (shape.width / 2 + 0.01) * self.side))
            canvas.polygon(pixels[:12], tyre)
            canvas.polygon(pixels[12:], hub)

    def _lamps(self) -> None:
        """Tail and head lamps, where that end can be seen: lit in the dark, brake lamps when standing."""
        canvas, shape, vehicle = self.canvas, self.shape, self.vehicle
        dark = canvas.air.darkness > 0.2 or canvas.air.rain > 0.5
        lit = dark and not vehicle.parked
        braking = not vehicle.parked and vehicle.speed < 0.4
        front = float(self.ahead @ (canvas.camera.place - self.place)) > 0
        end = shape.profile[-2][0] + 0.03 if front else shape.profile[0][0] - 0.06
        across = np.array([0.72, -0.72]) * shape.width / 2
        pixels = canvas.camera.project(self.world(np.array([(end, shape.lamp_z)] * 2), across))
        scale = canvas.camera.focal_px / canvas.camera.depth(vehicle.x, vehicle.y)
        if front:
            colour = (235.0, 250.0, 255.0) if lit else canvas.shade((0.8, 0.8, 0.78), self.light, 0.4)
        else:
            colour = (
                (60.0, 60.0, 255.0)
                if braking
                else (40.0, 30.0, 190.0)
                if lit
                else canvas.shade((0.12, 0.1, 0.5), self.light, 0.3)
            )
        radius = scale * (0.2 if braking and not front else 0.16 if lit else 0.12)
        for at in pixels:
            canvas.disc(at, radius, colour)

    def beam(self) -> None:
        """The headlamps' light on the road; drawn before any body, so that it lies on the ground."""
        darkness = self.canvas.air.darkness
        if self.vehicle.parked or darkness < 0.3:
            return
        front = self.shape.profile[-1][0]
        reach = np.array([(front + 0.3, 0.0), (front + 7.0, 0.0)])
        left = self.world(reach, np.array([0.8, 1.7]))
        right = self.world(reach, np.array([-0.8, -1.7]))
        pixels = self.canvas.camera.project(np.concatenate([left, right[::-1]]))
        strength = 0.22 + 0.12 * self.canvas.air.wet
        self.canvas.glow(pixels, (150 * strength, 215 * strength, 255 * strength), 21)

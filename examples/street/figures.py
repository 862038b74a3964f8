"""People on foot and on bicycles."""

import numpy as np

from .camera import Points
from .canvas import Canvas
from .people import Walker
from .traffic import Vehicle

SHIRTS = (
    (0.20, 0.22, 0.75),
    (0.70, 0.35, 0.15),
    (0.25, 0.60, 0.30),
    (0.20, 0.65, 0.85),
    (0.85, 0.85, 0.85),
    (0.55, 0.25, 0.50),
    (0.15, 0.15, 0.17),
)
TROUSERS = ((0.30, 0.20, 0.14), (0.14, 0.14, 0.15), (0.45, 0.50, 0.55), (0.35, 0.28, 0.22))
SKIN = ((0.55, 0.66, 0.85), (0.40, 0.52, 0.72), (0.22, 0.32, 0.48))
HAIR = ((0.08, 0.10, 0.14), (0.12, 0.22, 0.36), (0.35, 0.55, 0.70), (0.5, 0.5, 0.52))


def _box(centre: Points, left: float, right: float, top: float, bottom: float) -> Points:
    x, y = centre
    return np.array([(x - left, y - top), (x + right, y - top), (x + right, y + bottom), (x - left, y + bottom)])


class Figure:
    """One person on foot, as flat strokes that face the camera."""

    def __init__(self, walker: Walker, canvas: Canvas) -> None:
        self.walker = walker
        self.canvas = canvas
        self.height_m = 1.66 + walker.look % 7 * 0.03
        ends = np.array([(walker.x, walker.y, 0.0), (walker.x, walker.y, self.height_m)])
        self.foot, self.head = canvas.camera.project(ends)
        self.px = float(self.foot[1] - self.head[1])
        self.light = canvas.light_at(walker.x, walker.y)
        self.hull = _box(self.foot, 0.15 * self.px, 0.15 * self.px, self.px, 0.02 * self.px)

    def draw(self) -> None:
        """Shadow, legs, body, arms, head."""
        canvas, px, look = self.canvas, self.px, self.walker.look
        self._shadow()
        stride = 0.13 * np.sin(self.walker.odometer * 4.4) if self.walker.state == "moving" else 0.045
        hip, neck = self._at(0, 0.50), self._at(0, 0.83)
        trousers = canvas.shade(TROUSERS[look % len(TROUSERS)], self.light, 0.45)
        shirt = canvas.shade(SHIRTS[look // 5 % len(SHIRTS)], self.light, 0.5)
        skin = canvas.shade(SKIN[look // 7 % len(SKIN)], self.light, 0.5)
        for side in (-1, 1):
            canvas.stroke(self._at(side * 0.035, 0.5), self._at(side * stride, 0.02), 0.095 * px, trousers)
        body = np.stack(
            [
                self._at(-0.085, 0.47),
                self._at(-0.12, 0.80),
                self._at(-0.05, 0.85),
                self._at(0.05, 0.85),
                self._at(0.12, 0.80),
                self._at(0.085, 0.47),
            ]
        )
        canvas.polygon(body, shirt)
        sleeve = tuple(channel * 0.82 for channel in shirt)
        for side in (-1, 1):
            canvas.stroke(
                self._at(side * 0.125, 0.80), self._at(side * 0.12 - side * stride * 0.7, 0.50), 0.06 * px, sleeve
            )
        canvas.stroke(neck, self._at(0, 0.88), 0.06 * px, skin)
        canvas.disc(self._at(0, 0.925), 0.075 * px, skin)
        canvas.disc(self._at(0, 0.95), 0.065 * px, canvas.shade(HAIR[look // 11 % len(HAIR)], self.light, 0.6))
        del hip

    def _at(self, across: float, up: float) -> Points:
        return np.array([self.foot[0] + across * self.px, self.foot[1] - up * self.px])

    def _shadow(self) -> None:
        canvas, walker = self.canvas, self.walker
        canvas.darken(_box(self.foot, 0.16 * self.px, 0.16 * self.px, 0.04 * self.px, 0.04 * self.px), 0.4)
        if canvas.sunny > 0.2 and walker.y > -0.4:
            top = self.height_m
            corners = np.array([(walker.x + dx, walker.y, z) for dx in (-0.2, 0.2) for z in (0.0, top)])
            canvas.darken(canvas.sun_shadow(corners), 0.5 * min(1.0, canvas.sunny / 0.7))


class Rider:
    """A cyclist: two wheels and a frame in the plane of travel, and a person on them."""

    def __init__(self, vehicle: Vehicle, canvas: Canvas) -> None:
        self.vehicle = vehicle
        self.canvas = canvas
        self.light = canvas.light_at(vehicle.x, vehicle.y)
        self.scale = canvas.camera.focal_px / canvas.camera.depth(vehicle.x, vehicle.y, 0.8)
        outline = [(-0.95, 0.0), (0.95, 0.0), (0.6, 1.3), (0.25, 1.78), (-0.35, 1.5)]
        self.hull = self._place(outline)

    def _place(self, outline: list[tuple[float, float]]) -> Points:
        direction = self.vehicle.lane.direction
        points = [(self.vehicle.x + direction * forward, self.vehicle.y, up) for forward, up in outline]
        return self.canvas.camera.project(np.array(points))

    def draw(self) -> None:
        """Shadow, wheels, frame, legs, body, head, lamp."""
        canvas, light, px = self.canvas, self.light, self.scale
        look = self.vehicle.look
        self._shadow()
        dark = canvas.shade((0.10, 0.10, 0.11), light, 0.3)
        self._wheels(dark)
        joints = [(-0.55, 0.35), (0.0, 0.32), (-0.2, 0.9), (0.42, 0.85), (0.55, 0.35), (0.42, 1.05)]
        rear, crank, saddle, fork, front, bar = self._place(joints)
        paint = canvas.shade(SHIRTS[look // 3 % len(SHIRTS)], light, 0.4)
        for start, end in (
            (rear, crank),
            (rear, saddle),
            (crank, saddle),
            (crank, fork),
            (saddle, fork),
            (fork, front),
            (fork, bar),
        ):
            canvas.stroke(start, end, 0.07 * px, paint)
        turn = self.vehicle.odometer * 2.2
        feet = [(0.17 * np.cos(turn + phase), 0.32 + 0.17 * np.sin(turn + phase)) for phase in (0.0, np.pi)]
        knees = [(0.22, 0.35 + 0.5 * (up + 0.15)) for _, up in feet]
        hip, neck, head = self._place([(-0.18, 0.98), (0.12, 1.45), (0.2, 1.64)])
        trousers = canvas.shade(TROUSERS[look % len(TROUSERS)], light, 0.4)
        for foot, knee in zip(self._place(feet), self._place(knees), strict=True):
            canvas.stroke(hip, knee, 0.15 * px, trousers)
            canvas.stroke(knee, foot, 0.12 * px, trousers)
        shirt = canvas.shade(SHIRTS[look // 5 % len(SHIRTS)], light, 0.5)
        canvas.stroke(hip, neck, 0.32 * px, shirt)
        canvas.stroke(neck, bar, 0.10 * px, shirt)
        canvas.disc(head, 0.13 * px, canvas.shade(SKIN[look // 7 % len(SKIN)], light, 0.5))
        helmet = self._place([(0.18, 1.69)])[0]
        canvas.disc(helmet, 0.12 * px, canvas.shade((0.2, 0.75, 0.85) if look % 2 else (0.85, 0.85, 0.85), light, 0.6))
        if canvas.air.darkness > 0.2:
            lamp = self._place([(0.6, 0.8)])[0]
            canvas.disc(lamp, 0.09 * px, (235.0, 250.0, 255.0))

    def _wheels(self, colour: tuple[float, float, float]) -> None:
        turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for at in (-0.55, 0.55):
            rim = self._place([(at + 0.34 * np.cos(t), 0.34 + 0.34 * np.sin(t)) for t in turn])
            for start, end in zip(rim, np.roll(rim, -1, axis=0), strict=True):
                self.canvas.stroke(start, end, 0.06 * self.scale, colour)

    def _shadow(self) -> None:
        canvas, vehicle = self.canvas, self.vehicle
        flat = np.array(
            [
                (vehicle.x + dx, vehicle.y + dy, 0.0)
                for dx, dy in ((-0.9, -0.15), (0.9, -0.15), (0.9, 0.15), (-0.9, 0.15))
            ]
        )
        canvas.darken(canvas.camera.project(flat), 0.4)
        if canvas.sunny > 0.2:
            corners = np.array(
                [(vehicle.x + dx, vehicle.y, z) for dx, z in ((-0.9, 0.0), (0.9, 0.0), (0.3, 1.7), (-0.3, 1.6))]
            )
            canvas.darken(canvas.sun_shadow(corners), 0.4 * min(1.0, canvas.sunny / 0.7))

    def beam(self) -> None:
        """A bicycle's lamp lights no road worth drawing."""

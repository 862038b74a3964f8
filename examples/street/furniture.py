"""What stands in the street and changes without mattering: trees in the wind, lamps, signals."""

import numpy as np

from .backdrop import LAMP_Y, LAMP_Z, LAMPS_X
from .camera import Points
from .canvas import Canvas

TREES_X, TREE_Y = (-1.0, 12.0, 25.0, 69.0, 77.0), 10.2
SIGNALS = ((12.9, -0.45), (17.0, 9.75))
COLOURS = {"red": (50.0, 50.0, 255.0), "amber": (40.0, 190.0, 255.0), "green": (120.0, 230.0, 60.0)}


class Tree:
    """A crown of leaf tufts, each of which sways a little; the trunk stands."""

    def __init__(self, x: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        count = 26
        around, out = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
        self.x = x
        self.places = np.stack(
            [x + 1.35 * out * np.cos(around), np.full(count, TREE_Y), 4.4 + 1.05 * out * np.sin(around)], axis=1
        )
        order = np.argsort(self.places[:, 2])
        self.places = self.places[order]
        self.radii = rng.uniform(0.32, 0.55, count)
        self.green = rng.uniform(0.75, 1.2, count)
        self.phase = rng.uniform(0, 6.3, count)

    def draw(self, canvas: Canvas, time_s: float) -> None:
        """Trunk, then the tufts from below."""
        light = canvas.light_at(self.x, TREE_Y)
        foot, top = canvas.camera.project(np.array([(self.x, TREE_Y, 0.0), (self.x, TREE_Y, 3.6)]))
        scale = canvas.camera.focal_px / canvas.camera.depth(self.x, TREE_Y, 3.0)
        canvas.stroke(foot, top, 0.26 * scale, canvas.shade((0.20, 0.27, 0.34), light, 0.5))
        wind = 0.045 * (1 + 0.8 * np.sin(time_s * 0.23)) + 0.03 * canvas.air.rain
        swaying = self.places.copy()
        swaying[:, 0] += wind * (np.sin(time_s * 1.9 + self.phase) + 0.8 * np.sin(time_s * 0.9 + self.x))
        swaying[:, 2] += 0.6 * wind * np.sin(time_s * 2.6 + 2 * self.phase)
        for centre, radius, green in zip(canvas.camera.project(swaying), self.radii, self.green, strict=True):
            canvas.disc(
                centre, float(radius * scale), canvas.shade((0.16 * green, 0.40 * green, 0.25 * green), light, 0.5)
            )


def draw_lamp(canvas: Canvas, x: float) -> None:
    """A street lamp, lit from dusk on."""
    light = canvas.light_at(x, LAMP_Y)
    posts = np.array([(x, LAMP_Y, 0.0), (x, LAMP_Y, LAMP_Z), (x, LAMP_Y - 0.9, LAMP_Z + 0.1)])
    foot, top, arm = canvas.camera.project(posts)
    scale = canvas.camera.focal_px / canvas.camera.depth(x, LAMP_Y, LAMP_Z)
    iron = canvas.shade((0.28, 0.30, 0.28), light, 0.4)
    canvas.stroke(foot, top, 0.13 * scale, iron)
    canvas.stroke(top, arm, 0.12 * scale, iron)
    if canvas.air.darkness > 0.3:
        disc = np.array([(np.cos(t), 0.7 * np.sin(t)) for t in np.linspace(0, 6.28, 12)])
        canvas.glow(arm + disc * 0.55 * scale, (90, 130, 160), 15)
        canvas.disc(arm, 0.2 * scale, (215.0, 245.0, 255.0))
    else:
        canvas.disc(arm, 0.17 * scale, canvas.shade((0.7, 0.7, 0.65), light, 0.5))


def draw_signal(canvas: Canvas, place: tuple[float, float], colour: str) -> None:
    """A traffic light: the lamp that is on shines, the others are dark."""
    x, y = place
    light = canvas.light_at(x, y)
    foot, top = canvas.camera.project(np.array([(x, y, 0.0), (x, y, 3.0)]))
    scale = canvas.camera.focal_px / canvas.camera.depth(x, y, 2.5)
    canvas.stroke(foot, top, 0.12 * scale, canvas.shade((0.35, 0.35, 0.35), light, 0.4))
    width, height = 0.24 * scale, 0.95 * scale
    box: Points = top + np.array([(-width, -height * 0.2), (width, -height * 0.2), (width, height), (-width, height)])
    canvas.polygon(box, canvas.shade((0.12, 0.12, 0.12), light, 0.3))
    for row, name in enumerate(("red", "amber", "green")):
        dim = tuple(0.22 * channel for channel in COLOURS[name])
        centre = top + np.array([0.0, (0.02 + 0.38 * row) * scale])
        canvas.disc(centre, 0.16 * scale, COLOURS[name] if name == colour else dim)


def lamps_and_trees() -> list[tuple[float, Tree | None]]:
    """Lamps (None) and trees along the far pavement."""
    lamps: list[tuple[float, Tree | None]] = [(x, None) for x in LAMPS_X]
    return lamps + [(x, Tree(x, seed)) for seed, x in enumerate(TREES_X)]

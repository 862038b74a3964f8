"""Ground, kerbs, road marks, facades, windows and tree trunks: what every pixel of the empty street shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import Camera
from .people import CROSS_X, DOORS_X, YARD_DOOR_X, YARD_X
from .traffic import BAYS_X, YARD_BAYS_X

SCALE = 2
FACADE_Y = 13.2
FARTHEST_M = 400.0
Field = NDArray[np.float64]
Mask = NDArray[np.bool_]

# from x, to x, height, colour BGR: the row of houses, with a gap in which the sky shows
HOUSES = (
    (-30.0, -4.2, 14.0, (0.50, 0.62, 0.74)),
    (-4.2, 5.6, 14.0, (0.62, 0.70, 0.74)),
    (5.6, 13.0, 7.6, (0.40, 0.50, 0.66)),
    (13.0, 24.0, 14.0, (0.66, 0.64, 0.58)),
    (24.0, 33.0, 8.2, (0.55, 0.72, 0.78)),
    (37.0, 90.0, 14.0, (0.50, 0.55, 0.62)),
)


@dataclass(frozen=True)
class Surface:
    """Per pixel: place in the world, reflected colour, and how the light meets it."""

    x: Field
    y: Field
    z: Field
    albedo: Field
    facing: Field
    """Cosine towards the sun, 0 in shadow."""
    glow: Field
    """Windows that are lit after dark."""
    ground: Mask
    sky: Mask


def paint(camera: Camera) -> Surface:
    """Find what every ray of the camera meets, and paint it."""
    rays = camera.rays(SCALE)
    _cx, cy, cz = camera.position
    with np.errstate(divide="ignore"):
        to_ground = np.where(rays[..., 2] < 0, -cz / rays[..., 2], np.inf)
        to_facade = np.where(rays[..., 1] > 0, (FACADE_Y - cy) / rays[..., 1], FARTHEST_M)
    ground = to_ground < to_facade
    reach = np.where(ground, to_ground, to_facade)
    x, y, z = (camera.position[i] + rays[..., i] * reach for i in range(3))
    albedo, glow, sky = np.empty(rays.shape), np.zeros(x.shape), np.zeros(x.shape, bool)
    # Each pixel is one or the other, and it takes long enough.
    albedo[ground] = _ground(x[ground], y[ground])
    albedo[~ground], glow[~ground], sky[~ground] = _facades(x[~ground], z[~ground])
    grain = np.random.default_rng(7).normal(1.0, 0.035, albedo.shape[:2])
    facing = np.where(ground, 0.72, 0.52) * ~_shaded(x, y, z)
    return Surface(x, y, z, albedo * grain[..., None], facing, glow, ground, sky)


def _shaded(x: Field, y: Field, z: Field) -> Mask:
    # the camera's own house throws a straight shadow over the near pavement, the trees one on far pavement and wall
    house = y + 0.76 * z < -0.4
    trees = np.zeros_like(house)
    for tree in (-1.0, 12.0, 25.0, 69.0, 77.0):
        across = (x - tree - 2.4 - (y - 10.2) * 0.76 - 0.58 * (z - 1.0)) / 1.7
        along = (np.where(y > 13, z - 1.2, y - 13.0)) / 1.5
        trees |= (y > 11.2) & (across**2 + along**2 < 1)
    return house | trees


def _ground(x: Field, y: Field) -> Field:
    """Pavement, kerb, parking lane and carriageway with their marks."""
    slabs = ((x % 1.2 < 0.05) | (y % 1.2 < 0.05)) * 0.05
    grey = 0.56 - slabs + 0.03 * np.sin(np.floor(x / 1.2) * 12.9 + np.floor(y / 1.2) * 78.2)
    grey = np.where((y > -0.3) & (y < 9.7), 0.66, grey)  # kerbs
    patches = 0.02 * np.sin(x * 0.7) * np.sin(y * 1.3 + x * 0.2)
    grey = np.where((y >= 0) & (y <= 9.4), 0.30 + patches, grey)
    grey = np.where((y > 7.25) & (y <= 9.4), 0.36 + patches, grey)
    yard = x > YARD_X
    cobbles = 0.40 + 0.05 * (
        ((x % 0.8 < 0.06) | (y % 0.8 < 0.06)) + np.sin(np.floor(x / 0.8) * 7 + np.floor(y / 0.8) * 5)
    )
    grey = np.where(yard, cobbles, grey)
    white = (np.abs(y - 3.5) < 0.07) & (x % 4.0 < 2.0) & ((x < 11) | (x > 19)) & ~yard
    for bay in (*BAYS_X, *YARD_BAYS_X):
        edge = (np.abs(np.abs(x - bay) - 2.95) < 0.06) & (y > 7.25) & (y < 9.4)
        white |= edge | ((np.abs(x - bay) < 2.95) & (np.abs(y - 7.25) < 0.06))
    white |= (np.abs(x - CROSS_X) < 1.6) & (y > 0.25) & (y < 9.2) & (y % 1.0 < 0.5)
    white |= (np.abs(x - 12.5) < 0.16) & (y > 0.1) & (y < 3.4) | (np.abs(x - 17.1) < 0.16) & (y > 3.6) & (y < 7.2)
    grey = np.where(white, 0.80, grey)
    colour = grey[..., None] * np.array([0.98, 1.0, 1.0])
    beds = yard & ((y < 1.6) | (((np.abs(x - 69.0) < 2.6) | (np.abs(x - 77.0) < 2.6)) & (np.abs(y - 10.2) < 1.0)))
    lawn = (y > 14) | beds
    return np.where(lawn[..., None], np.array([0.25, 0.42, 0.33]), colour)


def _facades(x: Field, z: Field) -> tuple[Field, Field, Mask]:
    """Colour, lit windows and open sky of the row of houses."""
    colour = np.zeros((*x.shape, 3))
    glow = np.zeros_like(x)
    sky = np.ones_like(x, bool)
    for number, (start, end, top, paint_) in enumerate(HOUSES):
        inside = (x >= start) & (x < end) & (z < top)
        sky &= ~inside
        along, height = x[inside] - start, z[inside]
        wall, lit = _wall(along, height, end - start, np.array(paint_), number)
        roof = height > top - 1.3
        tiles = np.array([0.25, 0.28, 0.42]) * (0.85 + 0.15 * (height % 0.3 < 0.2))[..., None]
        wall = np.where(roof[..., None], tiles, wall)
        colour[inside] = np.where((np.abs(along) < 0.06)[..., None], wall * 0.7, wall)
        glow[inside] = np.where(roof, 0.0, lit)
    for door in (*DOORS_X, YARD_DOOR_X):
        leaf = (np.abs(x - door) < 0.6) & (z < 2.3)
        colour = np.where(leaf[..., None], np.array([0.16, 0.2, 0.3]), colour)
        glow = np.where(leaf, 0.0, glow)
        lintel = (np.abs(x - door) < 0.3) & (np.abs(z - 2.55) < 0.12)
        glow = np.where(lintel, 0.8, glow)
    return colour, glow, sky


def _wall(x: Field, z: Field, width: float, paint_: Field, number: int) -> tuple[Field, Field]:
    """One house: rows of windows over a plinth, a shop window in every second one."""
    columns = max(2, round(width / 2.6))
    column, across = np.divmod(x, width / columns)
    across /= width / columns
    row, up = np.divmod(z - 0.2, 3.0)
    window = (np.abs(across - 0.5) < 0.23) & (up > 0.9) & (up < 2.4)
    shop = (number % 2 == 1) & (z > 0.5) & (z < 2.6) & (np.abs(across - 0.5) < 0.42)
    pane = np.where(z < 3.0, shop if number % 2 else window & (z > 1), window)
    frame = (np.abs(across - 0.5) < 0.28) & (up > 0.78) & (up < 2.52) & (z > 3)
    colour = np.broadcast_to(paint_, (*x.shape, 3)) * (0.96 + 0.04 * (z % 0.25 < 0.2))[..., None]
    colour = np.where(frame[..., None], np.minimum(paint_ * 1.25, 0.9), colour)
    cross = (np.abs(across - 0.5) < 0.02) & (z > 3)
    colour = np.where((pane & ~cross)[..., None], np.array([0.32, 0.28, 0.24]), colour)
    awning = (number % 2 == 1) & (z > 2.65) & (z < 3.0)
    stripes = np.where((x % 0.6 < 0.3)[..., None], np.array([0.25, 0.25, 0.6]), np.array([0.75, 0.78, 0.8]))
    colour = np.where(awning[..., None], stripes, colour)
    colour = np.where((z < 0.4)[..., None], paint_ * 0.6, colour)
    chance = np.abs(np.sin(column * 12.9898 + row * 78.233 + number * 37.7)) * 43758.5453 % 1.0
    lit = pane & ~cross & ((chance < 0.38) | (shop & (z < 3.0)))
    return colour, np.where(lit, 0.35 + 0.5 * chance, 0.0)

"""What may happen to a camera, and to the light before it, composed of real clips: no recording of it, and it says so.

All look at the middle .7 of a frame's width and height, so that there is something to turn to.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Change = Callable[[Picture, float, np.random.Generator], Picture]
"""Of a frame, so many seconds after the change, with its own chance."""
SIZE = 0.7


def view(frame: Picture, *, dx: float = 0.0, dy: float = 0.0, size: float = SIZE, angle: float = 0.0) -> Picture:
    """What a camera sees of a frame: a part of it, moved by shares of the part's size, and turned by degrees."""
    height, width = frame.shape[:2]
    x, y = width / 2 + dx * width * size, height / 2 + dy * height * size
    turn = cv2.getRotationMatrix2D((x, y), angle, 1.0 / size)
    turn[:, 2] += (width / 2 - x, height / 2 - y)
    return np.asarray(cv2.warpAffine(frame, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def noisy(frame: Picture, random: np.random.Generator, level: float) -> Picture:
    """With the same noise in all colours."""
    noise = random.normal(0.0, level, frame.shape[:2]).astype(np.float32)[..., None]
    return np.clip(frame.astype(np.float32) + noise, 0, 255).astype(np.uint8)


def dim(frame: Picture, gain: float, random: np.random.Generator) -> Picture:
    """With less light, and a sensor's noise."""
    return noisy(np.asarray(frame * gain, np.uint8), random, 2.0)


def infrared(frame: Picture, random: np.random.Generator) -> Picture:
    """Grey, another contrast, lit by a lamp at the camera, with more noise."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32)
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width]
    away = ((x - width / 2) / width) ** 2 + ((y - 0.6 * height) / height) ** 2
    lit = 255.0 * (grey / 255.0) ** 0.7 * 1.6 / (1.0 + 3.0 * away)
    turned = np.clip(lit + random.normal(0.0, 4.0, grey.shape), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_GRAY2BGR), np.uint8)


def web(frame: Picture, since_s: float) -> Picture:
    """Threads near the lens: bright, out of focus, swaying."""
    random = np.random.default_rng(3)
    height, width = frame.shape[:2]
    veil = np.zeros((height, width), np.float32)
    for number in range(22):
        x, y, to_x, to_y = random.uniform(0.0, 1.0, 4)
        sway = 0.01 * np.sin(2.0 * since_s + number)
        ends = [(round((each + sway) * width), round(other * height)) for each, other in ((x, y), (to_x, to_y))]
        cv2.line(veil, ends[0], ends[1], 1.0, max(2, width // 80))
    veil = 0.75 * np.clip(1.6 * cv2.GaussianBlur(veil, (0, 0), width / 70), 0.0, 1.0)[..., None]
    return np.clip(frame * (1.0 - veil) + 220.0 * veil, 0, 255).astype(np.uint8)


def drop(frame: Picture) -> Picture:
    """Something wet before a third of the picture."""
    height, width = frame.shape[:2]
    cover = np.zeros((height, width), np.float32)
    axes = (round(0.38 * width), round(0.45 * height))
    cv2.ellipse(cover, (round(0.35 * width), height // 2), axes, 0, 0, 360, 1.0, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), width / 50)[..., None]
    return np.asarray(frame * (1.0 - cover) + _blurred(frame, width / 25) * cover, np.uint8)


def rain(frame: Picture, random: np.random.Generator) -> Picture:
    """Short bright streaks, other ones in each frame."""
    height, width = frame.shape[:2]
    streaks = np.zeros((height, width), np.uint8)
    for _ in range(250):
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        cv2.line(streaks, (x, y), (x + 2, y + round(0.05 * height)), 90, 1)
    return np.asarray(cv2.add(_blurred(frame, 0.8), cv2.cvtColor(streaks, cv2.COLOR_GRAY2BGR)), np.uint8)


def _blurred(frame: Picture, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8)


def _cloth(frame: Picture, random: np.random.Generator) -> Picture:
    lit = np.clip(_blurred(view(frame), frame.shape[1] / 8) * 0.4 + 30.0, 0, 255).astype(np.uint8)
    return noisy(lit, random, 2.0)


def _shaken(since_s: float) -> float:
    return 0.05 * float(np.sin(25.0 * since_s)) if since_s < 0.8 else 0.0


NOTHING: Change = lambda frame, since_s, random: view(frame)  # noqa: E731
CHANGED: dict[str, Change] = {
    "pan 5 %": lambda frame, since_s, random: view(frame, dx=0.05),
    "pan 10 %": lambda frame, since_s, random: view(frame, dx=0.10),
    "pan 20 %": lambda frame, since_s, random: view(frame, dx=0.20),
    "tilt 15 %": lambda frame, since_s, random: view(frame, dy=0.15),
    "zoom 1.6": lambda frame, since_s, random: view(frame, size=0.45),
    "rolled 8 degrees": lambda frame, since_s, random: view(frame, angle=8.0),
    "knocked": lambda frame, since_s, random: view(frame, dx=0.06 + _shaken(since_s), dy=0.03, angle=3.0),
    "infrared": lambda frame, since_s, random: infrared(view(frame), random),
    "dark": lambda frame, since_s, random: dim(view(frame), 0.02, random),
    "covered": lambda frame, since_s, random: _cloth(frame, random),
    "out of focus": lambda frame, since_s, random: noisy(_blurred(view(frame), frame.shape[1] / 100), random, 1.5),
    "a little so": lambda frame, since_s, random: noisy(_blurred(view(frame), frame.shape[1] / 200), random, 1.5),
    "web": lambda frame, since_s, random: web(view(frame), since_s),
    "drop": lambda frame, since_s, random: drop(view(frame)),
}
"""After which a camera does not see what it saw."""
UNCHANGED: dict[str, tuple[Change, Change]] = {
    "light on": (lambda frame, since_s, random: dim(view(frame), 0.3, random), NOTHING),
    "light off": (NOTHING, lambda frame, since_s, random: dim(view(frame), 0.3, random)),
    "dusk": (NOTHING, lambda frame, since_s, random: dim(view(frame), max(0.15, 1.0 - 0.1 * since_s), random)),
    "rain": (NOTHING, lambda frame, since_s, random: rain(view(frame), random)),
}
"""Before and after: the camera sees what it saw, in another light."""

"""The small grey picture that a filter sees of a frame, and the slow background behind it."""

import math

import cv2
import numpy as np

from ..outputs import Array

SIDE = 112
BACKGROUND_S = 20.0


class Shrinker:
    """Makes the grey picture of `SIDE` x `SIDE` of a frame of any size.

    Exact halvings come first, by means of 2 x 2 pixels in colour (many times cheaper than one INTER_AREA by an odd
    factor, or than going grey at full size), then of 2 pixels along the longer side; the rest is bilinear.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._halves: list[Array] = []
        self._narrower: list[Array] = []
        self._grey = np.empty((SIDE, SIDE), np.uint8)
        self._small = np.empty((SIDE, SIDE), np.uint8)

    def shrink(self, frame: Array) -> Array:
        """The picture (uint8) of a frame (uint8 BGR); the array is used again by the next call."""
        if frame.shape != self._shape:
            self._prepare(frame.shape)
        image = frame
        for step in self._halves:
            image = cv2.resize(image, step.shape[1::-1], dst=step, interpolation=cv2.INTER_AREA)
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY, dst=self._grey)
        for step in self._narrower:
            # Bilinear by exactly 2 is the mean of two pixels.
            image = cv2.resize(image, step.shape[1::-1], dst=step, interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.resize(image, (SIDE, SIDE), dst=self._small, interpolation=cv2.INTER_LINEAR))

    def _prepare(self, shape: tuple[int, ...]) -> None:
        height, width = shape[:2]
        self._halves, self._narrower = [], []
        while min(height, width) >= 2 * SIDE:
            height, width = height // 2, width // 2
            self._halves.append(np.empty((height, width, 3), np.uint8))
        self._grey = np.empty((height, width), np.uint8)
        while max(height, width) >= 2 * SIDE:
            height, width = (height // 2, width) if height > width else (height, width // 2)
            self._narrower.append(np.empty((height, width), np.uint8))
        self._shape = shape


class Background:
    """A slow running mean of the picture; how slow counts in seconds of capture time, not in frames."""

    def __init__(self) -> None:
        self._mean = np.zeros((SIDE, SIDE), np.float32)
        self._rounded = np.zeros((SIDE, SIDE), np.uint8)
        self._first_s: float | None = None
        self._last_s = 0.0

    def reset(self) -> None:
        """Forgets what it saw."""
        self._first_s = None

    def difference(self, picture: Array, captured_s: float, out: Array) -> None:
        """Takes the picture in, then writes how far it is from the background to `out` (uint8)."""
        if self._first_s is None:
            self._first_s = captured_s
            np.copyto(self._mean, picture)
        else:
            step_s = max(0.0, captured_s - self._last_s)
            # A young background is the plain mean of what was seen so far.
            slow_s = max(min(BACKGROUND_S, captured_s - self._first_s), step_s, 1e-6)
            cv2.accumulateWeighted(picture, self._mean, 1.0 - math.exp(-step_s / slow_s))
        self._last_s = captured_s
        cv2.convertScaleAbs(self._mean, dst=self._rounded)
        cv2.absdiff(picture, self._rounded, dst=out)

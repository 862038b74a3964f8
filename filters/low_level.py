"""Reducto's low-level differences between a picture and its reference: pixel, area, edge, corner. OpenCV only."""

from collections.abc import Collection

import cv2
import numpy as np

from ..outputs import Array
from .pictures import SIDE

LOW_LEVEL = ("pixel", "area", "edge", "corner")
_CHANGED = 21
_CORNER = 0.01
Features = tuple[Array, Array, Array]
"""What is compared of a picture: itself blurred, its edges, its corners; all uint8."""

_NOTHING = np.zeros((1, 1), np.uint8)
_KERNEL = np.ones((3, 3), np.uint8)


class LowLevel:
    """Compares two pictures of `SIDE` x `SIDE`: each number is the share of the picture that differs, from 0 to 1.

    Pixel: pixels that differ by more than 21 levels. Area: the largest moving region among them. Edge: pixels that are
    on an edge (Canny) of one picture alone. Corner: the same for corners (Harris).

    Args:
        names: those that are wanted; the others stay 0, and cost nothing.
    """

    def __init__(self, names: Collection[str] = LOW_LEVEL) -> None:
        self._difference = np.empty((SIDE, SIDE), np.uint8)
        self._regions, self._edges, self._corners = (name in names for name in LOW_LEVEL[1:])

    def features(self, picture: Array) -> Features:
        """What is compared of a picture."""
        blurred = np.asarray(cv2.GaussianBlur(picture, (5, 5), 0))
        edges = corners = _NOTHING
        if self._edges:
            edges = np.asarray(cv2.Canny(blurred, 60, 120))
        if self._corners:
            response = cv2.cornerHarris(np.asarray(picture, np.float32), 3, 3, 0.04)
            corners = np.asarray(response > _CORNER * max(float(response.max()), 1e-6), np.uint8) * np.uint8(255)
        return blurred, edges, corners

    def compare(self, now: Features, before: Features) -> tuple[float, float, float, float]:
        """The four numbers for what is compared of two pictures."""
        size = float(SIDE * SIDE)
        cv2.absdiff(now[0], before[0], dst=self._difference)
        _, changed = cv2.threshold(self._difference, _CHANGED, 255, cv2.THRESH_BINARY)
        pixel = cv2.countNonZero(changed) / size
        area = 0.0
        if pixel > 0 and self._regions:
            grown = cv2.dilate(changed, _KERNEL, iterations=2)
            _, _, stats, _ = cv2.connectedComponentsWithStats(grown)
            area = float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / size
        edge = cv2.countNonZero(cv2.bitwise_xor(now[1], before[1])) / size if self._edges else 0.0
        corner = cv2.countNonZero(cv2.bitwise_xor(now[2], before[2])) / size if self._corners else 0.0
        return pixel, area, edge, corner

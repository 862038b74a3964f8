"""What a filter sees of a frame: a small grey picture, how it differs from the background and from a reference.

Numpy and OpenCV only, into buffers that are made once. Training sees frames through this very class.
"""

import math

import cv2
import numpy as np

from ..outputs import Array

SIDE = 112
CHANNELS = 3
SCALARS = ("age", "difference", "top difference", "background", "top background")
BACKGROUND_S = 20.0
_BLOCKS = 28
_TOP = 8


class Shrinker:
    """Makes the grey picture of `SIDE` x `SIDE` of a frame of any size.

    Exact halvings come first (they are many times cheaper than one INTER_AREA by an odd factor); the rest is bilinear.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._steps: list[Array] = []
        self._grey = np.empty((SIDE, SIDE), np.uint8)
        self._small = np.empty((SIDE, SIDE), np.uint8)

    def shrink(self, frame: Array) -> Array:
        """The picture (uint8) of a frame (uint8 BGR); the array is used again by the next call."""
        if frame.shape != self._shape:
            self._prepare(frame.shape)
        image = frame
        for step in self._steps:
            image = cv2.resize(image, step.shape[1::-1], dst=step, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY, dst=self._grey)
        return np.asarray(cv2.resize(grey, (SIDE, SIDE), dst=self._small, interpolation=cv2.INTER_LINEAR))

    def _prepare(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._steps = []
        height, width = shape[:2]
        while height >= 2 * SIDE or width >= 2 * SIDE:
            height = height // 2 if height >= 2 * SIDE else height
            width = width // 2 if width >= 2 * SIDE else width
            self._steps.append(np.empty((height, width, 3), np.uint8))
        self._grey = np.empty((height, width), np.uint8)


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


class Summary:
    """Two numbers on a difference: its mean, and the mean of its most different small blocks."""

    def __init__(self) -> None:
        self._blocks = np.empty((_BLOCKS, _BLOCKS), np.float32)

    def of(self, channel: Array) -> tuple[float, float]:
        """Mean and top of a channel (float32, `SIDE` x `SIDE`)."""
        cv2.resize(channel, (_BLOCKS, _BLOCKS), dst=self._blocks, interpolation=cv2.INTER_AREA)
        flat = self._blocks.reshape(-1)
        top = np.partition(flat, flat.size - _TOP)[-_TOP:]
        return float(flat.sum()) / flat.size, float(top.sum()) / _TOP


class Channels:
    """Follows a stream and keeps the filter's two inputs up to date.

    Args:
        pairwise: the reference is the last kept frame (the rule `unchanged`); else it is the previous frame.

    Attributes:
        tensor: float32 (1, 3, SIDE, SIDE), from 0 to 1: grey, difference to background, difference to reference.
        scalars: float32 (1, 5), in the order of `SCALARS`; the age is log(1 + seconds since the last kept frame).
        picture: uint8 (SIDE, SIDE), the frame as it is seen.
        moved: uint8 (SIDE, SIDE), its difference to the background.
    """

    def __init__(self, *, pairwise: bool) -> None:
        self.pairwise = pairwise
        self.tensor = np.zeros((1, CHANNELS, SIDE, SIDE), np.float32)
        self.scalars = np.zeros((1, len(SCALARS)), np.float32)
        self.picture = np.zeros((SIDE, SIDE), np.uint8)
        self.moved = np.zeros((SIDE, SIDE), np.uint8)
        self._reference = np.zeros((SIDE, SIDE), np.uint8)
        self._changed = np.zeros((SIDE, SIDE), np.uint8)
        self._shrinker = Shrinker()
        self._background = Background()
        self._summary = Summary()
        self._started = False
        self._now_s = 0.0
        self._kept_s = 0.0

    @property
    def age_s(self) -> float:
        """Seconds of capture time since the last kept frame."""
        return max(0.0, self._now_s - self._kept_s)

    def reset(self) -> None:
        """Starts a new stream."""
        self._background.reset()
        self._started = False

    def see(self, frame: Array, captured_s: float) -> None:
        """Takes the next frame of the stream in (uint8 BGR)."""
        if self._started and not self.pairwise:
            np.copyto(self._reference, self.picture)
        np.copyto(self.picture, self._shrinker.shrink(frame))
        if not self._started:
            np.copyto(self._reference, self.picture)
            self._kept_s = captured_s
            self._started = True
        self._now_s = captured_s
        self._background.difference(self.picture, captured_s, self.moved)
        cv2.absdiff(self.picture, self._reference, dst=self._changed)
        for channel, image in zip(self.tensor[0], (self.picture, self.moved, self._changed), strict=True):
            to_unit(image, out=channel)
        self.scalars[0, 0] = math.log1p(self.age_s)
        self.scalars[0, 1:3] = self._summary.of(self.tensor[0, 2])
        self.scalars[0, 3:5] = self._summary.of(self.tensor[0, 1])

    def kept(self) -> None:
        """Says that the frame last seen is kept."""
        self._kept_s = self._now_s
        if self.pairwise:
            np.copyto(self._reference, self.picture)


def to_unit(image: Array, *, out: Array) -> None:
    """Writes uint8 values as float32 from 0 to 1."""
    np.multiply(image, np.float32(1 / 255), out=out, dtype=np.float32)

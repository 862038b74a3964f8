"""Frames of a stream as a filter sees them: a small grey picture, its differences to others, and a few numbers.

NumPy and OpenCV only, into buffers that are made once. Training sees frames through these very classes.
"""

import math
from collections import deque
from collections.abc import Collection

import cv2
import numpy as np

from ...outputs import Array

SIDE = 112
CHANNELS = 3
_TOPS = ("1", "4", "16", "64", "median")
_KINDS = len(_TOPS)
MOTION = tuple(f"{when} {top}" for when in ("motion", "motion lately") for top in _TOPS)
SCALARS = ("age", "step", "carried", "difference", "top difference", "background", "top background", *MOTION)
AGE, STEP, CARRIED = range(3)
_DIFFERENCE, _BACKGROUND, _MOTION = slice(3, 5), slice(5, 7), slice(7, 7 + len(MOTION))
_LATELY_S = 0.3
_BACKGROUND_S = 20.0
_BLOCKS = 28
_REMEMBERED = 8

LOW_LEVEL = ("pixel", "area", "edge", "corner")
Features = tuple[Array, Array, Array]
"""What is compared of two pictures: each one blurred, its edges, its corners; all uint8."""
_CHANGED = 21
_CORNER = 0.01
_NOTHING = np.zeros((1, 1), np.uint8)
_KERNEL = np.ones((3, 3), np.uint8)


class Channels:
    """Follows a stream and keeps the inputs of a filter's graph up to date.

    The previous frame is the newest one that is at least `step_s` older, so that motion means the same at any rate.

    Args:
        pairwise: the reference is the last kept frame (the rule `unchanged`); otherwise it is the previous frame.
        step_s: the least time, in seconds of capture, to the previous frame.
        low_level: which of the `differences` are computed.

    Attributes:
        tensor: float32 (1, 3, SIDE, SIDE), from 0 to 1: grey, difference to background, difference to reference.
        scalars: float32 (1, 17), in the order of `SCALARS`: log(1 + seconds since the last kept frame), seconds since
            the last frame, what the graph has carried on since the last kept frame, mean and top of both differences,
            and the motion since the previous frame in the most changed blocks and the median one, now and lately.
        picture: uint8 (SIDE, SIDE), the frame in grey.
        differences: float32 (1, 1) each, the wanted ones of Reducto's differences to the reference, by name.
        moved: uint8 (SIDE, SIDE), the frame's difference to the background.
    """

    def __init__(self, *, pairwise: bool, step_s: float = 0.0, low_level: Collection[str] = ()) -> None:
        self.pairwise = pairwise
        self.step_s = step_s
        self.tensor = np.zeros((1, CHANNELS, SIDE, SIDE), np.float32)
        self.scalars = np.zeros((1, len(SCALARS)), np.float32)
        self.picture = np.zeros((SIDE, SIDE), np.uint8)
        self.moved = np.zeros((SIDE, SIDE), np.uint8)
        self.differences = {name: np.zeros((1, 1), np.float32) for name in low_level}
        self._low_level = LowLevel(low_level) if low_level else None
        self._kept_picture = np.zeros((SIDE, SIDE), np.uint8)
        self._kept_features: Features | None = None
        self._changed = np.zeros((SIDE, SIDE), np.uint8)
        self._shrinker = Shrinker()
        self._background = Background()
        self._summary = Summary()
        self._past: deque[_Past] = deque()
        self._spare = [_Past() for _ in range(_REMEMBERED + 1)]
        self._now_s = 0.0
        self._kept_s = 0.0

    @property
    def age_s(self) -> float:
        """Seconds of capture time since the last kept frame."""
        return max(0.0, self._now_s - self._kept_s)

    def reset(self) -> None:
        """Starts a new stream."""
        self._background.reset()
        self._spare += self._past
        self._past.clear()
        self._kept_features = None

    def see(self, frame: Array, captured_s: float) -> None:
        """Takes the next frame of the stream (uint8 BGR)."""
        np.copyto(self.picture, self._shrinker.shrink(frame))
        started = bool(self._past)
        step_s = max(0.0, captured_s - self._now_s) if started else 0.0
        self._now_s = captured_s
        if not started:
            self.kept()
        self._background.difference(self.picture, captured_s, self.moved)
        now = self._remember(captured_s)
        before = self._before(captured_s)
        cv2.absdiff(self.picture, self._kept_picture if self.pairwise else before.picture, dst=self._changed)
        if self._low_level is not None:
            now.features = self._low_level.features(self.picture)
            reference = self._kept_features if self.pairwise else before.features
            found = dict(zip(LOW_LEVEL, self._low_level.compare(now.features, reference or now.features), strict=True))
            for name, difference in self.differences.items():
                difference[0, 0] = found[name]
        for channel, image in zip(self.tensor[0], (self.picture, self.moved, self._changed), strict=True):
            to_unit(image, out=channel)
        cv2.resize(self.tensor[0, 0], (_BLOCKS, _BLOCKS), dst=now.blocks, interpolation=cv2.INTER_AREA)
        values = self.scalars[0]
        values[AGE], values[STEP] = math.log1p(self.age_s), step_s
        values[_DIFFERENCE] = self._summary.of(self.tensor[0, 2])
        values[_BACKGROUND] = self._summary.of(self.tensor[0, 1])
        self._move(now, before, step_s, started=started)

    def carry(self, value: float) -> None:
        """Gives the graph's output for the frame last seen back to the graph, until the next kept frame."""
        self.scalars[0, CARRIED] = value if math.isfinite(value) else 0.0

    def kept(self) -> None:
        """Notes that the frame last seen is kept."""
        self._kept_s = self._now_s
        self.scalars[0, CARRIED] = 0.0
        np.copyto(self._kept_picture, self.picture)
        if self._low_level is not None and self._past:
            self._kept_features = self._past[-1].features

    def _remember(self, captured_s: float) -> "_Past":
        if not self._spare:
            self._spare.append(self._past.popleft())
        now = self._spare.pop()
        now.captured_s = captured_s
        now.features = None
        np.copyto(now.picture, self.picture)
        self._past.append(now)
        return now

    def _before(self, captured_s: float) -> "_Past":
        """The previous frame; what is older than it is forgotten."""
        while len(self._past) > 2 and self._past[1].captured_s <= captured_s - max(self.step_s, 1e-9):
            self._spare.append(self._past.popleft())
        return self._past[0]

    def _move(self, now: "_Past", before: "_Past", step_s: float, *, started: bool) -> None:
        np.subtract(now.blocks, before.blocks, out=before.change)
        np.abs(before.change, out=before.change)
        values = self.scalars[0, _MOTION]
        values[:_KINDS] = _motion(before.change.reshape(-1))
        part = 1.0 - math.exp(-step_s / _LATELY_S) if started else 1.0
        values[_KINDS:] += part * (values[:_KINDS] - values[_KINDS:])


class _Past:
    """A frame that was seen: its time, picture, block means, features, and a buffer for its difference to another."""

    def __init__(self) -> None:
        self.captured_s = 0.0
        self.picture = np.zeros((SIDE, SIDE), np.uint8)
        self.blocks = np.zeros((_BLOCKS, _BLOCKS), np.float32)
        self.change = np.zeros((_BLOCKS, _BLOCKS), np.float32)
        self.features: Features | None = None


class Shrinker:
    """Makes the grey picture of `SIDE` x `SIDE` of a frame of any size.

    Exact halvings come first, by the mean of 2 x 2 pixels in colour (many times cheaper than one INTER_AREA by an odd
    factor, or than converting to grey at full size), then by the mean of 2 pixels along the longer side; the rest is
    bilinear.
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
    """A slow running mean of the picture; how slow is counted in seconds of capture time, not in frames."""

    def __init__(self) -> None:
        self._mean = np.zeros((SIDE, SIDE), np.float32)
        self._rounded = np.zeros((SIDE, SIDE), np.uint8)
        self._first_s: float | None = None
        self._last_s = 0.0

    def reset(self) -> None:
        """Forgets what it saw."""
        self._first_s = None

    def difference(self, picture: Array, captured_s: float, out: Array) -> None:
        """Adds the picture to the background, then writes its distance from that to `out` (uint8)."""
        if self._first_s is None:
            self._first_s = captured_s
            np.copyto(self._mean, picture)
        else:
            step_s = max(0.0, captured_s - self._last_s)
            # A young background is the plain mean of what was seen so far.
            slow_s = max(min(_BACKGROUND_S, captured_s - self._first_s), step_s, 1e-6)
            cv2.accumulateWeighted(picture, self._mean, 1.0 - math.exp(-step_s / slow_s))
        self._last_s = captured_s
        cv2.convertScaleAbs(self._mean, dst=self._rounded)
        cv2.absdiff(picture, self._rounded, dst=out)


class LowLevel:
    """Reducto's differences of two pictures of `SIDE` x `SIDE`: each is the share that differs, from 0 to 1.

    Pixel: pixels that differ by more than 21 levels. Area: the largest connected region of them. Edge: pixels that are
    on an edge (Canny) of only one of the two. Corner: the same for corners (Harris).

    Args:
        names: the wanted ones; the others stay 0 and cost nothing. Pixel is always computed.
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
        """The four differences, in the order of `LOW_LEVEL`."""
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


class Summary:
    """Sums a difference up in two numbers: its mean, and the mean of its eight most different blocks."""

    def __init__(self) -> None:
        self._blocks = np.empty((_BLOCKS, _BLOCKS), np.float32)

    def of(self, channel: Array) -> tuple[float, float]:
        """Mean and top of a channel (float32, `SIDE` x `SIDE`)."""
        cv2.resize(channel, (_BLOCKS, _BLOCKS), dst=self._blocks, interpolation=cv2.INTER_AREA)
        flat = self._blocks.reshape(-1)
        return float(flat.sum()) / flat.size, float(np.partition(flat, flat.size - 8)[-8:].sum()) / 8


def _motion(blocks: Array) -> tuple[float, ...]:
    """The change of the 1, 4, 16 and 64 most changed blocks, and of the median one: logarithms of grey levels."""
    size = blocks.size
    ranked = np.partition(blocks, (size // 2, size - 64, size - 16, size - 4, size - 1))
    means = [float(ranked[-top:].sum()) / top for top in (1, 4, 16, 64)]
    return tuple(math.log(255 * value + 0.3) for value in (*means, float(ranked[size // 2])))


def previous(captured_s: Array, step_s: float) -> Array:
    """For each input of a stream the index of its previous one; the first input is its own."""
    latest = np.searchsorted(captured_s, captured_s - max(step_s, 1e-9), side="right") - 1
    index = np.arange(len(captured_s))
    return np.clip(latest, np.maximum(index - _REMEMBERED, 0), index)


def to_unit(image: Array, *, out: Array) -> None:
    """Writes uint8 values as float32 from 0 to 1."""
    np.multiply(image, np.float32(1 / 255), out=out, dtype=np.float32)

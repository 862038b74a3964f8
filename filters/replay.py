"""A trace as a filter would see it, kept in memory small: what training, calibration and evaluation run over."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ..outputs import Array
from ..trace import Trace
from .channels import CHANNELS, SCALARS, SIDE, Channels, Summary, to_unit

Progress = Callable[[float, str], None]
LONGEST_S = 10.0


@dataclass(frozen=True)
class Pairs:
    """Pairs of inputs: `current` when `kept` is the last kept one."""

    kept: Array
    current: Array


class Replay:
    """The pictures of a trace and the channels of any pair of its inputs.

    Attributes:
        captured_s: when each input was captured.
        pairwise: whether the reference is the last kept input (else the previous one).
    """

    def __init__(self, trace: Trace, *, pairwise: bool, progress: Progress | None = None) -> None:
        self.captured_s = trace.captured_s
        self.pairwise = pairwise
        self.pictures = np.empty((len(trace), SIDE, SIDE), np.uint8)
        self.moved = np.empty_like(self.pictures)
        self._background = np.empty((len(trace), 2), np.float32)
        self._summary = Summary()
        self._changed = np.empty((SIDE, SIDE), np.uint8)
        self._unit = np.empty((SIDE, SIDE), np.float32)
        channels = Channels(pairwise=pairwise)
        for i, (frame, captured_s) in enumerate(zip(trace.frames(), self.captured_s, strict=True)):
            channels.see(frame, float(captured_s))
            self.pictures[i], self.moved[i] = channels.picture, channels.moved
            self._background[i] = channels.scalars[0, 3:5]
            if progress is not None and i % 50 == 0:
                progress(i / len(trace), "reading the trace")

    def __len__(self) -> int:
        """How many inputs it holds."""
        return len(self.captured_s)

    def images(self, kept: Array, current: Array) -> Array:
        """The channels of inputs `current` when `kept` are the last kept ones: uint8 (n, SIDE, SIDE, 3)."""
        found = np.empty((len(current), SIDE, SIDE, CHANNELS), np.uint8)
        for row, j, reference in zip(found, current, self._references(kept, current), strict=True):
            cv2.absdiff(self.pictures[j], self.pictures[reference], dst=self._changed)
            cv2.merge((self.pictures[j], self.moved[j], self._changed), dst=row)
        return found

    def scalars(self, kept: Array, current: Array) -> Array:
        """Their scalars: float32 (n, 5)."""
        found = np.empty((len(current), len(SCALARS)), np.float32)
        found[:, 0] = np.log1p(np.maximum(self.captured_s[current] - self.captured_s[kept], 0.0))
        found[:, 3:5] = self._background[current]
        for row, j, reference in zip(found, current, self._references(kept, current), strict=True):
            cv2.absdiff(self.pictures[j], self.pictures[reference], dst=self._changed)
            row[1:3] = self._summarise(self._changed)
        return found

    def _references(self, kept: Array, current: Array) -> Array:
        return kept if self.pairwise else np.maximum(current - 1, 0)

    def _summarise(self, image: Array) -> tuple[float, float]:
        to_unit(image, out=self._unit)
        return self._summary.of(self._unit)


def sample_pairs(replay: Replay, start: int, stop: int, random: np.random.Generator) -> Pairs:
    """One pair for each input of a stretch, its age drawn log-uniform from one step to `LONGEST_S`."""
    current = np.arange(start, stop)
    if not replay.pairwise:
        return Pairs(np.maximum(current - 1, start), current)
    current = current[1:]
    times = replay.captured_s
    steps = np.maximum(times[current] - times[current - 1], 1e-3)
    ages = steps * (LONGEST_S / np.minimum(steps, LONGEST_S)) ** random.random(len(current))
    kept = np.searchsorted(times, times[current] - ages, side="right") - 1
    return Pairs(np.clip(kept, start, current - 1), current)

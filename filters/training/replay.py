"""A trace as a filter would see it, kept small in memory: what training, calibration and evaluation run over.

`Replay` holds frames of a stream, each of which can be compared with any earlier one; `Singles` holds inputs that are
seen by themselves.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import cv2
import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..modalities import Modality
from ..modalities.stream import CHANNELS, LOW_LEVEL, SCALARS, SIDE, Channels, LowLevel, Summary, previous, to_unit
from ..modalities.video import Video

LONGEST_S = 10.0


class Replay:
    """The pictures of a trace and the channels of any pair of its inputs.

    Attributes:
        captured_s: when each input was captured.
        pairwise: whether the reference is the last kept input (else the previous one).
        step_s: the least time to the previous input: a little less than the trace's own step.
        pictures: uint8 (inputs, SIDE, SIDE), each frame as it is seen.
        moved: uint8 of the same shape, their differences to the background.
    """

    def __init__(self, trace: Trace, *, pairwise: bool, progress: Progress | None = None) -> None:
        self.captured_s = trace.captured_s
        self.pairwise = pairwise
        self.step_s = 0.75 * float(np.median(np.diff(self.captured_s))) if len(trace) > 1 else 0.0
        self.pictures = np.empty((len(trace), SIDE, SIDE), np.uint8)
        self.moved = np.empty_like(self.pictures)
        self._alone = np.empty((len(trace), len(SCALARS)), np.float32)
        self._previous = previous(self.captured_s, self.step_s)
        self._summary = Summary()
        self._changed = np.empty((SIDE, SIDE), np.uint8)
        self._unit = np.empty((SIDE, SIDE), np.float32)
        self._low_level = LowLevel()
        self._described: dict[int, tuple[Array, Array, Array]] = {}
        self._compared: dict[tuple[int, int], tuple[float, float, float, float]] = {}
        channels = Channels(pairwise=pairwise, step_s=self.step_s)
        for i, (frame, captured_s) in enumerate(zip(trace.frames(), self.captured_s, strict=True)):
            if i in trace.starts:
                channels.reset()
            channels.see(frame, float(captured_s))
            self.pictures[i], self.moved[i], self._alone[i] = channels.picture, channels.moved, channels.scalars[0]
            if progress is not None and i % 50 == 0:
                progress(i / len(trace), "reading the trace")

    def __len__(self) -> int:
        """How many inputs it holds."""
        return len(self.captured_s)

    def beside_kept(self) -> "Replay":
        """The same inputs, each compared with the last kept one; it shares their pictures."""
        if self.pairwise:
            return self
        found = copy(self)
        found.pairwise = True
        found._described, found._compared = {}, {}
        found._changed, found._unit = np.empty_like(self._changed), np.empty_like(self._unit)
        return found

    def images(self, kept: Array, current: Array) -> Array:
        """The channels of inputs `current` when `kept` are the last kept ones: uint8 (n, SIDE, SIDE, 3)."""
        found = np.empty((len(current), SIDE, SIDE, CHANNELS), np.uint8)
        for row, j, reference in zip(found, current, self._references(kept, current), strict=True):
            cv2.absdiff(self.pictures[j], self.pictures[reference], dst=self._changed)
            cv2.merge((self.pictures[j], self.moved[j], self._changed), dst=row)
        return found

    def scalars(self, kept: Array, current: Array) -> Array:
        """Their scalars, with nothing carried: float32 (n, 17)."""
        found = self._alone[current]
        found[:, 0] = np.log1p(np.maximum(self.captured_s[current] - self.captured_s[kept], 0.0))
        if self.pairwise:
            for row, i, j in zip(found, kept, current, strict=True):
                cv2.absdiff(self.pictures[j], self.pictures[i], dst=self._changed)
                to_unit(self._changed, out=self._unit)
                row[3:5] = self._summary.of(self._unit)
        return found

    def low_level(self, kept: Array, current: Array) -> Array:
        """Reducto's differences between inputs and their references: float64 (n, 4)."""
        found = np.empty((len(current), len(LOW_LEVEL)))
        for row, j, reference in zip(found, current.tolist(), self._references(kept, current).tolist(), strict=True):
            if (j, reference) not in self._compared:
                self._compared[j, reference] = self._low_level.compare(self._features(j), self._features(reference))
            row[:] = self._compared[j, reference]
        return found

    def column(self, name: str) -> Array:
        """A scalar that does not depend on the last kept input, for every input."""
        return self._alone[:, SCALARS.index(name)]

    def _features(self, index: int) -> tuple[Array, Array, Array]:
        if index not in self._described:
            self._described[index] = self._low_level.features(self.pictures[index])
        return self._described[index]

    def _references(self, kept: Array, current: Array) -> Array:
        return kept if self.pairwise else self._previous[current]


class Singles:
    """The prepared inputs of a trace, each by itself; has what a sweep needs of a `Replay`.

    Attributes:
        modality: how they were prepared.
        captured_s: when each input was captured.
        pairwise: never: no input refers to another.
        step_s: 0: time means nothing here.
        inputs: what a network is fed, one row per input; of a stream that is seen in windows, one row per frame.
    """

    pairwise = False
    step_s = 0.0

    def __init__(self, trace: Trace, modality: Modality) -> None:
        self.modality = modality
        self.captured_s = trace.captured_s
        # The frames of a stream are kept once and put together to windows as they are asked for.
        self._frames = modality.frames if isinstance(modality, Video) and trace.info.input == "image" else 0
        prepare = modality.prepare_frame if isinstance(modality, Video) and self._frames else modality.prepare
        self.inputs: Array | None = None
        for index, value in enumerate(trace.inputs()):
            try:
                prepared = prepare(value)
            except InvalidInput as error:
                raise InvalidInput(f"{trace.path}: input {int(trace.sequences[index])}: {error}") from error
            if self.inputs is None:
                self.inputs = np.empty((len(trace), *prepared.shape), prepared.dtype)
            self.inputs[index] = prepared

    def __len__(self) -> int:
        """How many inputs it holds."""
        return len(self.captured_s)

    def rows(self, index: Sequence[int] | Array) -> Array:
        """The prepared inputs of those indices."""
        assert self.inputs is not None, "a trace holds at least one input"
        newest = np.asarray(index)
        if not self._frames:
            return np.asarray(self.inputs[newest])
        return np.asarray(self.inputs[np.maximum(newest[:, None] + np.arange(1 - self._frames, 1), 0)])


class Unseen(Singles):
    """Inputs of any kind that nobody looks into: what every:K and random:RATE keep goes by their order alone."""

    def __init__(self, captured_s: Array) -> None:
        self.captured_s = captured_s


@dataclass(frozen=True)
class Pairs:
    """Pairs of inputs: `current` when `kept` is the last kept one."""

    kept: Array
    current: Array


def sample_pairs(replay: Replay | Singles, start: int, stop: int, random: np.random.Generator) -> Pairs:
    """One pair for each input of a stretch, its age drawn log-uniform from one step to `LONGEST_S`."""
    current = np.arange(start, stop)
    if not replay.pairwise:
        return Pairs(np.maximum(current - 1, start), current)
    current = current[1:]
    times = replay.captured_s
    steps = np.maximum(times[current] - times[current - 1], 1e-3)
    ages = steps * (LONGEST_S / np.minimum(steps, LONGEST_S)) ** random.random(len(current))
    # The first that is no older than drawn: the last one that is as old would never be the input just before.
    kept = np.searchsorted(times, times[current] - ages, side="left")
    return Pairs(np.clip(kept, start, current - 1), current)


@dataclass(frozen=True)
class Examples:
    """What the temporal network learns from: images (uint8, channels last), scalars, and the losses to expect."""

    images: Array
    scalars: Array
    targets: Array

"""The few frames that a split is checked and measured on: from a trace, from a clip, or noise."""

from itertools import islice
from pathlib import Path

import numpy as np

from .device.sources import open_source
from .errors import InvalidInput
from .outputs import Array
from .trace import Trace

_EVERY = 25
_NOISE_SIZE = (360, 640, 3)


def sample_frames(trace: Path | None, source: str | None, count: int) -> tuple[list[Array], str]:
    """Frames (uint8 BGR), and what they are.

    Args:
        trace: a recorded trace: frames from all over it.
        source: a clip or a camera: one of 25 frames from its start.
        count: how many, at most.

    Raises:
        InvalidInput: both are given, or one holds no pictures.
    """
    if trace is not None and source is not None:
        raise InvalidInput("--trace and --source: give one of them")
    if trace is not None:
        with Trace(trace) as opened:
            indices = np.unique(np.linspace(0, len(opened) - 1, count).round().astype(int))
            frames = []
            for index in indices.tolist():
                with opened.part(index, index + 1) as part:
                    frames += list(part.frames())
        return frames, trace.name
    if source is not None:
        with open_source(source) as clip:
            frames = [frame.image for frame in islice((f for f in clip if f.sequence % _EVERY == 0), count)]
        if not frames:
            raise InvalidInput(f"source {source}: gave no frame")
        return frames, Path(source).name
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, _NOISE_SIZE, np.uint8) for _ in range(count)]
    return noise, "noise"

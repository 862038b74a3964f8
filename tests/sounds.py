"""Sounds of every kind, made with PyAV where a test asks for one."""

from pathlib import Path
from typing import Any

import av
import numpy as np


def tone(seconds: float, *, rate_hz: int = 8000, hz: float = 440.0, loud: float = 0.5) -> np.ndarray:
    """A sine as int16 samples."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.round(32767 * loud * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def write_sound(path: Path, samples: np.ndarray, *, rate_hz: int = 8000, codec: str = "pcm_s16le") -> Path:
    """A mono sound; the file's ending names the container."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout="mono")
        for begin in range(0, len(samples), 1024):
            part = samples[begin : begin + 1024]
            frame = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path

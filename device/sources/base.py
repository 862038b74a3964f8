"""A frame, what gives frames, and how many it gives a second."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import cv2

from ...outputs import Array

logger = logging.getLogger(__name__)

_FALLBACK_FPS = 25.0


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes:
        sequence: its number within the source, from 0, without gaps.
        captured_s: when it was captured: the position in a file, the monotonic clock for what is live.
        image: uint8 BGR, height x width x 3.
    """

    sequence: int
    captured_s: float
    image: Array


class Source(Protocol):
    """Frames, one after another, until the source ends; `close` it, or use it as a context manager."""

    name: str
    fps: float
    frame_count: int | None
    live: bool

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Lets the source go; closing twice is fine."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def frame_rate(capture: Any) -> float:
    """A capture's frames per second; a guess where it does not say."""
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    if 0 < fps <= 1000:
        return fps
    logger.warning("the source does not say its frame rate; taking %g fps", _FALLBACK_FPS)
    return _FALLBACK_FPS

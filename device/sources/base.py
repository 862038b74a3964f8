"""The base of every source: the frame, the protocol that sources follow, and their frame rate."""

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
        captured_s: when it was captured: its position in a file, or the monotonic clock's time for a live source.
        image: uint8 BGR, height x width x 3.
    """

    sequence: int
    captured_s: float
    image: Array


class Source(Protocol):
    """Gives frames, one after another, until it ends; `close` it, or use it as a context manager.

    Attributes:
        name: as the user names it.
        fps: its frames per second.
        frame_count: how many frames it will give; None: not known.
        live: whether frames come when they are captured, and are lost when nobody takes them.
    """

    name: str
    fps: float
    frame_count: int | None
    live: bool

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Releases the source; closing twice is fine."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def frame_rate(capture: Any) -> float:
    """The frames per second of an OpenCV capture; a guess where it does not say."""
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    if 0 < fps <= 1000:
        return fps
    logger.warning("the source does not say its frame rate; assuming %g fps", _FALLBACK_FPS)
    return _FALLBACK_FPS

"""A camera or a network stream as a source."""

import time
from collections.abc import Iterator
from typing import Any, Self

import cv2

from ...errors import Unavailable
from .base import Frame, frame_rate

_TIMEOUT_MS = 5000


class LiveSource:
    """Gives the frames of a camera or a network stream as they come, each with the monotonic clock's time.

    Args:
        text: the stream's address, or the camera's number.
        seconds: how long to take frames; None: without end.

    Raises:
        Unavailable: it can't be opened.
    """

    live = True
    frame_count: int | None = None

    def __init__(self, text: str, *, seconds: float | None = None) -> None:
        self.name = text
        self._seconds = seconds
        self._capture = _open_live(text)
        self.fps = frame_rate(self._capture)

    def __iter__(self) -> Iterator[Frame]:
        """Every frame until `seconds` are over.

        Raises:
            Unavailable: the stream ended or fell silent.
        """
        started, sequence = time.monotonic(), 0
        while self._seconds is None or time.monotonic() - started < self._seconds:
            done, image = self._capture.read()
            if not done:
                raise Unavailable(f"{self.name}: the stream ended after {sequence} frames")
            yield Frame(sequence, time.monotonic(), image)
            sequence += 1

    def close(self) -> None:
        """Releases the camera; closing twice is fine."""
        self._capture.release()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Releases the camera."""
        self.close()


def _open_live(text: str) -> Any:
    if text.isdigit():
        capture = cv2.VideoCapture(int(text))
    else:
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
        capture = cv2.VideoCapture(text, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        capture.release()
        what = f"camera {text}" if text.isdigit() else text
        raise Unavailable(f"{what}: can't be opened; check that it is there and that nobody else uses it")
    return capture

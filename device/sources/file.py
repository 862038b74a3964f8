"""A video file as a source."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import cv2

from ...errors import InvalidInput
from .base import Frame, frame_rate

logger = logging.getLogger(__name__)


class VideoFile:
    """Gives the frames of a video file, numbered from its first one.

    Args:
        path: the file.
        start_s: where in it to start, in seconds.
        seconds: how much of it to give; None: all of it.
        loop: whether to start again at its end; numbers and times go on rising.

    Raises:
        InvalidInput: the file is not a video, or ends before `start_s`.
    """

    live = False

    def __init__(self, path: Path, *, start_s: float = 0.0, seconds: float | None = None, loop: bool = False) -> None:
        self.path = path
        self.name = str(path)
        self._closed = False
        self._capture = _open_file(path)
        self.fps = frame_rate(self._capture)
        # Rounded: by "2.0 s" a user means the nearest frame, not the one before it.
        self._first = round(start_s * self.fps)
        self._most = None if seconds is None else max(1, round(seconds * self.fps))
        self._loop = loop
        self.frame_count = None if loop and self._most is None else self._count()
        if not self._skip(self._first):
            self.close()
            raise InvalidInput(f"{path}: ends before `start_s` {start_s:g} (frame {self._first} at {self.fps:g} fps)")

    def __iter__(self) -> Iterator[Frame]:
        """Every frame from the start; once, unless it loops.

        Raises:
            InvalidInput: no frame can be decoded.
        """
        sequence, given, since_start = self._first, 0, 0
        while self._most is None or given < self._most:
            if self._closed:
                return
            done, image = self._capture.read()
            if done:
                yield Frame(sequence, sequence / self.fps, image)
                sequence, given, since_start = sequence + 1, given + 1, since_start + 1
            elif self._loop and since_start:
                since_start = 0
                self._capture.release()
                self._capture = _open_file(self.path)
                self._skip(self._first)
            elif given:
                if self.frame_count and given < 0.9 * self.frame_count:
                    logger.warning("%s: ended after %d frames of %d; is it whole?", self.path, given, self.frame_count)
                return
            else:
                raise InvalidInput(f"{self.path}: no frame can be decoded at `start_s`; is the file whole?")

    def close(self) -> None:
        """Closes the file, also while its frames are read; closing twice is fine."""
        self._closed = True
        self._capture.release()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self.close()

    def _count(self) -> int:
        left = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)) - self._first)
        if self._most is None:
            return left
        return self._most if self._loop else min(left, self._most)

    def _skip(self, count: int) -> bool:
        # Seeking lands on a nearby key frame in many files; reading past is exact.
        return all(self._capture.grab() for _ in range(count))


def _open_file(path: Path) -> Any:
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such video (give a file, rtsp://..., or a camera's number such as 0)")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    # A file without one frame often opens well.
    if not capture.isOpened() or not capture.grab():
        capture.release()
        raise InvalidInput(f"{path}: not a video that can be read; check that it plays (`ffprobe {path.name}`)")
    capture.release()
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)

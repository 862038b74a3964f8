"""Writes frames as an .mp4: to a file beside it first, so that none is left half written."""

from pathlib import Path
from typing import Any, Self

import cv2

from ...errors import InvalidInput
from ...outputs import Array


class VideoFileWriter:
    """An MPEG-4 file of frames of one size; whole once it is closed without an error."""

    def __init__(self, path: Path, *, fps: float) -> None:
        self.path = path
        self.fps = fps
        self._part = path.with_name(f"part-{path.name}")
        self._writer: Any = None

    def write(self, frame: Array) -> None:
        """Adds a frame (uint8 BGR).

        Raises:
            InvalidInput: the file can't be written.
        """
        if self._writer is None:
            size = (frame.shape[1], frame.shape[0])
            self._writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*"mp4v"), self.fps, size)
            if not self._writer.isOpened():
                raise InvalidInput(f"{self.path}: can't be written as a video")
        self._writer.write(frame)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Gives the file its name, or after an error removes it."""
        if self._writer is not None:
            self._writer.release()
        if kind is None and self._writer is not None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

"""Opening a source by its name: a video file, a network stream or a camera, all read in the same way."""

import os
from pathlib import Path

import cv2

from ...errors import InvalidInput
from .base import Source
from .file import VideoFile
from .live import LiveSource


def open_source(text: str, *, start_s: float = 0.0, seconds: float | None = None, loop: bool = False) -> Source:
    """Opens a source by its name.

    Args:
        text: a video file's path, a stream (`rtsp://...`, `http://...`), or a camera's number (`0`).
        start_s: file: how far into it to start; its frames keep their numbers.
        seconds: how many seconds of it to take; None: all of it.
        loop: file: start again at its end; numbers and times go on rising.

    Raises:
        InvalidInput: the file is not a video, or an option does not fit the source.
        Unavailable: the stream or camera can't be opened.
    """
    if start_s < 0 or (seconds is not None and seconds <= 0):
        raise InvalidInput(f"start_s must be 0 or more and seconds above 0, not {start_s} and {seconds}")
    _silence()
    if is_live(text):
        if start_s or loop:
            raise InvalidInput(f"{text}: is live; `start_s` and `loop` are for files")
        return LiveSource(text, seconds=seconds)
    return VideoFile(Path(text), start_s=start_s, seconds=seconds, loop=loop)


def is_live(text: str) -> bool:
    """Whether a source's name is that of a camera or a stream, not of a file."""
    return text.isdigit() or "://" in text


def _silence() -> None:
    """Keeps OpenCV and FFmpeg from writing to stderr: errors are raised instead, in one line each."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

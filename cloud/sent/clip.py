"""A stretch as a clip (H.264 in MP4): each picture has its time written below it, and stands as long as it did."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ...codec import decode_jpeg
from ...errors import InvalidInput
from ...outputs import Array
from ..ledger.viewer_time import iso_utc
from .decoding import Picture
from .stretch import Material

LONGEST_S = 2.0
"""No picture stands for longer: how long it really did stands below the next."""
_BASE = Fraction(1, 1000)
_STEP_MS = 20
_STRIP, _MARGIN = 28, 6
_SMALLEST = 240
_OPTIONS = {"preset": "veryfast", "crf": "23"}


def write_clip(material: Material, path: Path) -> None:
    """Writes the pictures of a stretch; all are as large as the first: larger ones are made smaller.

    Raises:
        InvalidInput: none can be read.
    """
    stretch = material.stretch
    with material.pictures() as pictures, av.open(str(path), "w", format="mp4") as container:
        told = f"{stretch.stream}, {iso_utc(stretch.since_us)} to {iso_utc(stretch.until_us)}; times are UTC"
        container.metadata["comment"] = f"{told}; no picture stands for longer than {LONGEST_S:g} s"
        stream: Any = None
        for picture, lines, at_ms in _timed(pictures):
            frame = _read(picture)
            if frame is None:
                continue
            if stream is None:
                stream = _add_stream(container, frame)
                size = (stream.width, stream.height)
            shown = av.VideoFrame.from_ndarray(_with_strip(frame, size, lines), format="bgr24")
            shown.pts, shown.time_base = at_ms, _BASE
            container.mux(stream.encode(shown))
        if stream is None:
            raise InvalidInput("none of these pictures can be read")
        container.mux(stream.encode(None))


def _timed(pictures: Iterator[Picture]) -> Iterator[tuple[Picture, str, int]]:
    """Each picture with what stands below it, and when it is shown (ms)."""
    before_us, at_ms = 0, 0
    for picture in pictures:
        now_us = picture.captured_us or picture.at_us
        stamp = iso_utc(now_us)[:23].replace("T", " ") + " UTC"
        if before_us:
            real_ms = (now_us - before_us) // 1000
            at_ms += int(min(max(real_ms, _STEP_MS), LONGEST_S * 1000))
            if real_ms > LONGEST_S * 1000:
                stamp += f"  ({_lasted(real_ms / 1000)} later)"
        before_us = max(before_us, now_us)
        yield picture, stamp, at_ms


def _lasted(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _read(picture: Picture) -> Array | None:
    try:
        return decode_jpeg(picture.jpeg)
    except InvalidInput:
        return None


def _add_stream(container: Any, frame: Array) -> Any:
    stream = container.add_stream("libx264", rate=1000 // _STEP_MS, options=_OPTIONS)
    height, width = frame.shape[:2]
    stream.width = max(_SMALLEST, width + width % 2)
    stream.height = height + height % 2 + _STRIP
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = stream.time_base = _BASE
    # Other work goes first.
    stream.codec_context.thread_count = 1
    return stream


def _with_strip(frame: Array, size: tuple[int, int], text: str) -> Array:
    """A picture in the middle of its place, and a text below it."""
    across, down = size[0], size[1] - _STRIP
    height, width = frame.shape[:2]
    scale = min(across / width, down / height)
    if scale < 1:
        fitted = (max(1, int(width * scale)), max(1, int(height * scale)))
        frame = cv2.resize(frame, fitted, interpolation=cv2.INTER_AREA)
        height, width = frame.shape[:2]
    shown = np.zeros((size[1], size[0], 3), np.uint8)
    top, left = (down - height) // 2, (across - width) // 2
    shown[top : top + height, left : left + width] = frame
    place = (_MARGIN, size[1] - _STRIP // 2 + _MARGIN)
    # As wide as there is room for.
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    font = 0.5 * min(1.0, (size[0] - 2 * _MARGIN) / wide)
    cv2.putText(shown, text, place, cv2.FONT_HERSHEY_SIMPLEX, font, (255, 255, 255), 1, cv2.LINE_AA)
    return shown

"""Writes frames as H.264, as browsers play it, and says what a stream of them takes: what people send without us."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np

from ..errors import InvalidInput
from ..outputs import Array

_CLOCK = Fraction(1, 90_000)
_GROUP_S = 2.0
# One thread: how the encoder shares its work shows in the picture, and the same command shall give the same file.
_OPTIONS = {"preset": "veryfast", "threads": "1"}


class VideoFileWriter:
    """An .mp4 of frames of one size; it is whole once it is closed without an error, and is not there before.

    Args:
        path: the file.
        fps: its rate; frames that come with a time of their own keep that.
        crf: the encoder's quality: 0 loses nothing, 51 is the worst.
    """

    def __init__(self, path: Path, *, fps: float, crf: int = 23) -> None:
        self.path = path
        self.fps = fps
        self.crf = crf
        self._part = path.with_name(f"part-{path.name}")
        self._container: Any = None
        self._stream: Any = None
        self._frames = 0

    def write(self, frame: Array, at_s: float | None = None) -> None:
        """Adds a frame (uint8 BGR), to be shown at a time from the start; None: one step after the last.

        Raises:
            InvalidInput: the file can't be written.
        """
        if self._container is None:
            self._open(frame)
        picture = _picture(frame)
        picture.pts = round((self._frames / self.fps if at_s is None else at_s) / _CLOCK)
        picture.time_base = _CLOCK
        self._frames += 1
        self._mux(picture)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Gives the file its name, or after an error removes it."""
        if self._container is not None:
            if kind is None:
                self._mux(None)
            self._container.close()
        if kind is None and self._container is not None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

    def _open(self, frame: Array) -> None:
        try:
            self._container = av.open(str(self._part), "w", options={"movflags": "faststart"})
            self._stream = self._container.add_stream("libx264", rate=Fraction(self.fps).limit_denominator(1001))
            _set_up(self._stream.codec_context, frame, self.fps, self.crf)
        except (av.FFmpegError, OSError) as error:
            raise InvalidInput(f"{self.path}: can't be written as a video: {error}") from error

    def _mux(self, picture: Any) -> None:
        try:
            self._container.mux(self._stream.encode(picture))
        except (av.FFmpegError, OSError) as error:
            raise InvalidInput(f"{self.path}: can't be written as a video: {error}") from error


def stream_sizes(frames: Iterable[tuple[float, Array]], *, fps: float) -> Array:
    """What each frame takes in an H.264 stream: x264, veryfast, crf 23, a group of pictures every two seconds.

    Args:
        frames: time in seconds and picture (uint8 BGR), in order.
        fps: about how many come in a second.

    Returns:
        int64 (frames,): bytes, without a container.
    """
    context: Any = av.CodecContext.create("libx264", "w")
    sizes: dict[int, int] = {}
    times: list[int] = []

    def pictures() -> Iterator[Any]:
        for at_s, frame in frames:
            if not times:
                _set_up(context, frame, fps, 23)
            picture = _picture(frame)
            picture.time_base = _CLOCK
            picture.pts = max(round(at_s / _CLOCK), times[-1] + 1 if times else 0)
            times.append(picture.pts)
            yield picture
        yield None

    for picture in pictures():
        if picture is None and not times:
            break
        for packet in context.encode(picture):
            sizes[packet.pts] = packet.size
    return np.asarray([sizes.get(pts, 0) for pts in times], np.int64)


def _picture(frame: Array) -> Any:
    """A frame as the encoder takes it: colour is coded at half the size, so an odd last row or column is left out."""
    height, width = (side & ~1 for side in frame.shape[:2])
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="bgr24")


def _set_up(context: Any, frame: Array, fps: float, crf: int) -> None:
    context.height, context.width = (side & ~1 for side in frame.shape[:2])
    context.pix_fmt = "yuv420p"
    context.time_base = _CLOCK
    context.framerate = Fraction(fps).limit_denominator(1001)
    context.gop_size = max(1, round(_GROUP_S * fps))
    context.options = {**_OPTIONS, "crf": str(crf)}

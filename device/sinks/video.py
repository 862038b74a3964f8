"""Annotated video: each stream's pictures with their results drawn in, as H.264 in pieces of some minutes."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...outputs import Array
from .bounded_folder import BoundedFolder
from .delivered import Delivered, EventPicture
from .drawing import draw_results, scaled
from .settings import VideoConfig

_BASE = Fraction(1, 1000)
_GROUP_S = 2.0
_AGAIN_S = 10.0
_LOOKS = 16
"""So many times while a bound is filled, at least, it is looked whether something must go."""
# A piece can be played up to where it was cut off, as when the power fails.
_CONTAINER = {
    "mp4": {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"},
    "mkv": {"flush_packets": "1"},
}


@dataclass
class _Piece:
    """A file that is being written.

    Attributes:
        path: the file.
        container: PyAV's.
        stream: its only one.
        size: height and width of its pictures.
        begin_s: when its first picture was captured.
        last_s: likewise its last one.
        last: the last picture's time in the piece, in milliseconds.
        written_bytes: so far.
    """

    path: Path
    container: Any
    stream: Any
    size: tuple[int, int]
    begin_s: float
    last_s: float
    last: int = -1
    written_bytes: int = 0


class Video:
    """Writes a video for each stream.

    Args:
        config: where to, and how.
        clock: Unix time, for the files' names.
        monotonic: seconds that do not go back, for the pause after what could not be written.

    Raises:
        InvalidInput: the folder can't be written to.
    """

    wants_pictures = True

    def __init__(
        self,
        config: VideoConfig,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.clock = clock
        self.monotonic = monotonic
        self._folder = BoundedFolder(config.folder, config.size_bytes, prefix="", endings=(f".{config.format}",))
        self._pieces: dict[str, _Piece] = {}
        self._again_s: dict[str, float] = {}
        self._look_every_bytes = config.size_bytes // _LOOKS
        self._written_bytes = 0

    def take(self, delivered: Delivered) -> None:
        """Adds a picture; inputs without one, and late results, are passed over."""
        if delivered.picture is None or delivered.late or self.monotonic() < self._again_s.get(delivered.stream, 0.0):
            return
        piece = self._pieces.get(delivered.stream)
        if piece is not None and 0 <= delivered.captured_s - piece.last_s < 0.99 / self.config.fps:
            return
        picture = scaled(delivered.picture.pixels(), self.config.longest_side)
        draw_results(picture, delivered)
        try:
            self._write(delivered, picture)
        except Exception:
            # What could not be written, as the disk is full, ends the piece; no file for each input that follows.
            self._again_s[delivered.stream] = self.monotonic() + _AGAIN_S
            with suppress(Exception):
                self._pieces.pop(delivered.stream).container.close()
            raise

    def _write(self, delivered: Delivered, picture: Array) -> None:
        piece = self._pieces.get(delivered.stream)
        # Also where a recording began anew.
        past_s = 0.0 if piece is None else delivered.captured_s - piece.begin_s
        if piece is None or piece.size != picture.shape[:2] or not 0 <= past_s < 60 * self.config.minutes:
            self._end(delivered.stream)
            piece = self._pieces[delivered.stream] = self._begin(delivered, picture)
        self._add(piece, picture, delivered.captured_s)

    def take_event(self, event: EventPicture) -> None:
        """Of no interest here."""

    def close(self) -> None:
        """Ends every piece."""
        for stream in list(self._pieces):
            self._end(stream)

    def _begin(self, delivered: Delivered, picture: Array) -> _Piece:
        # Late: FFmpeg takes memory that an agent without video need not hold.
        import av

        began_s = self.clock() if delivered.unix_s is None else delivered.unix_s
        name = f"{delivered.stream or delivered.device}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(began_s))}"
        path = self._folder.path(name, f".{self.config.format}")
        container = av.open(
            str(path), "w", options={"flush_packets": "1"}, container_options=_CONTAINER[self.config.format]
        )
        rate = Fraction(self.config.fps).limit_denominator(1000)
        options = {"preset": "veryfast", "crf": str(self.config.crf), "tune": "zerolatency"}
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = _BASE
        stream.codec_context.gop_size = max(1, round(_GROUP_S * self.config.fps))
        stream.codec_context.thread_count = 1
        return _Piece(path, container, stream, picture.shape[:2], delivered.captured_s, delivered.captured_s)

    def _add(self, piece: _Piece, picture: Array, captured_s: float) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        piece.last = max(piece.last + 1, round((captured_s - piece.begin_s) / _BASE))
        piece.last_s = captured_s
        frame.pts, frame.time_base = piece.last, _BASE
        packets = piece.stream.encode(frame)
        piece.container.mux(packets)
        written = sum(packet.size for packet in packets)
        piece.written_bytes += written
        self._written_bytes += written
        if self._written_bytes > self._look_every_bytes:
            self._written_bytes = 0
            self._make_room()

    def _end(self, stream: str) -> None:
        piece = self._pieces.pop(stream, None)
        if piece is None:
            return
        piece.container.mux(piece.stream.encode(None))
        piece.container.close()
        self._make_room()

    def _make_room(self) -> None:
        """Removes the oldest pieces; one that fills the bound by itself ends, and goes with the next look."""
        self._folder.make_room(self._look_every_bytes, keep=frozenset(piece.path for piece in self._pieces.values()))
        most_bytes = self.config.size_bytes / (2 * max(1, len(self._pieces)))
        for stream in [each for each, piece in self._pieces.items() if piece.written_bytes > most_bytes]:
            self._end(stream)

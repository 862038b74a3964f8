"""Opening what holds a video (a file, a stream) with FFmpeg, and its pictures as arrays; for the decoder's process."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from ...errors import InvalidInput, Unavailable
from ...outputs import Array
from ...traces.source_name import is_always_live, source_kind, source_path, without_secrets
from .reader import MAX_PIXELS, Opening

_OPEN_S = 10.0
_SILENT_S = {"http": 30.0, "https": 30.0}
"""How long a stream may be silent: playlists give some seconds at a time."""
_SILENT_OTHER_S = 10.0
_THREADS = 4
_PLAYLISTS = ("hls", "dash")
_NO_TIMESTAMPS = 0x0080  # AVFMT_NOTIMESTAMPS


class Video:
    """One opened container and the video in it.

    Args:
        text: the source's name.
        threads: "AUTO" to decode several pictures at once, "SLICE" to have each as soon as it can be.
        thread_count: how many threads decode it; 0: as is usual.
        strict: whether a picture of which a part is missing is none; else that part is whatever it is.

    Attributes:
        hidden: how many pictures were read that nobody is to see: what was cut away with an edit list (a trimmed clip).
        damaged: how many packets could not be decoded, or gave a picture of which a part is missing.

    Raises:
        InvalidInput: the file is there and can't be read as a video.
        Unavailable: nothing answers at the address.
    """

    def __init__(
        self, text: str, *, threads: Literal["AUTO", "SLICE"] = "AUTO", thread_count: int = 0, strict: bool = False
    ) -> None:
        self.text = text
        self.name = without_secrets(text)
        self.path = source_path(text) if source_kind(text) == "file" and not is_always_live(text) else None
        self.threads = threads
        self.thread_count = thread_count or min(_THREADS, os.cpu_count() or 1)
        self.strict = strict
        # One for all frames: it keeps what it has worked out for their size and format.
        self._reformatter = VideoReformatter()
        self.hidden = self.damaged = 0
        self._open()

    def _open(self) -> None:
        self.container: Any = open_container(self.text, what="a picture" if self.strict else "a video")
        try:
            self.stream = self._choose_stream()
            options = {"max_pixels": str(MAX_PIXELS)} | ({"err_detect": "explode"} if self.strict else {})
            self.stream.codec_context.options = options
            self.stream.codec_context.thread_count = self.thread_count
            self.stream.thread_type = self.threads
            self._check_size(self.stream.codec_context.width, self.stream.codec_context.height)
        except BaseException:
            self.container.close()
            raise

    def reopen(self) -> None:
        """Goes back to the beginning: opened anew, as not all formats can be sought in."""
        self.container.close()
        self.hidden = self.damaged = 0
        self._open()

    def seek(self, stamp: int) -> bool:
        """Goes to the key frame before a stamp; whether that could be done."""
        try:
            self.container.seek(stamp, stream=self.stream)
        except (av.FFmpegError, OSError):
            return False
        return True

    @property
    def duration_s(self) -> float | None:
        """How long it is, as far as the container says."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        container = self.container
        if not container.duration or container.duration <= 0:
            return None
        # Matroska says when it ends, not how long it is.
        before = container.start_time or 0 if container.format.name.startswith("matroska") else 0
        return float(max(0, container.duration - before) / 1e6)

    @property
    def counted(self) -> int:
        """How many pictures the container counts, hidden ones too; 0 where it counts none."""
        # MP4 counts all that the file holds, its index those that are left by an edit list.
        listed = len(self.stream.index_entries) if self.container.format.name.startswith("mov") else 0
        return int(listed or self.stream.frames)

    @property
    def is_recording(self) -> bool:
        """Whether it is a whole recording: a file, or what a server has from its beginning to its end."""
        if self.path is not None or is_always_live(self.text):
            return self.path is not None
        # A playlist's size is not that of what it lists.
        told_size = self.container.format.name not in _PLAYLISTS and self.container.size > 0
        return told_size or bool(self.container.duration and self.container.duration > 0)

    @property
    def lacks_times(self) -> bool:
        """Whether the format has no times, or the file leaves its rate out: FFmpeg then takes 25 a second."""
        if self.container.format.flags & _NO_TIMESTAMPS:
            return True
        name = self.container.format.name
        return self.path is not None and name in _RATE_MISSING and _RATE_MISSING[name](_head(self.path))

    def frames(self) -> Iterator[Any]:
        """Every frame that can be decoded, up to where the file can be read.

        Raises:
            Unavailable: an address fell silent.
        """
        for packet in self.packets():
            frames, damaged = decoded(packet)
            self.damaged += damaged
            yield from frames

    def packets(self) -> Iterator[Any]:
        """Every packet of the video, the last one empty, up to where the file can be read.

        Raises:
            Unavailable: an address fell silent.
        """
        try:
            for packet in self.container.demux(self.stream):
                self.hidden += packet.is_discard
                yield packet
        except av.FFmpegError as error:
            if self.path is None:
                advice = (
                    "" if is_always_live(self.text) else "; if its server gives no parts of a file, download it first"
                )
                raise Unavailable(f"{self.name}: {told(error)}{advice}") from error

    def picture(self, frame: Any) -> Array:
        """A frame as uint8 BGR, as it is to be looked at; a view, good until the next.

        Raises:
            InvalidInput: it is too large, or of a kind that can't be converted.
        """
        self._check_size(frame.width, frame.height)
        try:
            bgr = self._reformatter.reformat(frame, format="bgr24")
        except (av.FFmpegError, ValueError) as error:
            raise InvalidInput(f"{self.name}: pictures of format {frame.format.name} can't be read") from error
        plane: Any = bgr.planes[0]
        if plane.line_size < 0:
            # Stored upside down and taken as it is; on the way through another format it is turned.
            bgr = frame.reformat(format="gbrp").reformat(format="bgr24")
            plane = bgr.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: bgr.height, : 3 * bgr.width]
        image = rows.reshape(bgr.height, bgr.width, 3)
        return np.rot90(image, round(frame.rotation / 90) % 4) if frame.rotation else image

    def close(self) -> None:
        """Closes it."""
        self.container.close()

    def _choose_stream(self) -> Any:
        videos = [s for s in self.container.streams.video if not int(s.disposition) & _ATTACHED]
        if not videos:
            raise InvalidInput(f"{self.name}: holds no video")
        best = self.container.streams.best("video")
        return best if best in videos else videos[0]

    def _check_size(self, width: int, height: int) -> None:
        if width * height > MAX_PIXELS:
            raise InvalidInput(
                f"{self.name}: its pictures are {width}x{height}, more than {MAX_PIXELS} pixels; scale it down"
            )


_ATTACHED = int(av.stream.Disposition.attached_pic)


def open_container(text: str, *, what: str) -> Any:
    """Opens a file or an address, with bounds on how long it may be silent and how large its pictures are.

    Args:
        text: a path or an address.
        what: what is looked for in it, for the message: "a video", "a sound".

    Raises:
        InvalidInput: the file is there and can't be read as that.
        Unavailable: nothing answers at the address.
    """
    options = {"max_pixels": str(MAX_PIXELS), "rtsp_transport": "tcp"}
    timeout = None
    path = source_path(text) if source_kind(text) == "file" else None
    if path is None:
        scheme = text.partition("://")[0].lower()
        silent_s = _SILENT_S.get(scheme, _SILENT_OTHER_S)
        options["rw_timeout"] = str(int(silent_s * 1e6))
        if scheme.startswith("rtsp"):
            options["timeout"] = options["rw_timeout"]  # RTMP would wait for a caller with it.
        timeout = (_OPEN_S, silent_s)
    try:
        # With the protocol before it a path is a path, whatever stands in it.
        address = text if path is None else f"file:{path}"
        return av.open(address, options=options, timeout=timeout, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(without_secrets(text), None if is_always_live(text) else path, what, error) from error


def _unreadable(name: str, path: Path | None, what: str, error: Exception) -> InvalidInput | Unavailable:
    if path is None:
        return Unavailable(f"{name}: can't be opened ({told(error)}); check that it is there")
    if isinstance(error, PermissionError):
        return InvalidInput(f"{name}: can't be opened ({told(error)})")
    return InvalidInput(
        f"{name}: not {what} that can be read ({told(error)}); check that it plays (`ffprobe {path.name}`)"
    )


def open_video(opening: Opening) -> Video:
    """Opens a source's video, ready for what it is: pictures at once for a live one, several threads for a recording.

    Raises:
        InvalidInput: it is no video, or an option does not fit it.
        Unavailable: nothing answers at the address.
    """
    # With a packet gate a picture must not wait in the decoder for others that may never be decoded.
    at_once = is_always_live(opening.text) or opening.gating is not None
    thread_count = 1 if opening.gating is not None else 0
    video = Video(opening.text, threads="SLICE" if at_once else "AUTO", thread_count=thread_count)
    if not video.is_recording and (opening.start_s or opening.loop):
        video.close()
        raise InvalidInput(f"{opening.name}: is live; `start_s` and `loop` are for recordings")
    return video


def decoded(packet: Any) -> tuple[list[Any], bool]:
    """The frames that come out with a packet, and whether something is damaged: it, or a part of them."""
    try:
        frames: list[Any] = packet.decode()
    except av.FFmpegError:
        return [], True
    return frames, any(frame.is_corrupt for frame in frames)


def told(error: Exception) -> str:
    """What FFmpeg complains of; never with the address, which may hold a password."""
    if isinstance(error, av.error.ExitError):
        return "nothing came for too long"
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2**16)


def _avi_lacks_rate(head: bytes) -> bool:
    """Whether an AVI's headers give neither a rate of the video nor a time for each of its frames."""
    at, frame_us = head.find(b"vids"), head.find(b"avih")
    if at < 0 or b"strh" not in head[at - 8 : at]:
        return False
    scale, rate = (int.from_bytes(head[at + k : at + k + 4], "little") for k in (20, 24))
    each_us = int.from_bytes(head[frame_us + 8 : frame_us + 12], "little") if frame_us >= 0 else 0
    return not (scale and rate) and not each_us


def _y4m_lacks_rate(head: bytes) -> bool:
    return any(word in (b"F0:0", b"F0:1") for word in head.partition(b"\n")[0].split()) or b" F" not in head[:256]


_RATE_MISSING = {"avi": _avi_lacks_rate, "yuv4mpegpipe": _y4m_lacks_rate}

"""Single pictures on the wire as H.264: each says how it differs from those before it, so a chain of them is small.

A chain is one stream of H.264 in Annex B. Its first packet holds its parameter sets and a picture that stands by
itself; each further packet is one picture, and none is delayed. The colours are BT.601's of limited range, which the
stream says.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import cv2

from ..errors import InvalidInput
from ..outputs import Array

_MOST_PACKETS, _MOST_PIXELS = 512, 2**28
CRF, PRESET = 22, "veryfast"
_BT601, _LIMITED = 6, 1
# x264 asks for times, no player ever sees these: at this rate its `crf` means what it does everywhere.
_RATE = 25
_TIME_BASE = Fraction(1, _RATE)


class PictureWriter:
    """Writes one chain of pictures of one size.

    Args:
        width: in pixels.
        height: in pixels.
        crf: x264's constant rate factor: the higher, the coarser and the smaller.
        preset: x264's: how long it searches.

    Raises:
        InvalidInput: the encoder takes no such pictures.
    """

    def __init__(self, width: int, height: int, *, crf: int = CRF, preset: str = PRESET) -> None:
        self.width, self.height = width, height
        self._written = 0
        context: Any = av.CodecContext.create("libx264", "w")
        context.width, context.height = _even(width), _even(height)
        context.pix_fmt = "yuv420p"
        context.time_base, context.framerate = _TIME_BASE, _RATE
        context.thread_count = 1
        context.color_range, context.colorspace = _LIMITED, _BT601
        # Key pictures only where a scene is another one; `tune` has none delayed. Bits that flat areas would get for a
        # person's eye (`aq-mode`) do more elsewhere: at equal bytes models agreed better without.
        context.options = {
            "crf": str(crf),
            "preset": preset,
            "tune": "zerolatency",
            "g": str(10 * _MOST_PACKETS),
            "aq-mode": "0",
        }
        try:
            context.open()
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise InvalidInput(f"pictures of {width}x{height} can't be made H.264 ({error})") from error
        self._context = context

    def write(self, picture: Array) -> bytes:
        """The packet of the chain's next picture: uint8 BGR (height, width, 3)."""
        right, below = self.width % 2, self.height % 2
        if right or below:
            picture = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
        planes: Any = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = self._written, _TIME_BASE
        self._written += 1
        (packet,) = self._context.encode(frame)
        return bytes(packet)


class PictureReader:
    """Reads one chain of pictures; it may come from anywhere.

    Args:
        width: of the pictures, in pixels: no larger ones are decoded.
        height: the same.

    Attributes:
        position: how many packets were read.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.position = 0
        context: Any = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        # As they lie in its memory: rows of whole 64 pixels, and as many as whole macroblocks have.
        most = _whole(width, 64) * _whole(height, 16)
        context.options = {"max_pixels": str(most), "flags": "+low_delay"}
        self._context = context

    def read(self, packets: Iterable[bytes], out: Array) -> None:
        """Reads further packets of the chain.

        Args:
            packets: the next ones, at least one.
            out: uint8 BGR (height, width, 3): where the last one's picture goes.

        Raises:
            InvalidInput: they are no such packets, or their pictures are not of this size.
        """
        frame: av.VideoFrame | None = None
        try:
            for packet in packets:
                frame = next(iter(self._context.decode(av.Packet(packet))), None)
                self.position += 1
            if frame is None:
                raise InvalidInput("`payload.packets`: the last one holds no picture, or one that comes later")
            if (frame.width, frame.height) != (_even(self.width), _even(self.height)):
                raise InvalidInput(
                    f"`payload.packets`: pictures of {frame.width}x{frame.height}, not of {self.width}x{self.height} "
                    "as it says"
                )
            out[:] = as_bgr(frame)[: self.height, : self.width]
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise InvalidInput(f"`payload.packets`: H.264 that can't be read ({error})") from error


def as_bgr(frame: av.VideoFrame) -> Array:
    """A decoded picture as uint8 BGR (height, width, 3)."""
    is_ours = frame.format.name == "yuv420p" and frame.color_range in (_LIMITED, 0) and frame.colorspace == _BT601
    if is_ours:
        # Nearer to what was written than FFmpeg's conversion, and ten times as fast the other way.
        return cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420)
    picture: Array = frame.to_ndarray(format="bgr24")
    return picture


def most_packets(width: int, height: int) -> int:
    """The most packets of a chain of such pictures: decoding one from its beginning takes a second or two."""
    return max(1, min(_MOST_PACKETS, _MOST_PIXELS // (width * height)))


def _even(pixels: int) -> int:
    return _whole(pixels, 2)


def _whole(pixels: int, step: int) -> int:
    return -(-pixels // step) * step

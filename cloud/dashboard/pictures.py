"""Pictures as small as a page shows them: made when a page asks, and kept a while for the next that does."""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import simplejpeg

from ...codec import decode_jpeg, encode_jpeg
from ...errors import InvalidInput
from ...outputs import Array
from ..runtime.video_decoders import BrokenChain
from .shown import Answer, Shown

WIDTHS = (320, 640, 1280)
_MOST_BYTES = 16 * 2**20
# A page has many of the small ones.
_QUALITY, _SMALL_QUALITY = 75, 60
# One at a time: pages are not to take processors from models.
_MAKING = ThreadPoolExecutor(1, "thumbnails")


class Pictures:
    """Makes small pictures of what was sent.

    Args:
        shown: what was sent.
    """

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self._made: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._made_bytes = 0

    async def newest(self, stream: str, width: int) -> bytes:
        """A stream's newest picture, at most so wide, as a JPEG; empty: there is none.

        Args:
            stream: the stream's name.
            width: one of `WIDTHS`.

        Raises:
            InvalidInput: there is no such width, or the picture can't be decoded.
        """
        if width not in WIDTHS:
            raise InvalidInput(f"`width` is one of {', '.join(map(str, WIDTHS))}, not {width}")
        found = self.shown.picture(stream)
        if found is None:
            return b""
        key = (stream, found.at_us, width)
        made = self._made.get(key)
        if made is None:
            made = await asyncio.get_running_loop().run_in_executor(_MAKING, _small, found, width)
            if key not in self._made:
                self._made[key] = made
                self._made_bytes += len(made)
            while self._made_bytes > _MOST_BYTES:
                self._made_bytes -= len(self._made.popitem(last=False)[1])
        return made


def _small(answer: Answer, width: int) -> bytes:
    if answer.still is None:
        return smaller(answer.jpeg, width)
    image = np.empty(answer.still.shape, answer.still.dtype)
    try:
        answer.still.read(image)
    except BrokenChain:  # Too much came since.
        return b""
    return _resized(image, width)


def smaller(jpeg: bytes, width: int) -> bytes:
    """A JPEG at most so wide; itself, if it is.

    Raises:
        InvalidInput: it can't be decoded.
    """
    try:
        _, wide, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError as error:
        raise InvalidInput("the picture can't be decoded") from error
    if wide <= width:
        return jpeg
    return _resized(decode_jpeg(jpeg), width)


def _resized(image: Array, width: int) -> bytes:
    quality = _SMALL_QUALITY if width == WIDTHS[0] else _QUALITY
    if image.shape[1] <= width:
        return encode_jpeg(image, quality)
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return encode_jpeg(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), quality)

"""JPEGs that come from elsewhere: how large a picture is, is known, and bounded, before it is decoded."""

from functools import partial

import numpy as np
import simplejpeg

from ...codec import UPRIGHT, is_turned, orientation_of, upright
from ...errors import InvalidInput
from ...models.inputs.payload import Payload
from ...outputs import Array

# What a scan of a JPEG begins with. A picture that comes in steps has some ten of them; each costs a pass over all its
# pixels, and hardly any bytes.
_SCAN, _MOST_SCANS = b"\xff\xda", 64
_SCAN_PAIR = np.frombuffer(_SCAN, np.uint16)[0]


def open_picture(jpeg: bytes, max_pixels: int) -> Payload:
    """A JPEG, as a payload that is read later.

    Raises:
        InvalidInput: what `picture_form` raises.
    """
    width, height, scans = picture_form(jpeg, max_pixels=max_pixels)
    orientation = orientation_of(jpeg)
    # One that is drawn in several scans takes its coefficients beside its pixels while it is decoded, one that is to be
    # turned its pixels as they are stored.
    beside_bytes = width * height * ((0 if scans == 1 else 6) + (0 if orientation == UPRIGHT else 3))
    size = (width, height) if is_turned(orientation) else (height, width)
    return Payload((*size, 3), np.dtype(np.uint8), partial(decode_jpeg, jpeg), beside_bytes)


def picture_form(jpeg: bytes, *, max_pixels: int) -> tuple[int, int, int]:
    """Width and height of a JPEG, as the decoder itself reads them, and its scans, without decoding it.

    Raises:
        InvalidInput: it is not a JPEG, its header is cut off or damaged, or it has too many pixels or scans.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise InvalidInput("the payload is no JPEG")
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError as error:
        raise _no_picture(jpeg) from error
    if width * height > max_pixels:
        raise InvalidInput(f"the picture is {width}x{height}, more than {max_pixels} pixels (`max_input_pixels`)")
    # Inside a scan a byte 255 is never followed by this one, so no parser can find more scans than these.
    scans = _count_scans(jpeg)
    if scans > _MOST_SCANS:
        raise InvalidInput(f"the picture is drawn in {scans} scans; at most {_MOST_SCANS} are taken")
    return int(width), int(height), scans


def _count_scans(jpeg: bytes) -> int:
    """How often `_SCAN` is in it, at even places and at odd ones; `bytes.count` takes ten times as long."""
    pairs = (np.frombuffer(jpeg, np.uint16, (len(jpeg) - odd) // 2, odd) for odd in (0, 1))
    return sum(int(np.count_nonzero(each == _SCAN_PAIR)) for each in pairs)


def decode_jpeg(jpeg: bytes, out: Array | None = None) -> Array:
    """A JPEG whose `picture_form` was looked at, as uint8 BGR (height, width, 3), upright as its EXIF says.

    Args:
        jpeg: the bytes.
        out: where to decode it to; contiguous, of at least its size.

    Raises:
        InvalidInput: it is no readable JPEG.
    """
    orientation = orientation_of(jpeg)
    try:
        picture: Array = simplejpeg.decode_jpeg(jpeg, "BGR", buffer=out if orientation == UPRIGHT else None)
    except ValueError as error:
        raise _no_picture(jpeg) from error
    if orientation == UPRIGHT:
        return picture
    if out is None:
        return np.ascontiguousarray(upright(picture, orientation))
    out[:] = upright(picture, orientation)
    return out


def _no_picture(jpeg: bytes) -> InvalidInput:
    return InvalidInput(f"the payload's {len(jpeg)} bytes are a JPEG that can't be read: cut off or damaged")

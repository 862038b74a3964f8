"""How large a JPEG is as a picture, read from its header: asked before anything is decoded."""

import struct

from ..errors import InvalidInput
from ..outputs import Array
from ..payload import decode_jpeg

# Start-of-frame markers; C4, C8 and CC are other things.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height.

    Raises:
        InvalidInput: not a JPEG, or cut off before its size.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise InvalidInput("the payload is no JPEG")
    position = 2
    while position + 9 <= len(jpeg):
        mark, kind, length = struct.unpack_from(">BBH", jpeg, position)
        if mark != 0xFF:
            break
        if kind == 0xFF:  # A fill byte.
            position += 1
        elif kind in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", jpeg, position + 5)
            return width, height
        else:
            position += 2 + length
    raise InvalidInput("the payload is a JPEG without a size: cut off or damaged")


def decode_picture(jpeg: bytes, *, max_pixels: int) -> Array:
    """The frame in a JPEG (uint8 BGR) that is not larger than allowed.

    Raises:
        InvalidInput: no readable JPEG, or too large.
    """
    width, height = picture_size(jpeg)
    if width * height > max_pixels:
        raise InvalidInput(f"the picture is {width}x{height}, more than {max_pixels} pixels (`max_input_pixels`)")
    return decode_jpeg(jpeg)

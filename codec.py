"""Frames and outputs as bytes, as they travel and are stored: JPEG, and numpy's own format."""

import io
from functools import lru_cache
from threading import Lock
from tokenize import TokenError
from typing import Any, Literal
from zipfile import BadZipFile

import cv2
import numpy as np

from .errors import InvalidInput
from .outputs import Array

JPEG_QUALITY = 90
UPRIGHT = 1
"""The orientation of a picture that is stored as it is to be looked at."""

_APP1, _COMMENT = 0xE1, 0xFE
_MOST_SEGMENTS, _MOST_ENTRIES = 64, 256
_ORIENTATION_TAG = 0x0112
_LAST_UNTURNED = 4
# Of each orientation, whether rows and columns are stored in the opposite order; beyond 4 they are swapped before.
_BACKWARDS = {
    1: (False, False),
    2: (False, True),
    3: (True, True),
    4: (True, False),
    5: (False, False),
    6: (False, True),
    7: (True, True),
    8: (True, False),
}


def encode_jpeg(frame: Array, quality: int = JPEG_QUALITY) -> bytes:
    """A frame (uint8 BGR) as it travels."""
    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InvalidInput(f"a frame of shape {frame.shape} and type {frame.dtype} can't be made a JPEG")
    return data.tobytes()


def decode_jpeg(jpeg: bytes) -> Array:
    """The frame (uint8 BGR, height x width x 3) in a JPEG.

    Raises:
        InvalidInput: the bytes are no picture.
    """
    frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if frame is None:
        raise InvalidInput(f"{len(jpeg)} bytes are no readable picture")
    return frame


def orientation_of(jpeg: bytes | memoryview) -> int:
    """How a JPEG says that it is to be turned to be upright, as EXIF counts: 1 (not at all) to 8; 1 if it says nothing.

    Only what stands before the picture itself is looked at.
    """
    at = 2
    for _ in range(_MOST_SEGMENTS):
        head = bytes(jpeg[at : at + 10])
        if len(head) < 10 or head[0] != 0xFF or not (0xE0 <= head[1] <= 0xEF or head[1] == _COMMENT):
            return UPRIGHT
        end = at + 2 + int.from_bytes(head[2:4], "big")
        if head[1] == _APP1 and head[4:] == b"Exif\0\0":
            return _orientation_in(bytes(jpeg[at + 10 : end]))
        at = end
    return UPRIGHT


def is_turned(orientation: int) -> bool:
    """Whether a picture is stored with its width where its height belongs."""
    return orientation > _LAST_UNTURNED


def upright(frame: Array, orientation: int) -> Array:
    """A frame as it is to be looked at: a view.

    Args:
        frame: as it is stored (height, width, 3).
        orientation: as `orientation_of` says.
    """
    if is_turned(orientation):
        frame = frame.transpose(1, 0, 2)
    rows, columns = _BACKWARDS[orientation]
    return frame[:: -1 if rows else 1, :: -1 if columns else 1]


def _orientation_in(exif: bytes) -> int:
    """The orientation in the first directory of EXIF's data."""
    order: Literal["little", "big"]
    if exif[:4] == b"II*\0":
        order = "little"
    elif exif[:4] == b"MM\0*":
        order = "big"
    else:
        return UPRIGHT
    at = int.from_bytes(exif[4:8], order)
    entries = exif[at + 2 : at + 2 + 12 * min(_MOST_ENTRIES, int.from_bytes(exif[at : at + 2], order))]
    for begin in range(0, len(entries), 12):
        if int.from_bytes(entries[begin : begin + 2], order) == _ORIENTATION_TAG:
            found = int.from_bytes(entries[begin + 8 : begin + 10], order)
            return found if found in _BACKWARDS else UPRIGHT
    return UPRIGHT


# numpy reads the header of an array with Python's own parser, which in 3.11 is not for several threads at once.
_PARSING = Lock()
_BEGINS = np.lib.format.magic(1, 0)
_LONGEST_KEPT = 256


def pack(value: Array) -> bytes:
    """An array as the bytes of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def unpack(data: bytes) -> Array:
    """The array in the bytes of an .npy file.

    Raises:
        InvalidInput: the bytes are no array.
    """
    try:
        start = len(_BEGINS) + 2 + int.from_bytes(data[len(_BEGINS) : len(_BEGINS) + 2], "little")
        if data.startswith(_BEGINS) and start <= _LONGEST_KEPT:
            shape, order, dtype = _form(bytes(data[:start]))
            # All but objects and records. Where less is behind the header than it says, nothing is made.
            if dtype.itemsize and dtype.kind not in "OV" and min(shape, default=0) >= 0:
                return np.ndarray(shape, dtype, data, start, order=order).copy(order)
        with _PARSING:
            value: Array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, OverflowError, SyntaxError, TokenError, TypeError, BadZipFile) as error:
        raise InvalidInput(f"{len(data)} bytes are no readable array ({error})") from error
    return value


@lru_cache(maxsize=1024)
def _form(header: bytes) -> tuple[tuple[int, ...], Literal["C", "F"], "np.dtype[Any]"]:
    """Shape, order and type of the arrays behind a header: to parse it takes most of the time.

    Raises:
        ValueError: it is none.
    """
    with _PARSING:
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header[len(_BEGINS) :]))
    return shape, "F" if by_columns else "C", dtype

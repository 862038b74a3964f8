"""Frames and outputs as bytes, as they travel and are stored: JPEG, and numpy's own format."""

import io

import cv2
import numpy as np

from .errors import InvalidInput
from .outputs import Array

JPEG_QUALITY = 90


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
        value: Array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, TypeError) as error:
        raise InvalidInput(f"{len(data)} bytes are no readable array ({error})") from error
    return value

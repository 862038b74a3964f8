"""A picture that is kept for a while: as it was captured, or as a JPEG when room becomes short."""

import threading

import numpy as np

from ...codec import decode_jpeg, encode_jpeg
from ...outputs import Array

QUALITY = 90


class KeptPicture:
    """One picture; several may hold it, from any thread.

    Args:
        pixels: uint8 BGR, height x width x 3; nobody writes into it any more.
        quality: of the JPEG.
    """

    def __init__(self, pixels: Array, *, quality: int = QUALITY) -> None:
        self.height, self.width = pixels.shape[:2]
        self.quality = quality
        self._pixels: Array | None = pixels
        self._jpeg = b""
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """The memory that it takes now."""
        pixels = self._pixels
        return len(self._jpeg) + (0 if pixels is None else pixels.nbytes)

    @property
    def is_squeezed(self) -> bool:
        """Whether only the JPEG is left."""
        return self._pixels is None

    def squeeze(self) -> int:
        """Keeps only the JPEG; returns the bytes that became free."""
        before = self.size_bytes
        self.jpeg()
        self._pixels = None
        return before - self.size_bytes

    def jpeg(self) -> bytes:
        """The JPEG; made once."""
        with self._lock:
            pixels = self._pixels
            if not self._jpeg and pixels is not None:
                self._jpeg = encode_jpeg(pixels, self.quality)
            return self._jpeg

    def pixels(self) -> Array:
        """Uint8 BGR (height, width, 3), not to be written into: as it was captured, or what its JPEG still says."""
        pixels = self._pixels
        return decode_jpeg(self._jpeg) if pixels is None else pixels


def picture_of(value: Array) -> Array | None:
    """The picture in an input's value: itself, the last of a window, or that of its first part with one; else None."""
    found = [value] if value.dtype.names is None else [value[name] for name in value.dtype.names]
    for each in found:
        if each.size and each.dtype == np.uint8 and each.ndim in (3, 4) and each.shape[-1] == 3:
            return each[-1] if each.ndim == 4 else each
    return None

"""A filter's file as it travels between operator, coordinator and device: in pieces, bounded, known by its SHA-256."""

import hashlib
import re
from collections.abc import Iterator

from ..errors import InvalidInput

MOST_BYTES = 32 * 2**20
"""The largest file of a filter that is taken."""
PIECE_BYTES = 64 * 2**10
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,119}\.onnx")


def is_digest(text: str) -> bool:
    """Whether that can be the SHA-256 of a file, in hexadecimal."""
    return _DIGEST.fullmatch(text) is not None


def check_file_name(name: str) -> str:
    """What a filter's file is called, as it may be shown and kept.

    Raises:
        InvalidInput: it can't be called so.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput("`name`: 1 to 120 letters, digits, '.', '_', '-' and spaces, and then .onnx")
    return name


def check_size(size_bytes: int) -> None:
    """Makes sure that a filter is no larger than any is.

    Raises:
        InvalidInput: it is.
    """
    if not 0 < size_bytes <= MOST_BYTES:
        raise InvalidInput(f"a filter of {size_bytes} bytes: 1 to {MOST_BYTES} are taken")


def check_content(content: bytes | bytearray, digest: str) -> None:
    """Makes sure that what came is what was said.

    Raises:
        InvalidInput: it is something else.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise InvalidInput(f"what came has the SHA-256 {found[:16]}…, and {digest[:16]}… was said: it is not used")


def pieces(content: bytes) -> Iterator[bytes]:
    """A file's content as it travels."""
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]

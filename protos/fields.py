"""A protobuf message read field by field: nothing is copied, and nothing but what is asked for is looked at."""

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: the field's.
        kind: how it is written: `VARINT`, `FIXED64`, `BYTES` or `FIXED32`.
        begin: where its tag begins.
        start: where its content starts.
        end: where the next field begins.
        value: a varint's number; 0 for the others.
    """

    number: int
    kind: int
    begin: int
    start: int
    end: int
    value: int


def fields(data: bytes | memoryview) -> Iterator[Field]:
    """A message's fields in the order in which they stand there, up to where it is damaged."""
    at, size = 0, len(data)
    try:
        while at < size:
            begin, value = at, 0
            tag, at = _varint(data, at)
            start, kind = at, tag & 7
            if kind == VARINT:
                value, at = _varint(data, at)
            elif kind == BYTES:
                length, start = _varint(data, at)
                at = start + length
            elif kind in (FIXED32, FIXED64):
                at += 4 if kind == FIXED32 else 8
            else:
                return
            if at > size:
                return
            yield Field(tag >> 3, kind, begin, start, at, value)
    except IndexError:
        return


def varint(value: int) -> bytes:
    """A number that is not negative, as a tag or a length is written."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError

"""When a picture was taken, as its camera wrote it into the JPEG (EXIF)."""

import struct
from datetime import UTC, datetime, timedelta, timezone, tzinfo

HEAD_BYTES = 2**16
"""How much of a file is looked at: a JPEG's EXIF stands at its beginning and is no longer."""

_EXIF_FOLDER, _TAKEN, _PART, _ZONE = 0x8769, 0x9003, 0x9291, 0x9011
_MOST_ENTRIES = 512


def taken_unix_s(head: bytes) -> float | None:
    """When a JPEG was taken, in seconds since 1970; without a zone as if it were UTC; None: it does not say.

    Args:
        head: the file's first `HEAD_BYTES`.
    """
    if head[:2] != b"\xff\xd8":
        return None
    at = 2
    try:
        while at + 4 <= len(head) and head[at] == 0xFF:
            marker, size = head[at + 1], int.from_bytes(head[at + 2 : at + 4])
            if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
                return _taken(head[at + 10 : at + 2 + size])
            if marker == 0xDA or size < 2:
                return None
            at += 2 + size
    except (struct.error, ValueError, OverflowError):
        return None  # Damaged: as if it said nothing.
    return None


def _taken(tiff: bytes) -> float | None:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    where = _entries(tiff, order, first).get(_EXIF_FOLDER)
    if where is None:
        return None
    (folder,) = struct.unpack(f"{order}I", where)
    found = _entries(tiff, order, folder)
    text = {tag: _text(tiff, order, found.get(tag)) for tag in (_TAKEN, _PART, _ZONE)}
    if not text[_TAKEN]:
        return None
    zone: tzinfo = UTC
    if text[_ZONE]:
        sign, hours, minutes = text[_ZONE][0], int(text[_ZONE][1:3]), int(text[_ZONE][4:6])
        zone = timezone(timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1))
    moment = datetime.strptime(text[_TAKEN], "%Y:%m:%d %H:%M:%S").replace(tzinfo=zone)
    part = float(f"0.{text[_PART].strip()}") if text[_PART].strip().isdigit() else 0.0
    return moment.timestamp() + part


def _entries(tiff: bytes, order: str, at: int) -> dict[int, bytes]:
    """What stands in a folder of tags: of each the kind's four bytes, and for texts all of them."""
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    found = {}
    for number in range(min(count, _MOST_ENTRIES)):
        tag, kind, length = struct.unpack_from(f"{order}HHI", tiff, at + 2 + 12 * number)
        value = tiff[at + 10 + 12 * number : at + 14 + 12 * number]
        if kind == 2 and length > 4:
            (where,) = struct.unpack(f"{order}I", value)
            value = tiff[where : where + min(length, 64)]
        found[tag] = value
    return found


def _text(tiff: bytes, order: str, value: bytes | None) -> str:
    return (value or b"").partition(b"\0")[0].decode("ascii", "ignore").strip()

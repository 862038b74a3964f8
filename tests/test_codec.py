"""Pictures are upright as their EXIF says, as OpenCV shows them, with whichever decoder they are read."""

import asyncio
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.runtime.input_pool import InputPool
from infilink.cloud.sessions.decoding import decode_payload
from infilink.cloud.sessions.jpeg import open_picture
from infilink.codec import decode_jpeg, orientation_of
from infilink.outputs import Array

PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


def exif(orientation: int, order: str = "<", *, before: int = 0) -> bytes:
    """The segment that a camera writes, with other entries before the one that counts."""
    tags = [(0x0100 + n, 3, 1, 7, 0) for n in range(before)]
    entries = b"".join(struct.pack(f"{order}HHIHH", *tag) for tag in (*tags, (0x0112, 3, 1, orientation, 0)))
    directory = struct.pack(f"{order}H", before + 1) + entries + bytes(4)
    tiff = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8) + directory
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def picture(width: int, height: int, *options: int) -> bytes:
    """One that looks otherwise however it is turned."""
    y, x = np.mgrid[0:height, 0:width]
    frame = np.stack([200 * x / width, 200 * y / height, 255 * ((x < width / 3) & (y < height / 4))], -1)
    return cv2.imencode(".jpg", frame.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1].tobytes()


def marked(jpeg: bytes, *segments: bytes) -> bytes:
    return b"".join((jpeg[:2], *segments, jpeg[2:]))


def read(jpeg: bytes) -> Array:
    async def story() -> Array:
        return np.array((await decode_payload(open_picture(jpeg, 2**22), InputPool(2**24))).frame)

    return asyncio.run(story())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"], ids=["Intel", "Motorola"])
def test_each_orientation_is_decoded_as_opencv_shows_it(orientation: int, order: str) -> None:
    for size, options in (((64, 48), ()), ((33, 70), PROGRESSIVE), ((320, 200), ())):
        jpeg = marked(picture(*size, *options), exif(orientation, order, before=orientation))
        assert orientation_of(jpeg) == orientation_of(memoryview(jpeg)) == orientation
        shown = decode_jpeg(jpeg)
        assert shown.shape[:2] == (size if orientation > 4 else size[::-1])
        found = read(jpeg)
        assert found.shape == shown.shape and found.flags.c_contiguous
        assert np.abs(found.astype(int) - shown).mean() < 1.0


def test_what_stands_before_it_or_after_the_picture_s_tables_does_not_matter() -> None:
    jpeg = picture(64, 48)
    app2, comment = b"\xff\xe2\x00\x0cICC_PROFIL", b"\xff\xfe\x00\x0ahi hello"
    assert orientation_of(marked(jpeg, app2, comment, exif(6))) == 6
    assert orientation_of(jpeg) == orientation_of(marked(jpeg, app2)) == 1
    xmp = b"\xff\xe1\x00\x0chttp://ns."
    assert orientation_of(marked(jpeg, xmp, exif(8))) == 8, "another APP1 may come first"
    assert orientation_of(jpeg + exif(6)) == 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int) -> None:
    jpeg = marked(picture(64, 48), exif(orientation))
    assert orientation_of(jpeg) == 1 and read(jpeg).shape == decode_jpeg(jpeg).shape == (48, 64, 3)


@given(st.binary(max_size=80), st.integers(0, 60))
def test_damaged_exif_is_no_error(damage: bytes, at: int) -> None:
    whole = marked(b"\xff\xd8", exif(6))
    assert 1 <= orientation_of(whole[:at] + damage + whole[at + len(damage) :]) <= 8
    assert 1 <= orientation_of(damage) <= 8

"""Fault kind N: what is said of a picture is read by the decoder that decodes it, before it takes memory."""

import asyncio
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.runtime.input_pool import InputPool
from infilink.cloud.sessions.decoding import decode_payload
from infilink.cloud.sessions.jpeg import decode_jpeg, open_picture, picture_form
from infilink.errors import InvalidInput

SMALL = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
PROGRESSIVE = cv2.imencode(
    ".jpg", np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
)[1].tobytes()


def resized(jpeg: bytes, width: int, height: int) -> bytes:
    """The same bytes, with another size in their header."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def behind(first: bytes, second: bytes) -> bytes:
    """The second picture where a parser finds it that takes a marker without a length for one with a length."""
    jpeg = b"\xff\xd8\xff\xd0" + first[2:]
    jump = 4 + struct.unpack(">H", jpeg[4:6])[0]
    return jpeg + bytes(max(0, jump - len(jpeg))) + second[2:]


@pytest.mark.parametrize(
    "jpeg",
    [
        resized(SMALL, 60000, 60000),
        behind(resized(SMALL, 60000, 60000), SMALL),
        b"\xff\xd8\xff\x01" + resized(SMALL, 60000, 60000)[2:],
        b"\xff\xd8\xff\xff\xff" + resized(SMALL, 60000, 60000)[3:],
        b"\xff\xd8 not a marker " + resized(SMALL, 60000, 60000)[2:],
    ],
    ids=["plain", "behind a restart marker", "behind a marker without a length", "behind fill bytes", "behind garbage"],
)
def test_a_size_that_is_hidden_from_another_parser_is_seen(jpeg: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"60000x60000|can.t be read"):
        picture_form(jpeg, max_pixels=2**25)


@pytest.mark.parametrize("scans", [65, 5000])
def test_a_picture_of_more_passes_than_any_camera_makes_is_refused_undecoded(scans: int) -> None:
    at = PROGRESSIVE.rindex(b"\xff\xda")
    last = PROGRESSIVE[at:-2]
    with pytest.raises(InvalidInput, match=r"is drawn in \d+ scans; at most 64"):
        picture_form(PROGRESSIVE[:at] + last * scans + PROGRESSIVE[-2:], max_pixels=2**25)


@given(st.lists(st.sampled_from([b"\xff", b"\xda", b"\xff\xda", b"1"])).map(b"".join))
def test_passes_are_counted_wherever_they_begin(rest: bytes) -> None:
    for begin in (SMALL, SMALL + b"2"):
        scans = (begin + rest).count(b"\xff\xda")
        if scans <= 64:
            assert picture_form(begin + rest, max_pixels=2**16)[2] == scans


@given(st.integers(0, len(PROGRESSIVE) - 1), st.integers(0, 255), st.booleans())
def test_whatever_is_decoded_has_the_size_that_was_said(place: int, byte: int, progressive: bool) -> None:
    jpeg = bytearray(PROGRESSIVE if progressive else SMALL)
    jpeg[place % len(jpeg)] = byte
    try:
        width, height, _ = picture_form(bytes(jpeg), max_pixels=2**16)
        picture = decode_jpeg(bytes(jpeg))
    except InvalidInput:
        return
    assert picture.shape == (height, width, 3) and width * height <= 2**16


def test_a_picture_that_breaks_while_it_is_decoded_gives_its_memory_back_at_once() -> None:
    async def story() -> None:
        pool = InputPool(2**26)
        try:
            for side in (64, 400):
                noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
                cut = cv2.imencode(".jpg", noise)[1].tobytes()[:-200]
                for _ in range(5):
                    with pytest.raises(InvalidInput):
                        await decode_payload(open_picture(cut, 2**25), pool)
                    assert pool.stats().held_bytes == 0
        finally:
            pool.close()

    asyncio.run(story())

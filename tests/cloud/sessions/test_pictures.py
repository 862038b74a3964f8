"""A picture's size is read before it is decoded."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.sessions.inputs import decode_picture, picture_size
from infilink.errors import InvalidInput


def jpeg(width, height, *options):
    return cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8), list(options))[1].tobytes()


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_QUALITY, 1)])
def test_the_size_in_the_header_is_that_of_the_picture(options):
    assert picture_size(jpeg(67, 31, *options)) == (67, 31)
    assert decode_picture(jpeg(67, 31, *options), max_pixels=67 * 31).shape == (31, 67, 3)


def test_a_huge_picture_is_refused_undecoded():
    bomb = bytearray(jpeg(64, 64))
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    with pytest.raises(InvalidInput, match="65000x65000"):
        decode_picture(bytes(bomb), max_pixels=2**25)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_picture_or_invalid(data, begins_well):
    with pytest.raises(InvalidInput):
        decode_picture((b"\xff\xd8" if begins_well else b"") + data, max_pixels=1000)

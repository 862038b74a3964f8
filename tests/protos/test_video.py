"""Pictures as H.264: what is read is what was written, and bytes of any kind harm nobody."""

from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.protos.video import PictureReader, PictureWriter, most_packets

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (30, 60, 90))


def pictures(width=64, height=48, count=4):
    """A soft picture that gets brighter."""
    soft = np.random.default_rng(0).integers(40, 160, (3, 4, 3), np.uint8)
    picture = cv2.resize(soft, (width, height))
    return [picture + np.uint8(20 * index) for index in range(count)]


def write(given, crf=4):
    height, width = given[0].shape[:2]
    writer = PictureWriter(width, height, crf=crf)
    return [writer.write(each) for each in given]


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 49), (1, 1), (70, 30)])
def test_each_picture_is_read_as_soon_as_its_packet_is_there(width, height):
    given = pictures(width, height)
    reader, out = PictureReader(width, height), np.empty((height, width, 3), np.uint8)
    for at, (picture, packet) in enumerate(zip(given, write(given), strict=True)):
        reader.read([packet], out)
        assert reader.position == at + 1
        assert np.abs(out.astype(int) - picture).mean() < 4


def test_colours_are_what_they_were():
    flat = [np.full((32, 32, 3), colour, np.uint8) for colour in COLOURS]
    out = np.empty((32, 32, 3), np.uint8)
    for picture in flat:
        PictureReader(32, 32).read(write([picture]), out)
        assert np.abs(out.astype(int) - picture).max() <= 3


def test_several_packets_at_once_give_the_last_picture():
    given = pictures()
    out, one_by_one = np.empty((48, 64, 3), np.uint8), np.empty((48, 64, 3), np.uint8)
    PictureReader(64, 48).read(write(given), out)
    reader = PictureReader(64, 48)
    for packet in write(given):
        reader.read([packet], one_by_one)
    np.testing.assert_array_equal(out, one_by_one)


def test_what_does_not_change_takes_less():
    (picture,) = pictures(320, 240, count=1)
    first, *others = map(len, write([picture] * 5, crf=24))
    assert max(others) < first / 2


def test_pictures_larger_than_it_was_told_are_not_decoded():
    packets = write(pictures(640, 480, count=1))
    with pytest.raises(InvalidInput, match="can't be read"):
        PictureReader(64, 48).read(packets, np.empty((48, 64, 3), np.uint8))
    with pytest.raises(InvalidInput, match="not of 64x40 as it says"):
        PictureReader(64, 40).read(write(pictures()), np.empty((40, 64, 3), np.uint8))


def test_what_can_not_be_encoded_is_told():
    with pytest.raises(InvalidInput, match="can't be made H"):
        PictureWriter(2**16, 16)


def test_chains_of_large_pictures_are_shorter():
    assert most_packets(64, 48) == 512 and most_packets(3840, 2160) == 32 and most_packets(2**15, 2**15) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_damaged_packets_give_a_picture_or_an_error(which, at, byte, is_cut):
    packets = list(PACKETS)
    packet = bytearray(packets[which])
    at %= len(packet)
    packet[at] = byte
    packets[which] = bytes(packet[: at + 1] if is_cut else packet)
    out = np.empty((48, 64, 3), np.uint8)
    with suppress(InvalidInput):
        PictureReader(64, 48).read(packets, out)


PACKETS = write(pictures())

"""Chains of pictures in a process of their own: any picture in any order, whatever becomes of that process."""

import gc

import numpy as np
import pytest
from infilink.cloud.runtime.video_decoders import BrokenChain, VideoDecoders
from infilink.errors import InvalidInput
from infilink.protos.sounds import write_flac

from ...protos.test_video import PACKETS, pictures


@pytest.fixture(scope="module")
def decoders():
    made = VideoDecoders(1)
    yield made
    made.stop()


def read(decoders, chain, place):
    out = np.zeros((chain.height, chain.width, 3), np.uint8)
    decoders.read(chain, place, out)
    return out


def assert_is(picture, place):
    assert np.abs(picture.astype(int) - pictures()[place]).mean() < 5


def test_any_picture_is_read_in_any_order(decoders):
    one, other = decoders.open(64, 48), decoders.open(64, 48)
    decoders.add(one, PACKETS[:2])
    decoders.add(other, PACKETS[:1])
    assert_is(read(decoders, one, 1), 1)
    assert_is(read(decoders, other, 0), 0)
    assert_is(read(decoders, one, 0), 0)
    decoders.add(one, PACKETS[2:])
    for place in (3, 2, 3):
        assert_is(read(decoders, one, place), place)


def test_a_decoder_that_dies_is_replaced_and_goes_on_where_it_was(decoders):
    chain = decoders.open(64, 48)
    decoders.add(chain, PACKETS)
    assert_is(read(decoders, chain, 2), 2)
    process = decoders._workers[0]._process
    process.kill()
    process.join()
    assert_is(read(decoders, chain, 3), 3)


def test_a_chain_that_can_not_be_read_is_told_so_again_without_being_read(decoders):
    chain = decoders.open(64, 48)
    decoders.add(chain, [PACKETS[0], bytes(range(200))])
    for _ in range(2):
        with pytest.raises(InvalidInput, match="can't be read"):
            read(decoders, chain, 1)
    good = decoders.open(64, 48)
    decoders.add(good, PACKETS)
    assert_is(read(decoders, good, 3), 3)


def test_packets_of_the_chain_that_was_used_least_lately_are_given_up():
    decoders = VideoDecoders(1, most_bytes=sum(map(len, PACKETS)))
    old, new = decoders.open(64, 48), decoders.open(64, 48)
    decoders.add(old, PACKETS)
    decoders.add(new, PACKETS[:1])
    assert decoders.size_bytes == len(PACKETS[0])
    with pytest.raises(BrokenChain, match="given up"):
        read(decoders, old, 0)
    del new
    gc.collect()
    assert decoders.size_bytes == 0
    decoders.stop()


def test_a_chain_has_an_end(decoders):
    chain = decoders.open(2**14, 2**14)
    decoders.add(chain, [b"x"])
    with pytest.raises(InvalidInput, match="at most 1 packets"):
        decoders.add(chain, [b"x"])
    with pytest.raises(InvalidInput, match="at most 512 packets"):
        decoders.add(decoders.open(64, 48), [bytes(2**24), b"x"])


def test_sounds_are_read_there_too(decoders):
    samples = np.arange(-500, 500, dtype=np.int16)
    out = np.empty(1000, np.int16)
    decoders.read_sound("flac", write_flac(samples, 8000), out)
    np.testing.assert_array_equal(out, samples)
    with pytest.raises(InvalidInput):
        decoders.read_sound("flac", write_flac(samples, 8000)[:-30], out)

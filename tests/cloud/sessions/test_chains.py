"""Which packets of a connection are whose: nothing of a message is believed."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.cloud.runtime.video_decoders import BrokenChain, VideoDecoders
from infilink.cloud.sessions.chains import Chains
from infilink.errors import InfilinkError, InvalidInput
from infilink.protos import edge_pb2

from ...protos.test_video import PACKETS


def open_chains(*, takes=True):
    return Chains(VideoDecoders(1), takes=takes, max_bytes=2**20, max_pixels=64 * 48)


def an_input(packets=(), chain=5, first=0, place=0, size=(64, 48)):
    chunk = edge_pb2.Chunk(chain=chain, first=first, place=place, packets=packets, width=size[0], height=size[1])
    return edge_pb2.Input(encoding=edge_pb2.ENCODING_H264, payload=chunk.SerializeToString())


def test_packets_are_added_where_they_belong():
    chains = open_chains()
    assert chains.take(an_input(PACKETS[:2], place=1)).shape == (48, 64, 3)
    assert chains.take(an_input(PACKETS[2:3], first=2, place=2)).is_elsewhere
    assert chains.take(an_input(place=0)) is not None
    for message in (
        an_input(PACKETS[3:], first=2, place=3),
        an_input(PACKETS[3:], first=3, place=3, chain=6),
        an_input(place=9),
        an_input(PACKETS[:1], place=1),
    ):
        with pytest.raises(BrokenChain, match="are not here"):
            chains.take(message)
    assert chains.take(an_input(PACKETS, place=3)) is not None


def test_chains_before_the_last_four_are_gone():
    chains = open_chains()
    for chain in range(5):
        chains.take(an_input(PACKETS[:1], chain=chain))
    assert chains.take(an_input(chain=1)) is not None
    with pytest.raises(BrokenChain):
        chains.take(an_input(chain=0))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (an_input([b""]), "one is empty"),
        (an_input(PACKETS, size=(65, 48)), "65x48"),
        (an_input(PACKETS, size=(0, 48)), "0x48"),
        (an_input(PACKETS * 300), "more than 1024 fields"),
        (edge_pb2.Input(encoding=edge_pb2.ENCODING_H264, payload=bytes(2**20 + 1)), "bytes"),
        (edge_pb2.Input(encoding=edge_pb2.ENCODING_H264, payload=b"\xff\xff"), "`payload`|fields|no Chunk"),
    ],
)
def test_what_can_not_be_is_refused(message, said):
    with pytest.raises(InvalidInput, match=said):
        open_chains().take(message)


def test_a_chain_has_one_size():
    chains = open_chains()
    chains.take(an_input(PACKETS[:1]))
    with pytest.raises(InvalidInput, match="one size, 64x48"):
        chains.take(an_input(PACKETS[1:2], first=1, place=1, size=(48, 64)))


def test_other_inputs_pass_and_none_are_taken_where_none_are_announced():
    assert open_chains().take(edge_pb2.Input(encoding=edge_pb2.ENCODING_JPEG, payload=b"x")) is None
    with pytest.raises(InvalidInput, match="Welcome says what is"):
        open_chains(takes=False).take(an_input(PACKETS))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), max_size=12))
def test_any_order_of_any_chunks_is_taken_or_refused(drawn):
    chains = open_chains()
    for chain, first, place, count in drawn:
        with suppress(InfilinkError):
            assert chains.take(an_input(PACKETS[:count], chain=chain, first=first, place=place)) is not None
    assert chains.decoders.size_bytes <= 12 * sum(map(len, PACKETS))

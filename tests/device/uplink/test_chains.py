"""What a connection lacks of a chain travels with the input that needs it: in any order, on any connection."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.cloud.runtime.video_decoders import VideoDecoders
from infilink.cloud.sessions.chains import Chains
from infilink.codec import decode_jpeg
from infilink.device.uplink.chains import ChainStore, SentChains, chain_of
from infilink.protos import edge_pb2

from ...protos.test_video import PACKETS, pictures, write

TAKES = edge_pb2.Welcome(encodings=[edge_pb2.ENCODING_H264])


def stored(count=4, chain=3):
    store = ChainStore(90)
    store.agree(TAKES)
    store.is_broken = False
    return store, [put(store, chain + place, chain, place) for place in range(count)]


def put(store, sequence, chain, place):
    packet = PACKETS[place]
    assert store.add(sequence, chain, packet) == place
    chunk = edge_pb2.Chunk(chain=chain, place=place, packets=[packet], width=64, height=48)
    return edge_pb2.Input(sequence=sequence, encoding=edge_pb2.ENCODING_H264, payload=chunk.SerializeToString())


def packets_of(message):
    chunk = edge_pb2.Chunk.FromString(message.payload)
    return chunk.first, list(chunk.packets)


def test_each_packet_travels_once_on_a_connection_and_all_of_them_on_the_next():
    store, messages = stored()
    sent = SentChains()
    assert [packets_of(store.complete(each, sent)) for each in messages] == [
        (place, [PACKETS[place]]) for place in range(4)
    ]
    assert packets_of(store.complete(messages[3], SentChains())) == (0, PACKETS)
    assert packets_of(store.complete(messages[1], sent)) == (2, [])
    assert packets_of(messages[2]) == (0, [PACKETS[2]])


def test_a_chain_that_is_lost_is_sent_again_and_in_the_end_as_a_jpeg():
    store, messages = stored()
    sent = SentChains()
    store.complete(messages[3], sent)
    for _ in range(2):
        store.lost(6, sent)
        assert packets_of(store.complete(messages[3], sent)) == (0, PACKETS)
    store.lost(6, sent)
    alone = store.complete(messages[3], sent)
    assert alone.encoding == edge_pb2.ENCODING_JPEG
    assert np.abs(decode_jpeg(alone.payload).astype(int) - pictures()[3]).mean() < 5


def test_a_new_connection_carries_a_jpeg_where_that_takes_less_than_a_chain_from_its_beginning():
    drawn = np.random.default_rng(0)
    noise = [drawn.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(4)]
    store, sent = ChainStore(5), SentChains()
    store.agree(TAKES)
    packets = write(noise, crf=20)
    messages = []
    for place, packet in enumerate(packets):
        store.add(place, 0, packet)
        chunk = edge_pb2.Chunk(place=place, packets=[packet], width=320, height=240).SerializeToString()
        messages.append(edge_pb2.Input(sequence=place, encoding=edge_pb2.ENCODING_H264, payload=chunk))
    kinds = [store.complete(each, sent).encoding for each in messages]
    assert kinds == [edge_pb2.ENCODING_H264] * 4
    assert store.complete(messages[3], SentChains()).encoding == edge_pb2.ENCODING_JPEG
    assert store.complete(messages[0], SentChains()).encoding == edge_pb2.ENCODING_H264


def test_a_coordinator_that_takes_none_is_sent_jpegs():
    store, messages = stored()
    store.agree(edge_pb2.Welcome())
    assert {store.complete(each, SentChains()).encoding for each in messages} == {edge_pb2.ENCODING_JPEG}
    other = edge_pb2.Input(encoding=edge_pb2.ENCODING_JPEG, payload=b"x")
    assert store.complete(other, SentChains()) is other and chain_of(other) is None and chain_of(messages[0]) == 3


def test_packets_stay_as_long_as_something_refers_to_them():
    store, messages = stored()
    for sequence in (3, 4, 5):
        store.done(sequence)
    assert packets_of(store.complete(messages[3], SentChains())) == (0, PACKETS)
    put(store, 9, 9, 0)
    assert set(store._packets) == {3, 9}
    store.done(6)
    assert set(store._packets) == {9} and not store.is_broken
    store.done(9, arrived=False)
    assert store.is_broken and set(store._packets) == {9}


def test_packets_of_an_earlier_run_are_asked_for():
    _, messages = stored()
    asked = []

    def earlier(chain, sequence):
        asked.append((chain, sequence))
        return [each.SerializeToString() for each in messages if each.sequence < sequence]

    store = ChainStore(90, earlier=earlier)
    store.agree(TAKES)
    sent = SentChains()
    assert packets_of(store.complete(messages[2], sent)) == (0, PACKETS[:3])
    assert packets_of(store.complete(messages[3], sent)) == (3, PACKETS[3:])
    assert asked == [(3, 5), (3, 6)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=20))
def test_whatever_order_they_are_sent_in_the_coordinator_has_all_that_an_input_needs(drawn):
    store, messages = stored()
    sent, taken = SentChains(), None
    for which, is_new, is_lost in drawn:
        if is_new or taken is None:
            sent = SentChains()
            taken = Chains(VideoDecoders(1), takes=True, max_bytes=2**20, max_pixels=2**20)
        if is_lost:
            store.lost(3 + which, sent)
        message = store.complete(messages[which], sent)
        opened = taken.take(message)
        assert (opened is None) == (message.encoding == edge_pb2.ENCODING_JPEG)

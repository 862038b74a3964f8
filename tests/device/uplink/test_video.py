"""H.264 or JPEGs, by what is measured on the stream."""

import logging

import numpy as np
import pytest
from infilink.device.sources.base import Input
from infilink.device.uplink.video import VideoEncoder
from infilink.device.uplink.video_settings import VideoSettings
from infilink.protos import edge_pb2
from infilink.protos.video import PictureReader

from ...protos.test_video import pictures

H264, JPEG = edge_pb2.ENCODING_H264, edge_pb2.ENCODING_JPEG


def opened(*, only=False, takes=True, **settings):
    encoder = VideoEncoder(VideoSettings(**settings), 90, only=only)
    encoder.chains.agree(edge_pb2.Welcome(encodings=[H264] if takes else []))
    return encoder


def sent(encoder, images, first=0, every_s=1.0):
    return [encoder.encode(Input(first + i, i * every_s, image)) for i, image in enumerate(images)]


def chunks(encoded):
    return [edge_pb2.Chunk.FromString(payload) for encoding, payload in encoded if encoding == H264]


def noise(count, size=(48, 64, 3)):
    drawn = np.random.default_rng(1)
    return [drawn.integers(0, 256, size, dtype=np.uint8) for _ in range(count)]


def test_a_chain_is_named_by_its_first_input_and_ends_where_it_is_told():
    encoder = opened(chain=3)
    found = chunks(sent(encoder, pictures() * 2, first=10))
    assert [(each.chain, each.place) for each in found] == [
        (10, 0), (10, 1), (10, 2), (13, 0), (13, 1), (13, 2), (16, 0), (16, 1)
    ]  # fmt: skip
    out = np.empty((48, 64, 3), np.uint8)
    PictureReader(64, 48).read([packet for each in found[3:5] for packet in each.packets], out)
    assert np.abs(out.astype(int) - pictures()[0]).mean() < 8


def test_another_size_and_a_lost_picture_begin_another_chain():
    encoder = opened()
    found = chunks(sent(encoder, [*pictures()[:2], *pictures(32, 40)[:2], *pictures()[:2]]))
    assert [(each.chain, each.width) for each in found] == [(0, 64), (0, 64), (2, 32), (2, 32), (4, 64), (4, 64)]
    encoder.chains.done(5, arrived=False)
    assert [each.chain for each in chunks(sent(encoder, pictures()[:2], first=6))] == [6, 6]


def test_jpegs_are_sent_where_no_video_is_taken():
    assert [encoding for encoding, _ in sent(opened(takes=False), pictures())] == [JPEG] * 4


def test_jpegs_are_sent_for_a_while_where_they_take_less(caplog):
    encoder = opened(crf=1, chain=32)
    encoder.quality = 5
    with caplog.at_level(logging.INFO):
        kinds = [encoding for encoding, _ in sent(encoder, noise(180))]
    assert kinds[:16] == [H264] * 16 and kinds[16:144] == [JPEG] * 128 and kinds[144:160] == [H264] * 16
    assert kinds[160:] == [JPEG] * 20 and "the next 256 kept pictures" in caplog.text
    encoder.log_summary()
    assert {encoding for encoding, _ in sent(opened(crf=1, only=True), noise(40))} == {H264}


def test_it_searches_less_and_then_sends_jpegs_where_encoding_takes_too_much_time(caplog):
    encoder = opened(cpu_share=0.5)
    with caplog.at_level(logging.INFO):
        found = sent(encoder, pictures() * 9, every_s=1e-7)
    assert [encoding for encoding, _ in found] == [H264] * 32 + [JPEG] * 4 and "of a core" in caplog.text
    assert [each.place for each in chunks(found)] == [*range(16), *range(16)]
    found = sent(encoder, pictures() * 40, first=36, every_s=10.0)
    assert found[-1].encoding == H264


def test_what_is_still_takes_far_less_than_jpegs():
    image = noise(1)[0]
    encoder = opened()
    found = sent(encoder, [image] * 32)
    assert sum(len(payload) for _, payload in found) < 32 * len(encoder.encode_alone(image)) / 4


@pytest.mark.parametrize("size", [(3000, 3000, 3), (1, 1, 3)])
def test_pictures_of_any_size_travel(size):
    ((encoding, payload),) = sent(opened(), [np.zeros(size, np.uint8)])
    assert payload and encoding == (JPEG if size[0] > 1 else H264)

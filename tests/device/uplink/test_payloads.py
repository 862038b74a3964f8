"""What a device sends: pictures or maps, and which gate goes with which."""

import logging

import numpy as np
import pytest
from infilink.codec import decode_jpeg
from infilink.device.sources.base import Input
from infilink.device.uplink.payload_encoder import JpegEncoder
from infilink.device.uplink.payloads import FeatureMapEncoder, open_encoder
from infilink.device.uplink.video import VideoEncoder
from infilink.errors import InvalidInput
from infilink.filters.open_gate import open_gate
from infilink.models.spec import parse_spec, read_spec
from infilink.models.split.parts import Tail
from infilink.models.split.split import split
from infilink.protos import edge_pb2

from ...models.split.models import frames, write_chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return write_chain(tmp_path_factory.mktemp("chain") / "chain.onnx")


@pytest.fixture(scope="module")
def parts(chain, tmp_path_factory):
    return split(chain, "map", tmp_path_factory.mktemp("parts"), frames=frames(1))


def test_pictures_are_sent_without_a_head(chain, parts):
    encoder = open_encoder(None, open_gate("all"), quality=80, encoding="jpeg")
    frame = frames(1)[0]
    assert isinstance(encoder, JpegEncoder)
    encoding, payload = encoder.encode(Input(0, 0.0, frame))
    assert encoder.gate_input(frame) is frame and decode_jpeg(payload).shape == frame.shape
    assert encoding == edge_pb2.ENCODING_JPEG
    assert isinstance(open_encoder(None, open_gate("all"), quality=80), VideoEncoder)
    virtual = parse_spec({"name": "people", "output": {"kind": "count"}, "virtual": True}, where="links")
    encoder.check({"chain": read_spec(chain), "people": virtual})
    with pytest.raises(InvalidInput, match="second part of chain"):
        encoder.check({"chain": read_spec(parts.tail)})


def test_maps_are_sent_with_one_and_free_gates_still_see_pictures(chain, parts, caplog):
    encoder = open_encoder(parts.head, open_gate("difference:0.1"), quality=80)
    assert isinstance(encoder, FeatureMapEncoder)
    frame = frames(1)[0]
    assert encoder.gate_input(frame) is frame
    encoding, payload = encoder.encode(Input(0, 0.0, frame))
    assert encoding == edge_pb2.ENCODING_MAP
    tail = Tail(parts.tail)
    np.testing.assert_allclose(tail.unpack(payload).value, encoder.head.see(frame).value, atol=1.0)
    encoder.check({"chain": read_spec(parts.tail)})
    for specs in ({"chain": read_spec(chain)}, {"other": read_spec(parts.tail)}):
        with pytest.raises(InvalidInput, match="serves no second part of chain"):
            encoder.check(specs)
    with caplog.at_level(logging.INFO, logger="infilink.device.uplink.payloads"):
        encoder.log_summary()
    assert "sent 1 maps" in caplog.text and "as float32 4.0 KiB" in caplog.text


def test_the_head_runs_once_for_a_frame(parts):
    encoder = open_encoder(parts.head, open_gate("all"), quality=80)
    encoder.on_maps = True
    frame = frames(1)[0]
    seen = encoder.gate_input(frame)
    assert seen.shape == (4, 16, 16) and seen.dtype == np.float32
    encoder.encode(Input(0, 0.0, frame))
    assert encoder.head_runs == 1


def test_what_is_no_head_is_told(chain, parts):
    for path, said in ((chain, "is no part of a model"), (parts.tail, "is the tail")):
        with pytest.raises(InvalidInput, match=said):
            open_encoder(path, open_gate("all"), quality=80)

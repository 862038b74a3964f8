"""What a device sends: pictures or maps, and which gate goes with which."""

import logging

import numpy as np
import pytest
from infilink.codec import decode_jpeg
from infilink.device.uplink.payloads import MapSender, PictureSender, open_sender
from infilink.errors import InvalidInput
from infilink.filters.open_gate import open_gate
from infilink.models.spec import read_spec
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
    sender = open_sender(None, open_gate("all"), quality=80)
    frame = frames(1)[0]
    assert isinstance(sender, PictureSender) and sender.encoding == edge_pb2.ENCODING_JPEG
    assert sender.seen(frame) is frame and decode_jpeg(sender.payload(frame)).shape == frame.shape
    sender.check({"chain": read_spec(chain)})
    with pytest.raises(InvalidInput, match="second part of chain"):
        sender.check({"chain": read_spec(parts.tail)})


def test_maps_are_sent_with_one_and_free_gates_still_see_pictures(chain, parts, caplog):
    sender = open_sender(parts.head, open_gate("difference:0.1"), quality=80)
    assert isinstance(sender, MapSender)
    frame = frames(1)[0]
    assert sender.seen(frame) is frame
    message = sender.payload(frame)
    assert sender.encoding == edge_pb2.ENCODING_MAP
    tail = Tail(parts.tail)
    np.testing.assert_allclose(tail.unpack(message).value, sender.head.see(frame).value, atol=1.0)
    sender.check({"chain": read_spec(parts.tail)})
    for specs in ({"chain": read_spec(chain)}, {"other": read_spec(parts.tail)}):
        with pytest.raises(InvalidInput, match="serves no second part of chain"):
            sender.check(specs)
    with caplog.at_level(logging.INFO, logger="infilink.device.uplink.payloads"):
        sender.tell()
    assert "sent 1 maps" in caplog.text and "as float32 4.0 KiB" in caplog.text


def test_the_head_runs_once_for_a_frame(parts):
    sender = open_sender(parts.head, open_gate("all"), quality=80)
    sender.on_maps = True
    frame = frames(1)[0]
    seen = sender.seen(frame)
    assert seen.shape == (4, 16, 16) and seen.dtype == np.float32
    sender.payload(frame)
    assert sender.seen_frames == 1


def test_what_is_no_head_is_told(chain, parts):
    for path, said in ((chain, "is no part of a model"), (parts.tail, "is the tail")):
        with pytest.raises(InvalidInput, match=said):
            open_sender(path, open_gate("all"), quality=80)

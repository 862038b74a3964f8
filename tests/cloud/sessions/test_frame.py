"""An input's frame: none where only outputs came, and all of it together is bounded."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.sessions.inputs import read_frame
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2

CONFIG = CloudConfig(models=Path("models"), max_input_bytes=1024)
FRAME = np.full((16, 24, 3), 90, np.uint8)
OUTPUT = edge_pb2.Output(model="m", value=bytes(900))


def read(payload: bytes, *outputs: edge_pb2.Output, encoding: edge_pb2.Encoding = edge_pb2.ENCODING_JPEG):
    return asyncio.run(read_frame(edge_pb2.Input(payload=payload, encoding=encoding, outputs=outputs), None, CONFIG))


def test_a_picture_with_or_without_outputs_and_outputs_alone():
    jpeg = encode_jpeg(FRAME)
    small = edge_pb2.Output(model="m", value=bytes(4))
    for found in (read(jpeg), read(jpeg, small)):
        np.testing.assert_allclose(found, FRAME, atol=3)
    assert read(b"", OUTPUT) is None
    assert read(b"", OUTPUT, encoding=edge_pb2.ENCODING_UNSPECIFIED) is None


@pytest.mark.parametrize(
    ("payload", "outputs", "text"),
    [
        (b"", [], "no JPEG"),
        (bytes(1025), [], "1025 bytes; at most 1024"),
        (bytes(200), [OUTPUT], "1100 bytes; at most 1024"),
        (b"", [OUTPUT, OUTPUT], "1800 bytes; at most 1024"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(payload, outputs, text):
    with pytest.raises(InvalidInput, match=text):
        read(payload, *outputs)


def test_another_encoding_is_refused():
    with pytest.raises(InvalidInput, match="send a JPEG"):
        read(encode_jpeg(FRAME), encoding=edge_pb2.ENCODING_MAP)

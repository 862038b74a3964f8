"""Inputs that are no pictures as they are written: what a reader gets is in tests/models/inputs/test_payload.py."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2
from infilink.protos.payloads import quantized, write_array_payload, write_parts


def test_an_array_says_what_it_is() -> None:
    message = edge_pb2.ArrayPayload.FromString(write_array_payload(np.arange(6, dtype=">i2").reshape(2, 3)))
    assert list(message.shape) == [2, 3] and message.dtype == "int16" and message.scale == 0
    assert message.value == np.arange(6, dtype="<i2").tobytes()


def test_an_array_of_what_does_not_travel_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"`payload.dtype`: 'float64' is none of"):
        write_array_payload(np.zeros(2))
    with pytest.raises(InvalidInput, match="not as 'int32'"):
        quantized(np.zeros(2, np.float32), "int32")


def test_an_empty_array_is_quantized_too() -> None:
    assert list(edge_pb2.ArrayPayload.FromString(quantized(np.zeros((0, 3), np.float32))).shape) == [0, 3]


def test_parts_keep_their_order() -> None:
    message = edge_pb2.Parts.FromString(write_parts([("b", edge_pb2.ENCODING_UTF8, b"1"), ("a", 4, b"2")]))
    assert [(part.name, part.payload) for part in message.parts] == [("b", b"1"), ("a", b"2")]

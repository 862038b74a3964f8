"""Inputs that are no pictures on the wire: what is written is read, and what is wrong is refused with the field."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from infilink.errors import InvalidInput
from infilink.outputs import Array
from infilink.protos import edge_pb2
from infilink.protos.payloads import DTYPES, MOST_PARTS, quantized, read_payload, write_array_payload, write_parts

JPEG, UTF8, ARRAY, PARTS = (getattr(edge_pb2, f"ENCODING_{name}") for name in ("JPEG", "UTF8", "ARRAY", "PARTS"))
VALUES = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


def picture(payload: bytes) -> Array:
    """Stands for the decoder: a picture as large as its bytes say."""
    return np.full((len(payload), 2, 3), payload[0], np.uint8)


def array(**fields: object) -> bytes:
    return edge_pb2.ArrayPayload(**fields).SerializeToString()


def read(encoding: int, payload: bytes) -> Array:
    return read_payload(encoding, payload, decode_picture=picture)


@given(VALUES)
def test_an_array_survives(value: Array) -> None:
    found = read(ARRAY, write_array_payload(value))
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


@given(arrays.arrays(np.float32, (7, 3), elements=st.floats(-1e4, 1e4, width=32)), st.sampled_from(["int8", "int16"]))
def test_quantized_floats_are_as_near_as_their_steps(value: Array, kind: str) -> None:
    found = read(ARRAY, quantized(value, kind))
    step = max((float(value.max()) - float(value.min())) / (2 ** (8 if kind == "int8" else 16) - 1), 1e-9)
    assert found.dtype == np.float32 and float(np.abs(found - value).max()) <= step + 1e-2


@given(st.text())
def test_a_text_is_its_bytes(text: str) -> None:
    assert read(UTF8, text.encode()).tobytes().decode() == text


def test_parts_with_names_are_fields_and_frames_without_a_window() -> None:
    sound = np.arange(5, dtype=np.int16)
    value = read(PARTS, write_parts([("sound", ARRAY, write_array_payload(sound)), ("words", UTF8, b"hi")]))
    assert value.dtype.names == ("sound", "words") and value.shape == ()
    np.testing.assert_array_equal(value["sound"], sound)
    assert value["words"].tobytes() == b"hi"
    frames = read(PARTS, write_parts([("", JPEG, b"\1\1"), ("", JPEG, b"\2\2")]))
    assert frames.shape == (2, 2, 2, 3) and frames[1].max() == 2


@pytest.mark.parametrize(
    ("encoding", "payload", "said"),
    [
        (UTF8, b"caf\xe9", "no UTF-8.*byte 3"),
        (ARRAY, b"\xff\xff", "no ArrayPayload"),
        (ARRAY, array(shape=[2], dtype="float32", value=b"12345"), "payload.shape"),
        (
            ARRAY,
            array(shape=[1], dtype="object", value=b"12345678"),
            "payload.dtype",
        ),
        (ARRAY, array(shape=[1], dtype="int8", value=b"1", scale=np.inf), "scale"),
        (ARRAY, array(shape=[1], dtype="float16", value=b"12", scale=2), "whole"),
        (PARTS, b"", "1 to 64"),
        (PARTS, write_parts([("", UTF8, b"a")] * (MOST_PARTS + 1)), "1 to 64, not 65"),
        (PARTS, write_parts([("a", UTF8, b"a"), ("", UTF8, b"b")]), "each its own"),
        (PARTS, write_parts([("a", UTF8, b"a"), ("a", UTF8, b"b")]), "each its own"),
        (PARTS, write_parts([("", UTF8, b"a"), ("", UTF8, b"bc")]), "one size"),
        (PARTS, write_parts([("a", PARTS, write_parts([("b", UTF8, b"")]))]), "'a'.*`encoding`: 7"),
        (99, b"", "`encoding`: 99"),
    ],
)
def test_what_is_wrong_is_named(encoding: int, payload: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(encoding, payload)

"""Inputs are checked before anything works on them: pictures by size, outputs of devices by model, kind and values."""

import asyncio
import struct
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.config import CloudConfig
from infilink.cloud.runtime.input_pool import InputPool
from infilink.cloud.sessions.decoding import decode_payload
from infilink.cloud.sessions.inputs import read_input, read_local_outputs
from infilink.cloud.sessions.jpeg import decode_jpeg, open_picture, picture_form
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.models.inputs.form import PICTURES
from infilink.models.spec import parse_spec
from infilink.outputs import Array
from infilink.protos import edge_pb2

CONFIG = CloudConfig(models=Path("models"), max_input_bytes=1024)
FRAME = np.full((16, 24, 3), 90, np.uint8)
LARGE = edge_pb2.Output(model="m", value=bytes(900))
OUTPUTS: dict[str, dict[str, Any]] = {
    "boxes": {"kind": "boxes", "classes": ["car"]},
    "mask": {"kind": "mask"},
    "words": {"kind": "tokens", "length": 9},
}
SPECS = {
    name: parse_spec({"name": name, "input": {"size": [32, 32]}, "output": output}, where=name)
    for name, output in OUTPUTS.items()
}
LOCAL = dict.fromkeys(SPECS, "d")


def read(payload: bytes, *outputs: edge_pb2.Output, encoding: edge_pb2.Encoding = edge_pb2.ENCODING_JPEG):
    given = edge_pb2.Input(payload=payload, encoding=encoding, outputs=outputs)
    held = asyncio.run(read_input(given, PICTURES, None, CONFIG, InputPool(2**20)))
    return None if held is None else np.array(held.frame)


def jpeg(width, height, *options):
    return cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8), list(options))[1].tobytes()


def message(name: str, value: Array, **changed: Any) -> edge_pb2.Output:
    fields = {"model": name, "digest": "d", "kind": SPECS[name].output.kind, "dtype": value.dtype.name}
    return edge_pb2.Output(**{**fields, "shape": value.shape, "value": value.tobytes(), **changed})


def a_box(**changed: float) -> Array:
    box = {"x1": 0.1, "y1": 0.1, "x2": 0.2, "y2": 0.2, "score": 0.9, "class": 0.0, **changed}
    return np.asarray([list(box.values())], np.float32)


def test_a_picture_with_or_without_outputs_and_outputs_alone():
    small = edge_pb2.Output(model="m", value=bytes(4))
    for found in (read(encode_jpeg(FRAME)), read(encode_jpeg(FRAME), small)):
        np.testing.assert_allclose(found, FRAME, atol=3)
    assert read(b"", LARGE) is None
    assert read(b"", LARGE, encoding=edge_pb2.ENCODING_UNSPECIFIED) is None


@pytest.mark.parametrize(
    ("payload", "outputs", "text"),
    [
        (b"", [], "no JPEG"),
        (bytes(1025), [], "1025 bytes; at most 1024"),
        (bytes(200), [LARGE], "1100 bytes; at most 1024"),
        (b"", [LARGE, LARGE], "1800 bytes; at most 1024"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(payload, outputs, text):
    with pytest.raises(InvalidInput, match=text):
        read(payload, *outputs)


def test_another_encoding_is_refused():
    with pytest.raises(InvalidInput, match="send a JPEG"):
        read(encode_jpeg(FRAME), encoding=edge_pb2.ENCODING_MAP)


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_QUALITY, 1)])
def test_the_size_in_the_header_is_that_of_the_picture(options):
    assert picture_form(jpeg(67, 31, *options), max_pixels=2**16)[:2] == (67, 31)
    assert decode_jpeg(jpeg(67, 31, *options)).shape == (31, 67, 3)


def test_a_huge_picture_is_refused_undecoded():
    bomb = bytearray(jpeg(64, 64))
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    with pytest.raises(InvalidInput, match="65000x65000"):
        picture_form(bytes(bomb), max_pixels=2**25)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_picture_or_invalid(data, begins_well):
    jpeg = (b"\xff\xd8" if begins_well else b"") + data
    for look in (decode_jpeg, partial(picture_form, max_pixels=1000)):
        with pytest.raises(InvalidInput):
            look(jpeg)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boxes", a_box()),
        ("boxes", np.zeros((0, 6), np.float32)),
        ("mask", np.full((4, 6), 0.5, np.float32)),
        ("words", np.asarray([3, 8], np.int64)),
        ("words", np.zeros(0, np.int64)),
    ],
)
def test_an_output_that_its_model_can_give_is_taken_as_it_is(name: str, value: Array) -> None:
    (found,) = read_local_outputs([message(name, value)], LOCAL, SPECS).values()
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("boxes", np.repeat(a_box(), 4097, axis=0), "4097 boxes are more than 4096"),
        ("boxes", a_box(**{"class": 1.0}), "class indices must be whole numbers from 0 to 0"),
        ("boxes", np.zeros((1, 5), np.float32), "must have shape"),
        ("mask", np.zeros((0, 5), np.float32), "has no pixels"),
        ("mask", np.zeros(5, np.float32), "must have shape"),
        ("words", np.asarray([9], np.int64), "ids must be whole numbers from 0 to 8"),
        ("words", np.zeros(4097, np.int64), "4097 tokens are more than 4096"),
        ("words", np.zeros(2, np.float32), "in 'float32', not 'tokens' in 'int64'"),
    ],
)
def test_an_output_that_it_cannot_give_is_refused_by_name(name: str, value: Array, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{name}: .*{text}"):
        read_local_outputs([message(name, value)], LOCAL, SPECS)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ([message("boxes", a_box(), model="cats")], r"'cats', which the device did not say it runs \(it runs: boxes, "),
        ([message("boxes", a_box(), digest="e")], "'boxes' with digest 'e', not 'd'"),
        ([message("boxes", a_box()), message("boxes", a_box())], "two outputs of 'boxes'"),
    ],
    ids=["another model", "another version", "twice"],
)
def test_outputs_of_models_that_the_device_did_not_name_are_refused(outputs, text):
    with pytest.raises(InvalidInput, match=text):
        read_local_outputs(outputs, LOCAL, SPECS)


def test_large_pictures_wait_for_each_other_before_they_take_a_turn_and_small_ones_for_none() -> None:
    large, small = encode_jpeg(np.zeros((2048, 2048, 3), np.uint8)), encode_jpeg(np.zeros((200, 200, 3), np.uint8))

    async def story() -> None:
        pool, go, turns = InputPool(2**28), asyncio.Event(), list[str]()

        def read(name: str, jpeg: bytes, wait: asyncio.Event | None = None, *, is_urgent: bool = False):
            async def ready() -> None:
                turns.append(name)
                if wait is not None:
                    await wait.wait()

            return asyncio.create_task(
                decode_payload(open_picture(jpeg, 2**23), pool, is_urgent=is_urgent, ready=ready)
            )

        first = read("first", large, go)
        second = read("second", large)
        await read("small", small)
        await read("urgent", large, is_urgent=True)
        assert turns == ["first", "small", "urgent"]
        go.set()
        await asyncio.gather(first, second)
        assert turns[3:] == ["second"] and not pool.large(()).locked()

    asyncio.run(story())


def test_large_pictures_for_a_model_whose_turn_does_not_come_hold_up_none_for_others() -> None:
    jpeg = encode_jpeg(np.zeros((2048, 2048, 3), np.uint8))

    async def story() -> None:
        pool, go, waits, turns = InputPool(2**28), asyncio.Event(), asyncio.Event(), list[str]()

        def read(*models: str):
            async def ready() -> None:
                turns.append(models[0])
                if models[0] == "hangs":
                    waits.set()
                    await go.wait()

            return asyncio.create_task(decode_payload(open_picture(jpeg, 2**23), pool, ready=ready, models=models))

        hanging = [read("hangs", "works"), read("hangs", "works")]
        await waits.wait()
        assert (await read("works")).frame.shape == (2048, 2048, 3)
        assert turns == ["hangs", "works"], "the second of a set waits for the first"
        go.set()
        await asyncio.gather(*hanging)

    asyncio.run(story())

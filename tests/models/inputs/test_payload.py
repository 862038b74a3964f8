"""Inputs that are no pictures as they come: what was written is read, and what is wrong is refused with the field."""

import asyncio
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from infilink.cloud.config import CloudConfig
from infilink.cloud.runtime.input_pool import InputPool
from infilink.cloud.sessions.inputs import read_input
from infilink.cloud.sessions.jpeg import open_picture
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.payload import Limits, open_payload
from infilink.outputs import Array
from infilink.protos import edge_pb2
from infilink.protos.payloads import DTYPES, MOST_PARTS, quantized, write_array_payload, write_parts
from infilink.protos.sounds import write_flac, write_opus

JPEG, UTF8, ARRAY, FLAC, OPUS, PARTS = (
    getattr(edge_pb2, f"ENCODING_{name}") for name in ("JPEG", "UTF8", "ARRAY", "FLAC", "OPUS", "PARTS")
)
LIMITS = Limits(bytes=2**16, pixels=2**14)
TEXT, SIGNAL, MAP = (InputForm(modality=kind) for kind in ("text", "signal", "map"))
SOUND, WINDOW = InputForm(modality="audio", rate_hz=8000), InputForm(modality="video", window=2, stride=1)
BOTH = InputForm(modality="audio+text", parts={"sound": SOUND, "words": TEXT})
TONE = np.arange(-800, 800, dtype=np.int16)
VALUES = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


def jpeg(level: int, width: int = 8, height: int = 6) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))[1])


def array(**fields: Any) -> bytes:
    return edge_pb2.ArrayPayload(**fields).SerializeToString()


def read(encoding: int, payload: bytes, form: InputForm) -> Array:
    opened = open_payload(encoding, payload, form, LIMITS, open_picture)
    found = np.zeros(opened.shape, opened.dtype)
    assert found.nbytes == opened.size_bytes
    opened.read(found)
    return found


@given(VALUES)
def test_an_array_survives(value: Array) -> None:
    found = read(ARRAY, write_array_payload(value), MAP)
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


@given(arrays.arrays(np.float32, (7, 3), elements=st.floats(-1e4, 1e4, width=32)), st.sampled_from(["int8", "int16"]))
def test_quantized_floats_are_as_near_as_their_steps(value: Array, kind: str) -> None:
    found = read(ARRAY, quantized(value, kind), SIGNAL)
    step = max((float(value.max()) - float(value.min())) / (2 ** (8 if kind == "int8" else 16) - 1), 1e-9)
    assert found.dtype == np.float32 and float(np.abs(found - value).max()) <= step + 1e-2


@given(st.text())
def test_a_text_is_its_bytes(text: str) -> None:
    assert read(UTF8, text.encode(), TEXT).tobytes().decode() == text


def test_a_sound_is_its_samples_however_it_came() -> None:
    for encoding, payload in ((FLAC, write_flac(TONE, 8000)), (ARRAY, write_array_payload(TONE))):
        np.testing.assert_array_equal(read(encoding, payload, SOUND), TONE)
    assert read(OPUS, write_opus(TONE, 8000), SOUND).shape == TONE.shape


def test_a_window_is_its_frames() -> None:
    found = read(PARTS, write_parts([("", JPEG, jpeg(20)), ("", JPEG, jpeg(200))]), WINDOW)
    assert found.shape == (2, 6, 8, 3) and abs(int(found[0].mean()) - 20) < 3 and abs(int(found[1].mean()) - 200) < 3


def test_an_input_of_several_kinds_has_a_field_for_each() -> None:
    payload = write_parts([("sound", FLAC, write_flac(TONE, 8000)), ("words", UTF8, b"hi")])
    value = read(PARTS, payload, BOTH)
    assert value.dtype.names == ("sound", "words") and value.shape == ()
    np.testing.assert_array_equal(value["sound"], TONE)
    assert value["words"].tobytes() == b"hi"


@pytest.mark.parametrize(
    ("encoding", "payload", "form", "said"),
    [
        (UTF8, b"caf\xe9", TEXT, "no UTF-8.*byte 3"),
        (ARRAY, b"\xff\xff", SIGNAL, "no ArrayPayload"),
        (ARRAY, array(shape=[2], dtype="float32", value=b"12345"), SIGNAL, "payload.shape"),
        (ARRAY, array(shape=[1], dtype="object", value=b"12345678"), SIGNAL, "payload.dtype"),
        (ARRAY, array(shape=[0, 2**31, 2**31, 2**31], dtype="int8"), SIGNAL, "payload.shape"),
        (ARRAY, array(shape=[1] * 9, dtype="int8", value=b"1"), SIGNAL, "at most 8 dimensions, not 9"),
        (ARRAY, array(shape=[1], dtype="int8", value=b"1", scale=np.inf), SIGNAL, "scale"),
        (ARRAY, array(shape=[1], dtype="float16", value=b"12", scale=2), SIGNAL, "whole"),
        (UTF8, b"hi", SOUND, "`encoding`: UTF8 is not for inputs of audio: send ARRAY, FLAC, OPUS"),
        (99, b"", TEXT, "`encoding`: 99 is not for inputs of text"),
        (FLAC, write_flac(TONE, 16000), SOUND, "16000 Hz, and the stream has 8000 Hz.*form.rate_hz"),
        (OPUS, write_opus(TONE, 16000), SOUND, "16000 Hz, and the stream has 8000 Hz"),
        (FLAC, write_flac(TONE, 8000), InputForm(modality="audio", window=9, stride=9), "1600 samples.*`form.window`"),
        (FLAC, write_flac(np.zeros(2**15 + 1, np.int16), 8000), SOUND, "32769 samples.*32768.*max_input_bytes"),
        (OPUS, write_opus(np.zeros(2**15 + 1, np.int16), 8000), SOUND, "32769 samples.*max_input_bytes"),
        (PARTS, b"", WINDOW, "1 to 64"),
        (PARTS, write_parts([("", JPEG, b"a")] * (MOST_PARTS + 1)), WINDOW, "1 to 64, not 65"),
        (PARTS, write_parts([("a", JPEG, jpeg(1))]), WINDOW, "JPEGs without names"),
        (PARTS, write_parts([("", UTF8, b"a")]), WINDOW, "JPEGs without names"),
        (PARTS, write_parts([("", JPEG, jpeg(1)), ("", JPEG, jpeg(1, 9))]), WINDOW, "one size, not 8x6, 9x6"),
        (PARTS, write_parts([("", JPEG, jpeg(1, 128, 100))] * 2), WINDOW, "more than 8192 pixels"),
        (PARTS, write_parts([("sound", ARRAY, b"")]), BOTH, "has the parts sound, words, in this order, not 'sound'"),
        (PARTS, write_parts([("words", UTF8, b""), ("sound", ARRAY, b"")]), BOTH, "in this order"),
        (PARTS, write_parts([("sound", PARTS, b""), ("words", UTF8, b"")]), BOTH, "'sound': `encoding`: PARTS"),
        (PARTS, write_parts([("sound", ARRAY, array()), ("words", UTF8, b"")]), BOTH, "'sound': `payload.dtype`"),
    ],
)
def test_what_is_wrong_is_named(encoding: int, payload: bytes, form: InputForm, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(encoding, payload, form)


def test_a_window_may_not_take_more_than_one_picture_may() -> None:
    frames = [("", JPEG, jpeg(1, 64, 64))] * 4
    assert read(PARTS, write_parts(frames), WINDOW).shape == (4, 64, 64, 3)
    with pytest.raises(InvalidInput, match="more than 3276 pixels"):
        read(PARTS, write_parts([*frames, frames[0]]), WINDOW)


def test_the_pictures_and_sounds_of_several_parts_may_not_take_more_than_those_of_one() -> None:
    seen = InputForm(modality="image+image", parts={"left": InputForm(), "right": InputForm()})
    both = [("left", JPEG, jpeg(1, 128, 64)), ("right", JPEG, jpeg(2, 128, 64))]
    assert read(PARTS, write_parts(both), seen)["right"].shape == (64, 128, 3)
    with pytest.raises(InvalidInput, match="'right': the picture is 128x65, more than 8192 pixels"):
        read(PARTS, write_parts([both[0], ("right", JPEG, jpeg(2, 128, 65))]), seen)
    heard = InputForm(modality="audio+audio", parts={"near": SOUND, "far": SOUND})
    half, more = (write_flac(np.zeros(samples, np.int16), 8000) for samples in (2**14, 2**14 + 1))
    assert read(PARTS, write_parts([("near", FLAC, half), ("far", FLAC, half)]), heard)["far"].shape == (2**14,)
    with pytest.raises(InvalidInput, match="'far': `payload`: is flac of 16385 samples, more than the 16384"):
        read(PARTS, write_parts([("near", FLAC, half), ("far", FLAC, more)]), heard)


@pytest.mark.parametrize("before", [0, 65_534, 65_535, 70_000])
def test_where_a_long_text_is_no_text_is_said_and_a_character_may_lie_anywhere(before: int) -> None:
    text = "x" * before + "\u20ac" + "y" * 70_000
    assert read(UTF8, text.encode(), TEXT).tobytes() == text.encode()
    for bad, why in ((b"\xff", "invalid start byte"), (b"\xe2\x82", "unexpected end of data")):
        with pytest.raises(InvalidInput, match=f"no UTF-8: {why} at byte {before}$"):
            read(UTF8, b"x" * before + bad, TEXT)


@pytest.mark.parametrize("samples", [10, 40_000])
def test_an_input_is_read_where_models_see_it_and_gives_its_room_back(samples: int) -> None:
    """Whatever its size: here, or beside the event loop."""

    async def story() -> None:
        pool, config = InputPool(2**24), CloudConfig(models="models")
        sound = np.random.default_rng(0).integers(-900, 900, samples).astype(np.int16)
        for encoding, payload in ((FLAC, write_flac(sound, 8000)), (ARRAY, write_array_payload(sound))):
            message = edge_pb2.Input(encoding=encoding, payload=payload)
            held = await read_input(message, SOUND, None, config, pool)
            assert held is not None
            np.testing.assert_array_equal(held.frame, sound)
            del held
            assert pool.stats().held_bytes == 0
        bad = edge_pb2.Input(encoding=FLAC, payload=write_flac(sound, 8000)[:-3])
        with pytest.raises(InvalidInput, match="flac"):
            await read_input(bad, SOUND, None, config, pool)
        short = edge_pb2.Input(encoding=ARRAY, payload=write_array_payload(sound[:0]))
        with pytest.raises(InvalidInput, match="holds nothing"):
            await read_input(short, SOUND, None, config, pool)
        await asyncio.sleep(0)
        assert pool.stats().held_bytes == 0
        pool.close()

    asyncio.run(story())


def test_a_large_input_of_several_kinds_keeps_its_parts_where_models_see_it() -> None:
    async def story() -> None:
        pool = InputPool(2**24)
        sound = np.arange(30_000, dtype=np.int16)
        payload = write_parts([("sound", ARRAY, write_array_payload(sound)), ("words", UTF8, b"one two")])
        message = edge_pb2.Input(encoding=PARTS, payload=payload)
        held = await read_input(message, BOTH, None, CloudConfig(models="models"), pool)
        assert held is not None
        (sent,) = held.sent.values()
        assert [name for name, *_ in sent.dtype] == ["sound", "words"]
        np.testing.assert_array_equal(held.frame["sound"], sound)

    asyncio.run(story())

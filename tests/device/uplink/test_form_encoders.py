"""Inputs that are no single pictures: what the coordinator reads of their payloads is what they were."""

import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.device.sources.base import Input
from infilink.device.uplink.form_encoders import form_encoder
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.joint import join
from infilink.models.inputs.payload import open_payload
from infilink.protos import edge_pb2

RANDOM = np.random.default_rng(3)
SOUND = InputForm(modality="audio", rate_hz=16000, window=1600, stride=1600)
SIGNAL = InputForm(modality="signal", rate_hz=32, window=8, stride=4, channels=("x", "y"))
TEXT = InputForm(modality="text")
MAP = InputForm(modality="map")
VIDEO = InputForm(modality="video", window=3, stride=1)
TWO = InputForm(modality="audio+text", parts={"heard": SOUND, "said": TEXT})

SAMPLES = (3000 * np.sin(np.arange(1600) / 9)).astype(np.int16)
NUMBERS = RANDOM.normal(0, 2, (8, 2)).astype(np.float32)
WORDS = np.frombuffer("win a prize: ångström".encode(), np.uint8)


def read(form: InputForm, value: np.ndarray, encoding: str = "auto") -> tuple[int, int, np.ndarray]:
    """The encoding, the payload's size, and what is read of it."""
    encoder = form_encoder(form, encoding=encoding, quality=90)
    assert encoder.gate_input(value) is value
    encoding, payload = encoder.encode(Input(0, 0.0, value))
    opened = open_payload(encoding, payload, form)
    found = np.zeros(opened.shape, opened.dtype)
    opened.read(found)
    form.check(found)
    return encoding, len(payload), found


@pytest.mark.parametrize(
    ("form", "value", "encoding"),
    [
        (TEXT, WORDS, "auto"),
        (SIGNAL, NUMBERS, "auto"),
        (SIGNAL, NUMBERS, "raw"),
        (MAP, RANDOM.normal(0, 1, (2, 3, 4)).astype(np.float32), "auto"),
        (SOUND, SAMPLES, "auto"),
        (SOUND, SAMPLES, "raw"),
    ],
)
def test_what_is_exact_comes_as_it_was(form: InputForm, value: np.ndarray, encoding: str) -> None:
    _, _, found = read(form, value, encoding)
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


def test_numbers_may_be_rounded_to_fewer_bits() -> None:
    span = float(NUMBERS.max() - NUMBERS.min())
    for encoding, steps in (("int16", 2**16 - 1), ("int8", 2**8 - 1)):
        _, size_bytes, found = read(SIGNAL, NUMBERS, encoding)
        assert np.abs(found - NUMBERS).max() <= span / steps
        assert size_bytes < read(SIGNAL, NUMBERS)[1]


def test_sounds_of_floats_travel_as_whole_numbers_of_16_bits() -> None:
    encoding, _, found = read(SOUND, SAMPLES.astype(np.float32) / 2**15)
    assert encoding == edge_pb2.ENCODING_FLAC
    np.testing.assert_array_equal(found, SAMPLES)
    # What is louder than can be is cut, not turned round.
    assert read(SOUND, np.full(1600, 1.5, np.float32))[2].min() == 2**15 - 1


def test_opus_sounds_alike_and_takes_less() -> None:
    encoding, size_bytes, found = read(SOUND, SAMPLES, "opus")
    assert encoding == edge_pb2.ENCODING_OPUS and found.shape == SAMPLES.shape
    assert size_bytes < read(SOUND, SAMPLES, "raw")[1] / 4


def test_a_sound_without_a_rate_travels_as_numbers() -> None:
    assert read(InputForm(modality="audio"), SAMPLES)[0] == edge_pb2.ENCODING_ARRAY


def test_a_window_of_video_is_a_picture_after_the_other() -> None:
    window = np.stack([np.full((16, 24, 3), 80 * i, np.uint8) for i in range(3)])
    encoding, _, found = read(VIDEO, window)
    assert encoding == edge_pb2.ENCODING_PARTS
    assert np.abs(found.astype(int) - window).max() <= 2
    assert encode_jpeg(window[1], 90) in form_encoder(VIDEO, encoding="auto", quality=90).encode_alone(window)


@pytest.mark.parametrize("encoding", ["auto", "raw", "flac"])
def test_each_part_travels_as_its_kind_does(encoding: str) -> None:
    _, _, found = read(TWO, join(heard=SAMPLES, said=WORDS), encoding)
    np.testing.assert_array_equal(found["heard"], SAMPLES)
    np.testing.assert_array_equal(found["said"], WORDS)


@pytest.mark.parametrize(
    ("form", "encoding", "said"),
    [
        (TEXT, "flac", "inputs of text travel as they are"),
        (SIGNAL, "opus", "travel as auto, int16, int8, raw"),
        (VIDEO, "raw", "inputs of video travel as they are"),
        (TWO, "int8", "travel as auto, flac, opus, raw"),
        (InputForm(modality="audio", rate_hz=44100), "opus", r"8000, .* and this sound has 44100: set `cut.rate_hz`"),
    ],
)
def test_an_encoding_that_is_for_other_inputs_is_refused(form: InputForm, encoding: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        form_encoder(form, encoding=encoding, quality=90)

"""An input of any form comes back from a recording as it would travel."""

import numpy as np
import pytest
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.errors import InvalidInput
from infilink.models.inputs.form import PICTURES, InputForm
from infilink.traces.stored import kept_as, restore, store

RANDOM = np.random.default_rng(0)
PICTURE = np.full((24, 32, 3), 90, np.uint8)
SOUND = RANDOM.integers(-(2**15), 2**15, 400).astype(np.int16)
SIGNAL = RANDOM.standard_normal((16, 3)).astype(np.float32)
TEXT = np.frombuffer("grüße\tan alle".encode(), np.uint8)
AUDIO_FORM = InputForm(modality="audio", rate_hz=8000)
SIGNAL_FORM = InputForm(modality="signal", rate_hz=32, window=16, stride=16)
TEXT_FORM = InputForm(modality="text")
VIDEO_FORM = InputForm(modality="video", window=3, stride=1)


@pytest.mark.parametrize(("value", "form"), [(SOUND, AUDIO_FORM), (SIGNAL, SIGNAL_FORM), (TEXT, TEXT_FORM)])
def test_what_is_no_picture_comes_back_as_it_was(value, form):
    back = restore(store(value, form), kept_as(form))
    assert back.dtype == value.dtype and np.array_equal(back, value)


def test_a_picture_comes_back_as_jpeg_made_it():
    assert kept_as(PICTURES) == "image"
    assert np.array_equal(restore(store(PICTURE, PICTURES), "image"), decode_jpeg(encode_jpeg(PICTURE)))


def test_a_window_of_frames_comes_back_frame_by_frame():
    window = np.stack([PICTURE + 10 * i for i in range(12)])
    payload = store(window, VIDEO_FORM.model_copy(update={"window": 12}))
    back = restore(payload, "parts")
    assert back.shape == window.shape and back.dtype == np.uint8
    assert all(np.array_equal(one, decode_jpeg(encode_jpeg(other))) for one, other in zip(back, window, strict=True))
    assert len(payload) < window.nbytes


def test_a_joint_input_comes_back_part_by_part_in_its_order():
    form = InputForm(
        modality="video+text+audio+image",
        parts={"cam": VIDEO_FORM, "caption": TEXT_FORM, "mic": AUDIO_FORM, "still": PICTURES},
    )
    values = {"cam": np.stack([PICTURE] * 3), "caption": TEXT, "mic": SOUND, "still": PICTURE}
    joined = np.zeros((), [(name, each.dtype, each.shape) for name, each in values.items()])
    for name, each in values.items():
        joined[name] = each
    back = restore(store(joined, form), kept_as(form))
    form.check(back)
    assert back.dtype.names == tuple(values)
    assert np.array_equal(back["mic"], SOUND) and back["caption"].tobytes() == TEXT.tobytes()
    assert back["cam"].shape == (3, 24, 32, 3)


@pytest.mark.parametrize("payload", [b"", b"PK\x03\x04nothing", b"\x93NUMPY"])
def test_damaged_bytes_are_told(payload):
    for kept in ("image", "array", "parts"):
        with pytest.raises(InvalidInput, match=f"{len(payload)} bytes are no readable"):
            restore(payload, kept)

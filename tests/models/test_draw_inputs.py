"""Inputs of every kind as pictures that a person can look at."""

from pathlib import Path

import numpy as np
import pytest
from infilink.models.draw import COLORS
from infilink.models.draw_inputs import picture_of
from infilink.models.inputs.audio import AudioInput
from infilink.models.inputs.signal import SignalInput
from infilink.models.inputs.text import TextInput, from_text
from infilink.models.sheet import Seen, draw_sheet, settings_of
from infilink.models.spec import read_spec

from .inputs.kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_a_picture_and_a_sheet_says_how_it_is_fed(tmp_path: Path, name: str) -> None:
    random, spec = np.random.default_rng(1), read_spec(KINDS[name].save(tmp_path))
    values = [KINDS[name].draw(random), *spec.fed.samples()]
    pictures = [picture_of(value, spec.fed) for value in values]
    for picture in pictures:
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size
    told = settings_of(spec)[1]
    assert told.startswith(f"fed {spec.fed.told()}")
    sheet = draw_sheet(spec, [Seen(0.0, picture, None, "nothing was said") for picture in pictures])
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 1304


def test_a_wave_is_high_where_the_sound_is_and_silence_is_flat() -> None:
    fed = AudioInput(modality="audio", rate_hz=8000)
    value = np.zeros(8000, np.int16)
    value[4000:] = np.where(np.arange(4000) % 2, 20000, -20000)
    ink = (picture_of(value, fed) == COLORS[0]).all(axis=2)
    heights = ink[:, 100:].sum(axis=0)
    assert (heights[: 320 - 101] <= 2).all() and (heights[320 - 99 :] > 100).all()
    assert picture_of(np.full(5, 0.5, np.float32), fed).size, "all the same"


def test_every_channel_has_its_colour() -> None:
    fed = SignalInput(modality="signal", channels=("x", "y"))
    picture = picture_of(np.array([[0, 1]] * 50, np.float32), fed)
    rows = [np.flatnonzero((picture == color).all(axis=2)[:, 300]) for color in COLORS[:2]]
    assert rows[0].min() > rows[1].max(), "the larger above"


def test_a_long_text_is_cut() -> None:
    fed = TextInput(modality="text")
    short, long = (picture_of(from_text(text), fed) for text in ("Größe 😀", "word " * 5000))
    assert short.shape[0] < 40 and long.shape[0] < 300

"""Small models, and streams to try them on, made of a dataset's folder."""

import wave
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.examples.datasets import digits, motion
from infilink.examples.datasets.learner import shares
from infilink.models.onnx_model import OnnxModel


def write_sound(path: Path, pitch_hz: float) -> None:
    times = np.arange(1600) / digits.RATE_HZ
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(digits.RATE_HZ)
        file.writeframes((8000 * np.sin(2 * np.pi * pitch_hz * times)).astype("<i2").tobytes())


def test_spoken_digits_become_models_that_hear_and_folders_of_sounds(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(60):
        for digit, pitch_hz in (("0", 300.0), ("1", 1200.0)):
            write_sound(folder / f"{digit}_ann_{number}.wav", pitch_hz + number)
    digits.prepare(folder, tmp_path / "out", epochs=30)
    assert len(list((tmp_path / "out" / "learn").iterdir())) == 43
    names = sorted(path.name for path in (tmp_path / "out" / "live").iterdir())
    assert len(names) == 29 and names[0].startswith("0000_")
    assert {name.split("_")[1] for name in names[:12]} == {"0", "1"}, "in an order that is drawn"
    model = OnnxModel(tmp_path / "out" / "models" / "digit.onnx")
    assert model.spec.output.classes == ("0", "1") and model.spec.modality == "audio"
    sound = digits.heard(next(folder.glob("1_*.wav")))
    assert model.infer(sound).argmax() == 1 and model.infer(sound[:900]).shape == (2,)
    assert "digit: right on" in capsys.readouterr().out


def test_a_wrists_motion_becomes_models_and_two_streams(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for activity, period in (("Walk", 8), ("Comb_hair", 40)):
        (tmp_path / "data" / activity).mkdir(parents=True)
        for number in range(8):
            steps = 32 + 12 * np.sin(2 * np.pi * np.arange(200)[:, None] / period) + random.normal(0, 2, (200, 3))
            np.savetxt(tmp_path / "data" / activity / f"2011-{number}.txt", steps.round(), fmt="%d")
    motion.prepare(tmp_path / "data", tmp_path / "out")
    learn = np.loadtxt(tmp_path / "out" / "learn.csv", delimiter=",", skiprows=1)
    assert (tmp_path / "out" / "learn.csv").read_text().startswith("time_s,x,y,z\n")
    assert np.diff(learn[:, 0]) == pytest.approx(1 / motion.RATE_HZ, abs=2e-5)
    assert np.abs(learn[:, 1:]).max() <= 1.5
    assert len(learn) + len(np.loadtxt(tmp_path / "out" / "live.csv", delimiter=",", skiprows=1)) == 2 * 5 * 200
    window = learn[: motion.STEPS, 1:].astype(np.float32)
    model = OnnxModel(tmp_path / "out" / "models" / "walking.onnx")
    assert model.spec.output.classes == ("no", "yes") and model.infer(window).shape == (2,)
    assert OnnxModel(tmp_path / "out" / "models" / "activity.onnx").spec.output.classes == ("Comb_hair", "Walk")


def test_another_folder_is_told_from_the_dataset(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds 0 recordings called DIGIT_SPEAKER_NUMBER"):
        digits.prepare(tmp_path, tmp_path / "out")
    with pytest.raises(InvalidInput, match="holds no folder of recordings for each activity"):
        motion.prepare(tmp_path, tmp_path / "out")


def test_parts_follow_one_another() -> None:
    assert shares(10, 0.4, 0.35, 0.25) == [slice(0, 4), slice(4, 8), slice(8, 10)]

"""A real model that hears sounds piece by piece and remembers, fed as the guide says."""

import re
import shutil
import wave
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from infilink.models.inputs.form import InputForm
from infilink.models.onnx_model import OnnxModel
from infilink.models.process import ModelProcess
from infilink.outputs import Array

GUIDE = (Path(__file__).parents[2] / "docs" / "MODELS.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def path(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vad")
    shutil.copy(data / "models" / "silero_vad.onnx", folder)
    spec = next(text for text in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL) if "stateN" in text)
    (folder / "silero_vad.toml").write_text(spec, encoding="utf-8")
    return folder / "silero_vad.onnx"


@pytest.fixture(scope="module")
def digits(data: Path) -> list[Array]:
    """Spoken digits: int16 at 8 kHz."""
    files = sorted((data / "audio" / "spoken_digits").glob("*.wav"))[::100]
    if not files:
        pytest.skip("no spoken digits: INFILINK_DATA has no audio/spoken_digits")
    return [read(file) for file in files]


def read(file: Path) -> Array:
    with wave.open(str(file)) as opened:
        return np.frombuffer(opened.readframes(opened.getnframes()), np.int16)


def test_somebody_speaks_in_every_digit_and_nobody_in_noise(path: Path, digits: list[Array]) -> None:
    model = OnnxModel(path)
    assert model.spec.fits(InputForm(modality="audio", rate_hz=8000, window=8000, stride=4000)) == ""
    heard = [float(model.infer(value)[0]) for value in digits]
    assert np.mean(np.array(heard) > 0.5) > 0.9, heard
    random = np.random.default_rng(0)
    for loudness in (0.0, 0.001, 0.02):
        noise = (loudness * random.standard_normal(8000)).astype(np.float32)
        assert model.infer(noise)[0] < 0.3


def test_it_says_what_it_says_when_it_is_fed_by_hand(path: Path, digits: list[Array]) -> None:
    session = ort.InferenceSession(str(path))
    with ModelProcess(path) as process:
        for value in digits[:3]:
            samples = np.pad(value.astype(np.float32) / 32768, (32, -len(value) % 256))
            state, most = np.zeros((2, 1, 128), np.float32), 0.0
            for at in range(32, len(samples), 256):
                piece = {"input": samples[None, at - 32 : at + 256], "state": state, "sr": np.array(8000)}
                said, state = session.run(None, piece)
                most = max(most, float(said[0, 0]))
            assert process.infer(value).value.tolist() == [pytest.approx(most, abs=1e-5)]

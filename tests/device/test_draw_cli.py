"""`infilink models draw`: frames spread over a clip, a picture a model, and a word on each."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from infilink.cli import build_app
from infilink.device.draw_cli import spread_inputs
from infilink.device.sources.base import Input
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm
from typer.testing import CliRunner

from ..models.inputs.kinds import KINDS
from ..models.made import write_nan_on_black
from .conftest import FRAMES, brightness


def draw(*arguments: object) -> tuple[int, str]:
    words = ["models", "draw", *map(str, arguments)]
    done = CliRunner().invoke(build_app(words), words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_a_picture_a_model_says_what_it_sees(video: Path, tiny_models: Path, tmp_path: Path) -> None:
    code, said = draw(tiny_models, "--source", video, "--out", tmp_path / "drawn")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["bright.jpg", "corner.jpg", "light.jpg"]
    assert f"wrote {tmp_path / 'drawn' / 'bright.jpg'}\n" in said
    assert "corner.jpg: 4 boxes on 4 of 6 frames\n" in said
    sheet = cv2.imread(str(tmp_path / "drawn" / "corner.jpg"))
    assert sheet is not None and sheet.shape == (3 * (480 + 22 + 8) + 8 + 2 * 22 + 8, 1304, 3)


@pytest.mark.parametrize("count", [1, 3, 6])
def test_frames_are_spread_over_the_clip(video: Path, count: int) -> None:
    _, frames = spread_inputs(str(video), count)
    middle = [(i + 0.5) / count * FRAMES for i in range(count)]
    assert [at_s * 10 for at_s, _ in frames] == pytest.approx(middle, abs=1)
    for at_s, frame in frames:
        assert frame.mean() == pytest.approx(brightness(round(at_s * 10)), abs=3)


def write_clip(path: Path, *grey: int) -> Path:
    """A clip at 10 frames a second, each frame of one grey."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for value in grey:
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    return path


def test_a_clip_of_few_frames_gives_each_once(tmp_path: Path) -> None:
    _, frames = spread_inputs(str(write_clip(tmp_path / "v.avi", 10, 90, 200)), 7)
    assert [at_s for at_s, _ in frames] == pytest.approx([0, 0.1, 0.2])
    assert [frame.mean() for _, frame in frames] == pytest.approx([10, 90, 200], abs=3)
    assert len(spread_inputs(str(write_clip(tmp_path / "1.avi", 10)), 1)[1]) == 1


def test_one_that_cannot_be_drawn_is_named_and_the_others_are_drawn(
    video: Path, tiny_models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(tiny_models / "bright.onnx", folder)
    (folder / "broken.onnx").write_bytes(b"no model")
    code, said = draw(folder, "--source", video, "--out", tmp_path, "--frames", 2, "--json")
    bright, broken = json.loads(said)["models"]
    assert code == 2 and Path(bright["picture"]).is_file() and "not an ONNX model" in broken["error"]
    code, said = draw(folder, "--source", video, "--out", tmp_path, "--frames", 2)
    assert code == 2 and "broken: not drawn: " in said


def test_a_frame_without_a_usable_output_is_counted(tmp_path: Path) -> None:
    night = write_nan_on_black(tmp_path / "night.onnx")
    night.with_suffix(".toml").write_text(
        "[input]\nsize = [16, 16]\nstd = [255]\n[output]\nkind = 'label'\nclasses = 2\n"
    )
    clip = write_clip(tmp_path / "v.avi", *[0] * 10, *[100] * 20)
    code, said = draw(tmp_path, "--source", clip, "--out", tmp_path, "--frames", 3)
    assert code == 0 and "no usable output for 1 of 3 inputs (night: a label output holds NaN or infinity)" in said


@pytest.mark.parametrize(
    ("folder", "source", "told"),
    [("none", "", "no such folder of models"), ("", "", "holds no .onnx"), ("m", "none.mp4", "there is no such file")],
)
def test_what_is_not_there_is_named(tmp_path: Path, tiny_models: Path, folder: str, source: str, told: str) -> None:
    (tmp_path / "m").mkdir()
    shutil.copy(tiny_models / "bright.onnx", tmp_path / "m")
    with pytest.raises(InvalidInput, match=told):
        draw(tmp_path / folder, "--source", tmp_path / source, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Sounds:
    """A source of short sounds, each louder than the one before, a second apart."""

    name, inputs_per_s, live, times = "sounds", 1.0, False, "read"
    form = InputForm(modality="audio", rate_hz=8000)

    input_count = None

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self):
        for i in range(self.count):
            yield Input(i, float(i), np.full(16, i / 100, np.float32), float(i))

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("count", [1, 3, 6, 23, 24, 25, 200, 10_000])
def test_inputs_that_are_no_pictures_are_spread_too(monkeypatch, count: int) -> None:
    monkeypatch.setattr("infilink.device.draw_cli.open_source", lambda *_, **__: Sounds(count))
    form, found = spread_inputs("sounds", 6)
    assert form == Sounds.form and len(found) == min(count, 6)
    times = [at_s for at_s, _ in found]
    assert times == sorted(set(times))
    if count > 6:
        read = min(count, 5001)
        expected = [(i + 0.5) / 6 * read for i in range(6)]
        assert times == pytest.approx(expected, abs=read / 10)


def test_models_that_look_at_something_else_are_left_out(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for kind in ("audio", "image"):
        KINDS[kind].save(tmp_path / "models")
    monkeypatch.setattr("infilink.device.draw_cli.open_source", lambda *_, **__: Sounds(9))
    code, said = draw(tmp_path / "models", "--source", "sounds", "--out", tmp_path / "drawn")
    assert code == 0 and [path.name for path in (tmp_path / "drawn").iterdir()] == ["audio.jpg"]
    assert "image: not drawn: it looks at image (`input.modality`), and these inputs are audio" in said

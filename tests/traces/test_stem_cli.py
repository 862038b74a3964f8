"""`infilink train stem`: from traces and a folder of models to one file, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.models.cost import ModelCost
from infilink.models.spec import digest, read_spec
from infilink.models.stem.stem import Stem
from infilink.traces.stem_cli import train_stem_command
from infilink.traces.trace import TraceInfo, TraceWriter

from ..models.stem import made

INPUTS = 48


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    made.plain(folder / "plain.onnx")
    return folder


def record(path: Path, models: Path, *, seed: int = 0, recorded: str = "") -> Path:
    """A camera before which bright squares come and go; the model's vector follows their number."""
    specs = {file.stem: read_spec(file) for file in models.glob("*.onnx")}
    digests = {name: recorded or digest(models / f"{name}.onnx") for name in specs}
    costs = {name: ModelCost(2**20, 0.01, 0.1) for name in specs}
    random = np.random.default_rng(seed)
    with TraceWriter(path, TraceInfo("squares", 5.0, specs, digests, costs)) as writer:
        for i in range(INPUTS):
            frame = np.full((96, 160, 3), 60, np.uint8)
            count = int(random.integers(0, 4))
            for k in range(count):
                frame[20:50, 10 + 40 * k : 35 + 40 * k] = 220
            vector = np.full(made.CHANNELS[-1], count + 1.0, np.float32)
            writer.append(i, i / 5, encode_jpeg(frame), dict.fromkeys(specs, vector))
    return path


def run(trace: Path, models: Path, **options: object) -> None:
    given = {"model": None, "latency": "10s", "on": "", "out": None, "as_json": True, **options}
    train_stem_command(models, [trace], **given)  # type: ignore[arg-type]


def test_a_stem_is_written_beside_the_first_trace(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = record(tmp_path / "door.trace", models)
    run(trace, models, on="pi=3")
    told = json.loads(capsys.readouterr().out)
    stem = Stem(tmp_path / "stem.onnx")
    assert told["stem"] == str(tmp_path / "stem.onnx") and told["digest"] == stem.digest
    assert (stem.spec.model, told["measured_on"]) == ("plain", "pi") and told["took_ms"] > 0
    assert stem.spec.digest == digest(models / "plain.onnx")
    run(trace, models, out=tmp_path / "other.onnx", as_json=False)
    assert "licence: not stated" in capsys.readouterr().out


def test_a_licence_that_the_models_file_does_not_say_is_said(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = record(tmp_path / "door.trace", models)
    run(trace, models, licence=["plain=MIT"])
    assert json.loads(capsys.readouterr().out)["spec"]["licence"] == "MIT"
    assert Stem(tmp_path / "stem.onnx").spec.licence == "MIT"
    made.plain(models / "plain.onnx", metadata={"license": "AGPL-3.0"})
    for given, says in (
        ("MIT", "must be NAME=LICENCE"),
        ("fancy=MIT", "there is no model 'fancy' here; there are plain"),
        ("plain=MIT", "itself says 'AGPL-3.0', which holds"),
    ):
        with pytest.raises(InvalidInput, match=says):
            run(trace, models, licence=[given])


def test_a_model_that_is_not_the_one_recorded_gives_no_stem(models: Path, tmp_path: Path) -> None:
    trace = record(tmp_path / "door.trace", models, recorded="0123456789abcdef")
    for named in (None, ["plain"]):
        with pytest.raises(InvalidInput, match=r"door.trace recorded 0123456789abcdef"):
            run(trace, models, model=named)


def test_a_model_that_no_trace_knows_must_be_named(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = record(tmp_path / "door.trace", models)
    made.shuffled(models / "new.onnx")
    run(trace, models)
    assert "no trace knows it" in json.loads(capsys.readouterr().out)["nothing"]["new"]
    run(trace, models, model=["new"])
    assert json.loads(capsys.readouterr().out)["spec"]["model"] == "new"


@pytest.mark.parametrize("on", ["pi", "pi=", "=2", "pi=-1", "pi=fast"])
def test_a_device_is_a_name_and_a_factor(on: str, models: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--on must be NAME=FACTOR"):
        run(record(tmp_path / "door.trace", models), models, on=on)

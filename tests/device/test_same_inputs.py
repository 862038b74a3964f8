"""What is learnt from is what is looked at later: `infilink record` and the agent cut a source into the same inputs."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.device import record as recording
from infilink.device.capture import Capture
from infilink.device.config import DeviceConfig
from infilink.device.record import CameraRecording, RecordedModels, Stretch
from infilink.device.sources.base import Input
from infilink.device.sources.cut import Cut

from ..clips import write_clip
from ..sounds import tone, write_sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("same")
    noise = np.random.default_rng(0).normal(size=(640, 2))
    rows = [f"{step / 64 + (step > 300) * 5:.6f},{x:.4f},{y:.4f}" for step, (x, y) in enumerate(noise)]
    rows[100], rows[200] = "0,broken", "999,1,1"
    (found / "arm.csv").write_text("\n".join(["time_s,x,y", *rows]) + "\n")
    (found / "lines.txt").write_text("one\n\nzwölf\ntwo words\n", encoding="utf-8")
    lines = [json.dumps({"t": step / 16, "x": step}) for step in range(64)]
    (found / "events.jsonl").write_text("\n".join(["no JSON", *lines]) + "\n")
    (found / "sounds").mkdir()
    for number in range(3):
        samples = tone(0.7 + number / 10, rate_hz=16000, hz=300 + 100 * number)
        write_sound(found / "sounds" / f"{number}.wav", samples, rate_hz=16000)
    write_clip(found / "clip.mp4", frames=30)
    return found


@pytest.mark.parametrize(
    ("source", "options", "count"),
    [
        ("arm.csv", {"cut": {"window_s": 0.5, "stride_s": 0.25, "channels": ("y", "x")}}, 37),
        ("arm.csv", {"cut": {"window_s": 1, "stride_s": 0.5, "rate_hz": 20}}, 17),
        ("arm.csv", {"cut": {"window": 32}, "every": 3, "start_s": 2}, 6),
        ("sounds", {}, 3),
        ("sounds", {"cut": {"window_s": 0.25, "stride_s": 0.1, "rate_hz": 8000}}, 18),
        ("lines.txt", {}, 3),
        ("events.jsonl", {}, 64),
        ("events.jsonl", {"cut": {"window": 8, "stride": 4}}, 15),
        ("clip.mp4", {"every": 4, "seconds": 2}, 5),
        ("clip.mp4", {"cut": {"window": 4, "stride": 2}}, 14),
        ("clip.mp4", {"cut": {"window_s": 1, "rate_hz": 5}}, 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_agent_and_a_recording_cut_a_source_into_the_same_inputs(
    source: str,
    options: dict[str, Any],
    count: int,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = str(folder / source)
    taken: list[Input] = []

    def run(*args: Any) -> int:
        return added(args[0], args[1], noted(args[2], taken), args[3])

    added = recording._run
    monkeypatch.setattr(recording, "_run", run)
    stretch = Stretch(**{**options, "cut": Cut(**options.get("cut", {}))})
    with RecordedModels({}, []) as models:
        CameraRecording(text, tmp_path / "a.trace", stretch).record(models, lambda *_: None)
    settings = {"name": "d", "coordinator": "h:1", "pace": "max", "source": text, **options}
    captured = list(Capture(DeviceConfig.model_validate(settings), threading.Event()))
    assert len(taken) == len(captured) == count
    for recorded, seen in zip(taken, captured, strict=True):
        assert (recorded.sequence, recorded.captured_s) == (seen.sequence, seen.captured_s)
        assert recorded.value.dtype == seen.value.dtype and np.array_equal(recorded.value, seen.value)


def noted(inputs: Iterator[Input], taken: list[Input]) -> Iterator[Input]:
    """The inputs as they are, each kept for a look as it goes by."""
    for each in inputs:
        taken.append(each)
        yield each

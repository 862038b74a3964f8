"""A stream under a governor, over real gRPC: what each level leaves out, and what is said of that."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.governor.governor import Governor
from infilink.device.governor.ladder import Level
from infilink.device.governor.sensors import Sensors
from infilink.device.governor.settings import GovernorSettings
from infilink.device.stream_run import StreamRun
from infilink.models.spec import read_spec

from ..coordinator import Coordinator, result

FRAMES = 30
# It keeps every frame of this clip, however strict it is.
MOVES = "difference:0"


class Scripted(Governor):
    """A governor that is at a level by the number of inputs that were decided on or left out."""

    def __init__(self, *script: tuple[int, Level]) -> None:
        self.script = script
        self.run: StreamRun | None = None
        super().__init__(GovernorSettings(), cast(Sensors, None))
        self.reason = "as the script says"

    @property
    def level(self) -> Level:
        frames = 0 if self.run is None else self.run.report().frames
        return max((start, level) for start, level in self.script if start <= frames)[1]

    @level.setter
    def level(self, level: Level) -> None:
        """Nobody else sets it."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames at 100 a second."""
    path = tmp_path_factory.mktemp("video") / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 100, (64, 48))
    for index in range(FRAMES):
        writer.write(np.full((48, 64, 3), 8 * index, np.uint8))
    writer.release()
    return path


@pytest.fixture
def run(
    clip: Path, tmp_path: Path, start_coordinator: Callable[..., Coordinator], tiny_models: Path
) -> Callable[..., StreamRun]:
    def run(follows: Governor, **settings: Any) -> StreamRun:
        spec = read_spec(tiny_models / "bright.onnx")
        served = start_coordinator({"bright": spec}, answer=lambda message: result(message.sequence, bright=1.0))
        values = {"name": "yard", "source": str(clip), "coordinator": served.address, "queue": "all"}
        values |= {"results": tmp_path / "r.sqlite", **settings}
        made = StreamRun(DeviceConfig.model_validate(values), governor=follows)
        if isinstance(follows, Scripted):
            follows.run = made
        return made

    return run


def rows(tmp_path: Path, columns: str, table: str = "inputs") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as database:
        return database.execute(f"SELECT {columns} FROM {table} ORDER BY sequence").fetchall()


def test_at_a_lower_rate_every_few_inputs_are_decided_on_and_the_others_have_what_is_known(
    run: Callable[..., StreamRun], tmp_path: Path
) -> None:
    made = run(Scripted((0, Level.FULL), (10, Level.SLOWER), (22, Level.FULL)), governor={"every": 3}, gate=MOVES)
    summary = made.run()
    assert (summary.frames, summary.kept, summary.left_out) == (FRAMES, 22, 8)
    found = rows(tmp_path, "level, kept")
    assert found[:10] == [("", 1)] * 10 and found[22:] == [("", 1)] * 8
    assert found[10:22] == [("slower", 1), ("slower", 0), ("slower", 0)] * 4
    origins = rows(tmp_path, "origin, reference, trusted, confidence", "results")
    assert origins[10][0] == "executed"
    assert origins[11] == ("reused", 10, 0, 0.0)
    report = made.report()
    assert (report.level, report.level_reason, report.left_out) == ("", "", 8)


def test_at_local_only_nothing_is_sent_and_the_next_input_after_it_is(
    run: Callable[..., StreamRun], tmp_path: Path
) -> None:
    made = run(Scripted((0, Level.FULL), (10, Level.LOCAL), (20, Level.FULL)), gate="difference:0.9")
    summary = made.run()
    assert summary.answered == 2
    assert [sequence for (sequence,) in rows(tmp_path, "sequence", "results")] == [*range(FRAMES)]
    found = rows(tmp_path, "level, kept, sent_bytes > 0, refused")
    assert found[0] == ("", 1, 1, None)
    assert found[10:20] == [("local", 0, 0, None)] * 10
    assert found[20] == ("", 1, 1, None)


def test_what_is_kept_at_local_only_is_marked_as_held(run: Callable[..., StreamRun], tmp_path: Path) -> None:
    made = run(Scripted((0, Level.FULL), (10, Level.LOCAL)), gate=MOVES)
    summary = made.run()
    # The last one before may not have gone yet when nothing is sent any more.
    assert summary.answered + summary.dropped == 20 and summary.answered >= 9 and summary.left_out == 10
    assert rows(tmp_path, "level, kept, refused")[10:12] == [("local", 1, "held: local only"), ("local", 0, None)]
    assert (made.report().level, made.report().level_reason) == ("local", "as the script says")


def test_a_stricter_gate_keeps_fewer(run: Callable[..., StreamRun], tmp_path: Path) -> None:
    summary = run(Scripted((0, Level.FULL), (10, Level.STRICTER)), gate="every:2").run()
    assert (summary.frames, summary.kept, summary.left_out) == (FRAMES, 10, 0)
    assert [level for (level,) in rows(tmp_path, "level")] == [""] * 10 + ["stricter"] * 20


def test_a_recording_that_is_read_as_fast_as_can_be_and_a_stream_that_says_off_are_not_governed(
    run: Callable[..., StreamRun],
) -> None:
    assert run(Scripted((0, Level.SLOWER)), pace="max").run().kept == FRAMES
    assert run(Scripted((0, Level.SLOWER)), governor={"on": False}).run().kept == FRAMES

"""A stream whose camera is covered, comes back and is turned away, as H.264, over real gRPC: from picture to row."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.stream_run import StreamRun
from infilink.models.spec import read_spec

from ..coordinator import Coordinator, result
from .scenes import SIZE, scene, seen

FPS = 5
CALM_S, COVERED_S, BACK_S, TURNED_S = 20, 12, 16, 30
SCENE = scene(3)
COVER = np.full_like(SCENE, 120)


def shown(at_s: float, seed: int) -> Any:
    if CALM_S <= at_s < CALM_S + COVERED_S:
        return seen(COVER, seed=seed)
    return seen(SCENE, dx=0 if at_s < CALM_S + COVERED_S + BACK_S else 60, seed=seed)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "yard.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        for index in range(FPS * (CALM_S + COVERED_S + BACK_S + TURNED_S)):
            frame = av.VideoFrame.from_ndarray(shown(index / FPS, index), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_inputs_pass_while_the_camera_sees_something_else_and_rows_report_and_log_say_so(
    clip: Path,
    tmp_path: Path,
    start_coordinator: Callable[..., Coordinator],
    tiny_models: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = read_spec(tiny_models / "bright.onnx")
    served = start_coordinator({"bright": spec}, answer=lambda message: result(message.sequence, bright=1.0))
    values = {"name": "yard", "source": str(clip), "coordinator": served.address, "queue": "all", "pace": "max"}
    settings = {"gate": "every:25", "results": tmp_path / "r.sqlite", "camera": {"settle_s": 5}}
    run = StreamRun(DeviceConfig.model_validate(values | settings))
    summary = run.run()

    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as database:
        rows = database.execute("SELECT captured_s, camera, kept FROM inputs ORDER BY sequence").fetchall()
        untrusted = database.execute(
            "SELECT count(*) FROM results JOIN inputs USING (sequence) WHERE camera != '' AND trusted AND NOT kept"
        ).fetchone()
    assert len(rows) == FPS * (CALM_S + COVERED_S + BACK_S + TURNED_S) and untrusted == (0,)

    def states(start_s: float, end_s: float) -> list[str]:
        return [camera for captured_s, camera, _ in rows if start_s <= captured_s < end_s]

    covered_s, back_s = CALM_S, CALM_S + COVERED_S
    turned_s = back_s + BACK_S
    assert set(states(0, covered_s)) == {""}
    assert set(states(covered_s + 4, back_s)) == {"blinded"}
    # The same view again, well before it is turned away.
    assert set(states(back_s + 8, turned_s)) == {""}
    assert "moved" in states(turned_s, turned_s + 5) and states(0, 1e9)[-1] == ""
    unsure = [kept for _, camera, kept in rows if camera]
    # All of them pass at first, and the gate's own share is a 25th.
    assert sum(unsure) > 0.5 * len(unsure)
    assert (summary.camera_changes, summary.camera_unsure) == (2, len(unsure))
    report = run.report()
    assert (report.camera, report.camera_changes) == ("", 2)
    told = " ".join(record.getMessage() for record in caplog.records)
    assert "covered" in told and "moved" in told

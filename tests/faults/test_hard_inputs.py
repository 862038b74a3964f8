"""An agent whose source gives what no filter was trained on: damage, huge pictures, other sizes, clocks that jump."""

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from infilink.codec import decode_jpeg
from infilink.device.config import DeviceConfig
from infilink.device.results_read import Results
from infilink.device.sources import live
from infilink.device.sources.live import CameraReader
from infilink.device.sources.reader import Opening
from infilink.device.stream_run import StreamRun
from infilink.device.summary import Summary
from infilink.errors import InvalidInput
from infilink.models.spec import read_spec
from infilink.protos import edge_pb2

from ..clips import write_clip
from ..device.conftest import start_coordinator  # noqa: F401
from ..device.coordinator import Coordinator, result

SIZES: list[tuple[int, int]] = []


def seen(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
    picture = decode_jpeg(message.payload)
    SIZES.append((picture.shape[1], picture.shape[0]))
    return result(message.sequence, bright=float(picture.mean()))


@pytest.fixture
def coordinator(start_coordinator: Callable[..., Coordinator], tiny_models: Path) -> Coordinator:  # noqa: F811
    SIZES.clear()
    return start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")}, answer=seen)


@pytest.fixture
def run(coordinator: Coordinator, tmp_path: Path) -> Callable[..., Summary]:
    """Runs an agent over a source to its end."""

    def run(source: object, clock_ns: Callable[[], int] | None = None, **settings: object) -> Summary:
        values = {"name": "yard", "source": str(source), "pace": "max", "queue": "all"}
        values |= {"coordinator": coordinator.address, "results": tmp_path / "r.sqlite", **settings}
        config = DeviceConfig.model_validate(values)
        return (StreamRun(config) if clock_ns is None else StreamRun(config, clock_ns=clock_ns)).run()

    return run


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("gate", ["all", "difference:0.0"])
def test_a_stream_whose_size_changes_goes_on_in_the_new_size(run: Callable, tmp_path: Path, gate: str) -> None:
    """As a camera that is switched over: the same transport stream, another picture."""
    small = write_clip(tmp_path / "a.ts", frames=10, size=(64, 48), g="5")
    large = write_clip(tmp_path / "b.ts", frames=10, size=(160, 120), g="5")
    summary = run(joined(tmp_path / "both.ts", small, large), gate=gate)
    assert summary.answered == summary.kept and summary.refused == 0
    assert {(64, 48), (160, 120)} == set(SIZES)


def test_damage_in_the_middle_costs_what_is_damaged(run: Callable, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.ts", frames=90, g="10")
    data = bytearray(clip.read_bytes())
    third = len(data) // 3
    data[third : third + third // 2] = np.random.default_rng(0).bytes(third // 2)
    (tmp_path / "b.ts").write_bytes(data)
    summary = run(tmp_path / "b.ts")
    assert 30 <= summary.answered < 90 and summary.answered == summary.frames
    with Results(tmp_path / "r.sqlite") as results:
        times_s = list(results.captured_s)
    assert times_s == sorted(times_s) and times_s[-1] > 8.0, "what comes after the hole keeps its time"


def test_a_picture_of_60_megapixels_is_told_and_those_beside_it_are_answered(
    run: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, (width, height) in {"a": (64, 48), "b": (9000, 6700), "c": (64, 48)}.items():
        assert cv2.imwrite(str(folder / f"{name}.jpg"), np.full((height, width, 3), 99, np.uint8))
    summary = run(folder)
    assert summary.answered == 2 and set(SIZES) == {(64, 48)}
    assert any("b.jpg" in text and "more than 33554432 pixels" in text for text in caplog.messages), caplog.messages


def test_a_camera_of_60_megapixels_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera:
        def isOpened(self) -> bool:  # noqa: N802
            return True

        def get(self, _: int) -> float:
            return 30.0

        def read(self) -> tuple[bool, np.ndarray]:
            # As large as it says, without the memory.
            return True, np.broadcast_to(np.uint8(99), (6700, 9000, 3))

    monkeypatch.setattr(live.cv2, "VideoCapture", lambda *_: Camera())
    with pytest.raises(
        InvalidInput, match=r"its pictures are 9000x6700, more than 33554432 pixels: ask it for smaller"
    ):
        next(iter(CameraReader(Opening("0"))))


def test_a_clock_that_jumps_moves_no_input(run: Callable, tmp_path: Path) -> None:
    day_ns = 86400 * 10**9
    jumps = itertools.cycle([0, day_ns, -day_ns, 400 * day_ns])
    video = write_clip(tmp_path / "v.mp4", frames=30, fps=10)
    # But for deadlines, which are times of day.
    summary = run(video, clock_ns=lambda: 1_900_000_000 * 10**9 + next(jumps))
    assert summary.answered == summary.frames == summary.kept
    with Results(tmp_path / "r.sqlite") as results:
        times_s = list(results.captured_s)
    assert np.allclose(np.diff(times_s), 0.1)

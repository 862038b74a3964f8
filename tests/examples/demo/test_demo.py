"""The demo as a user runs it, on two short clips: real daemons, and everything it promises to leave.

One run, with three of the street's models, serves all tests. How much it saves is for `make bench`: here the figures
must be those of what the runs left behind, and what the budgets rule out must not have happened.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from infilink.device.results_read import Results
from infilink.errors import InvalidInput
from infilink.examples import street
from infilink.examples.demo.live import Screen
from infilink.examples.demo.pipeline import DemoOptions, run_demo
from infilink.examples.demo.policies import FREE, POLICIES
from infilink.examples.demo.score import Score
from infilink.examples.street.video import write_video
from infilink.examples.street.views import VIEWS
from rich.console import Console

# Longer than it ever takes.
TIMEOUT_S = 1200
# A count, a label and boxes.
MODELS = ("parked", "traffic", "vehicles")
# About as short as can be learnt from.
CAMERAS, SECONDS, RATE_FPS = ("street", "yard"), 22, 4


def infilink_demo(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A relative folder, as `make demo` has it.
    command = [sys.executable, "-m", "infilink.cli", "demo", "--out", out.name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=out.parent)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    models = tmp_path_factory.mktemp("models")
    for name in MODELS:
        (models / f"{name}.onnx").symlink_to(Path(street.__file__).parent / "models" / f"{name}.onnx")
    sources = []
    for name in CAMERAS:
        clip = folder / "clips" / f"{name}.mp4"
        clip.parent.mkdir(exist_ok=True)
        write_video(clip, SECONDS, 5, RATE_FPS * 3, every=3, day_s=15.0, camera=VIEWS[name], busy=True)
        sources += ["--source", str(clip)]
    done = infilink_demo(folder, "--models", str(models), *sources, "--budget", "70%", "--compute", "40%")
    assert done.returncode == 0, done.stderr
    assert "infilink" in done.stdout
    # No terminal: steps and the run as plain lines.
    assert "recording 3 models on 2 cameras" in done.stdout and re.search(r"\d+/\d+ inputs", done.stdout)
    return folder


@pytest.fixture(scope="module")
def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def test_the_report_has_every_figure_of_every_policy(report: dict[str, Any]) -> None:
    assert set(report["policies"]) == {"replayed", *(policy.name for policy in POLICIES)}
    for run in (report, report["full"], *report["policies"].values()):
        assert set(Score.__dataclass_fields__) <= set(run)
    assert list(report["cameras"]) == list(CAMERAS)


def test_the_budgets_are_kept(report: dict[str, Any]) -> None:
    assert report["budget_violations"] == 0
    assert 0 < report["peak_bytes"] <= report["budget_bytes"] < report["full"]["peak_bytes"]
    for run in report["policies"].values():
        # What is saved up may be a second's, and what is begun is ended.
        assert run["cpu_share"] < report["compute_share"] + 0.25


def test_the_full_run_is_the_reference(report: dict[str, Any]) -> None:
    full = report["full"]
    assert full["agreement"] == 1.0 and full["filtering_rate"] == 0.0
    assert full["events_found"] == full["events"] and full["false_minutes"] == 0
    assert full["executions"] == full["inputs"] * len(MODELS)


def test_every_agent_saw_every_frame_and_sent_what_is_counted(out: Path, report: dict[str, Any]) -> None:
    sent, inputs = 0, 0
    for name in CAMERAS:
        with Results(out / "runs" / "infilink" / f"{name}.sqlite") as results:
            sent += sum(results.sent_bytes)
            inputs += len(results.sequences)
            assert np.all(np.diff(results.captured_s) > 0)
    assert (sent, inputs) == (report["sent_bytes"], report["inputs"])
    assert report["inputs"] == report["full"]["inputs"]


def test_another_policy_was_served_too_and_says_what_its_replay_says(report: dict[str, Any]) -> None:
    assert set(report["checked"]) == {"infilink", "ours without links"}
    for both in report["checked"].values():
        assert 0 < both["daemons"] <= 1 and 0 < both["replayed"] <= 1


def test_the_page_stands_alone(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 5
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert all(policy.title in page for policy in FREE)


def test_the_video_is_one_that_browsers_play_and_stands_in_the_page(out: Path) -> None:
    with av.open(str(out / "annotated.mp4")) as video:
        assert (video.streams.video[0].codec_context.name, video.streams.video[0].pix_fmt) == ("h264", "yuv420p")
        assert sum(1 for _ in video.decode(video=0)) > 20
    assert "data:video/mp4;base64," in (out / "report.html").read_text()


def test_nothing_half_written_is_left(out: Path) -> None:
    assert not [path for path in out.rglob("*") if "part" in path.name]


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = infilink_demo(tmp_path / "out", "--source", "none.mp4")
    assert done.returncode == 2
    assert "none.mp4" in done.stderr
    assert done.stderr.strip().count("\n") == 0


def short(folder: Path) -> str:
    """A video of a few frames."""
    path = folder / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return str(path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (lambda folder: {"models": folder / "none"}, "none"),
        (lambda folder: {"budget": "lots"}, "200MiB"),
        (lambda folder: {"compute": "120%"}, "share of the full run"),
        (lambda folder: {"sources": (short(folder),)}, "5 frames are too few"),
    ],
    ids=["no models", "no budget", "no compute", "too short"],
)
def test_a_mistake_is_told_before_any_work(tmp_path: Path, options: Any, told: str) -> None:
    screen = Screen(Console(quiet=True))
    with pytest.raises(InvalidInput, match=told):
        run_demo(DemoOptions(out=tmp_path / "out", **options(tmp_path)), screen.progress, screen.show)
    assert not list(tmp_path.glob("out/*"))

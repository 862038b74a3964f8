"""The demo as a user runs it, on a short rendered street: real daemons, and everything it promises to leave.

One run, with three of the street's models, serves all tests. How much it saves is for `make bench`: here the figures
must be those of what the runs left behind, and what the budget and the filter rule out must not have happened.
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
from infilink.device.results import Results
from infilink.errors import InvalidInput
from infilink.examples import street
from infilink.examples.demo.pipeline import DemoOptions, run_demo

# Longer than it ever takes.
TIMEOUT_S = 1200
# A count, a label and boxes.
MODELS = ("parked", "traffic", "vehicles")
FIELDS = {
    "frames",
    "agreement",
    "agreement_linked",
    "agreement_skipped",
    "filtering_rate",
    "events",
    "events_found",
    "event_interval",
    "false_minutes",
    "bandwidth_saved",
    "cpu_saved",
    "budget_bytes",
    "peak_bytes",
    "budget_violations",
    "wall_s",
}
# What the agent may take beside the libraries that it stands on.
AGENT_BYTES = 100e6


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=folder)


def infilink_demo(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A relative folder, as `make demo` has it.
    return python("-m", "infilink.cli", "demo", "--out", out.name, *arguments, folder=out.parent)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    models = tmp_path_factory.mktemp("models")
    for name in MODELS:
        (models / f"{name}.onnx").symlink_to(Path(street.__file__).parent / "models" / f"{name}.onnx")
    done = infilink_demo(folder, "--models", str(models), "--seconds", "8")
    assert done.returncode == 0, done.stderr
    assert "infilink" in done.stdout
    return folder


@pytest.fixture(scope="module")
def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


@pytest.fixture(scope="module")
def runs(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures of every run, by its name."""
    return {"infilink": report, "full": report["full"], **report["baselines"]}


def test_the_report_has_every_field_for_infilink_and_each_baseline(report: dict[str, Any]) -> None:
    assert set(report) >= FIELDS | {"baselines", "versions", "full"}
    assert set(report["baselines"]) == {"hold", "random", "every", "difference"}
    for baseline in report["baselines"].values():
        assert set(baseline) >= FIELDS


def test_the_budget_is_never_exceeded(report: dict[str, Any]) -> None:
    for run in (report, *report["baselines"].values()):
        assert run["budget_violations"] == 0
        assert 0 < run["peak_bytes"] <= run["budget_bytes"]


def test_the_full_run_is_the_reference(report: dict[str, Any]) -> None:
    full = report["full"]
    assert full["agreement"] == 1.0
    assert full["filtering_rate"] == 0.0
    assert full["events_found"] == full["events"] and full["false_minutes"] == 0
    assert full["executions"] == full["frames"] * len(MODELS)
    assert full["peak_bytes"] > report["budget_bytes"]


def test_every_run_saw_every_frame_and_sent_what_its_gate_kept(out: Path, runs: dict[str, dict[str, Any]]) -> None:
    for name, run in runs.items():
        with Results(out / "runs" / name / "results.sqlite") as results:
            assert len(results.sequences) == run["frames"] == runs["full"]["frames"]
            assert run["filtering_rate"] == pytest.approx(1 - np.mean(results.kept))
            assert [size > 0 for size in results.sent_bytes] == results.kept
            assert 0 < sum(results.sent_bytes) <= run["sent_bytes"]


def test_savings_are_against_the_full_run(runs: dict[str, dict[str, Any]]) -> None:
    full = runs["full"]
    for run in runs.values():
        assert run["bandwidth_saved"] == pytest.approx(1 - run["sent_bytes"] / full["sent_bytes"])
        assert run["cpu_saved"] == pytest.approx(1 - run["cpu_s"] / full["cpu_s"])
        assert run["cpu_s"] > 0


def test_what_the_budget_leaves_no_room_for_does_not_run(runs: dict[str, dict[str, Any]]) -> None:
    for name, run in runs.items():
        if name != "full":
            assert run["executions"] < run["frames"] * len(MODELS)


def test_the_agent_is_light(report: dict[str, Any], tmp_path: Path) -> None:
    said = "import infilink.device.cli, infilink.device.summary as summary; print(summary.peak_rss_bytes())"
    libraries_bytes = int(python("-c", said, folder=tmp_path).stdout)
    assert report["agent"]["peak_rss_bytes"] < libraries_bytes + AGENT_BYTES


def test_the_page_stands_alone(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "rendered" in page


def test_the_video_shows_every_served_frame(out: Path, report: dict[str, Any]) -> None:
    video = cv2.VideoCapture(str(out / "annotated.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == report["frames"]


def test_the_video_is_one_that_browsers_play_and_stands_in_the_page(out: Path) -> None:
    with av.open(str(out / "annotated.mp4")) as video:
        assert (video.streams.video[0].codec_context.name, video.streams.video[0].pix_fmt) == ("h264", "yuv420p")
    assert "data:video/mp4;base64," in (out / "report.html").read_text()


def test_the_report_says_who_is_ahead_and_what_a_stream_would_take(report: dict[str, Any]) -> None:
    text = " ".join(report["headline"])
    ahead = [run for run in report["baselines"].values() if run["agreement"] > report["agreement"] + 0.0005]
    assert ("without learning anything" in text) or not ahead
    assert ("NOT certified" in text) == (not report["certified"])
    assert 0 < report["stream_bytes"] < report["full"]["sent_bytes"] and "H.264" in text


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
        (lambda folder: {"source": short(folder)}, "5 frames are too few"),
    ],
    ids=["no models", "no budget", "too short"],
)
def test_a_mistake_is_told_before_any_work(tmp_path: Path, options: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        run_demo(DemoOptions(out=tmp_path / "out", **options(tmp_path)), lambda share, text: None)
    assert not list(tmp_path.glob("out/*"))

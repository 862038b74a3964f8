"""The demo as a user runs it, on a short rendered street: real daemons, and everything it promises to leave."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

FIELDS = {
    "frames",
    "agreement",
    "agreement_linked",
    "agreement_skipped",
    "filtering_rate",
    "throughput_gain",
    "bandwidth_saved",
    "compute_saved",
    "budget_bytes",
    "peak_bytes",
    "budget_violations",
    "wall_s",
}


def infilink_demo(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A relative folder, as `make demo` has it.
    command = [sys.executable, "-m", "infilink.cli", "demo", "--out", out.name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=out.parent)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = infilink_demo(folder, "--seconds", "8.5", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "infilink" in done.stdout
    return folder


@pytest.fixture(scope="module")
def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


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
    assert full["executions"] == full["frames"] * len(report["models"])
    assert full["peak_bytes"] > report["budget_bytes"]


def test_infilink_saves(report: dict[str, Any]) -> None:
    assert report["throughput_gain"] > 1
    assert report["bandwidth_saved"] > 0
    assert report["executions"] < report["full"]["executions"]


def test_the_agent_is_light(report: dict[str, Any]) -> None:
    assert report["agent"]["peak_rss_bytes"] < 200e6


def test_the_page_stands_alone(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "rendered" in page


def test_the_video_shows_every_served_frame(out: Path, report: dict[str, Any]) -> None:
    video = cv2.VideoCapture(str(out / "annotated.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == report["frames"]


def test_nothing_half_written_is_left(out: Path) -> None:
    assert not [path for path in out.rglob("*") if "part" in path.name]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--source", "none.mp4"), "none.mp4"),
        (("--models", "none"), "none"),
        (("--budget", "lots"), "200MiB"),
        (("--seconds", "2"), "too few"),
    ],
    ids=["no source", "no models", "no budget", "too short"],
)
def test_a_mistake_is_told_before_any_work(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = infilink_demo(tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr

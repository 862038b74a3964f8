"""What the camera saw is kept: one that is turned while the agent is away is told as it is back."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.device.camera.kept_view import KeptView
from infilink.device.camera.watch import CameraWatch

from .scenes import blurred, dim, infrared, scene, seen

STEP_S = 0.4
SCENE, OTHER = scene(0), scene(7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "door.view"


def look(watch: CameraWatch, shown: np.ndarray, seconds: float, *, since_s: float = 0.0) -> list:
    """The conditions that a camera is in while it shows a scene."""
    count = round(seconds / STEP_S)
    return [watch.see(seen(shown, seed=at), since_s + at * STEP_S) for at in range(count)]


def one_run(path: Path, shown: np.ndarray, *, gate: str = "a", seconds: float = 8.0, **more) -> CameraWatch:
    """A run of the agent, before this scene; its conditions are in `seen`."""
    watch = CameraWatch(settle_s=5.0, kept=KeptView(path, gate, **more))
    watch.found = look(watch, shown, seconds)
    watch.close()
    return watch


def test_a_camera_that_was_turned_meanwhile_is_told(path: Path) -> None:
    assert {each.state for each in one_run(path, SCENE).found} == {"stable"}
    again = one_run(path, OTHER, seconds=16.0)
    first = next(at for at, each in enumerate(again.found) if each.state == "moved")
    assert first * STEP_S <= 4.0
    assert again.found[-1].state == "stable" and again.found[-1].view == 1
    # What the promise is of stays what it was: as it is turned back it holds again.
    back = one_run(path, SCENE)
    assert {(each.state, each.view) for each in back.found} == {("stable", 0)}


def test_one_that_was_not_is_what_it_was_at_once(path: Path) -> None:
    one_run(path, SCENE)
    assert {each.state for each in one_run(path, SCENE, seconds=20.0).found} == {"stable"}


@pytest.mark.parametrize("other", [lambda picture: blurred(picture, 3), infrared, lambda picture: dim(picture, 0.5)])
def test_light_and_weather_may_have_changed_meanwhile(path: Path, other: Callable) -> None:
    one_run(path, SCENE)
    watch = CameraWatch(settle_s=5.0, kept=KeptView(path, "a"))
    assert {watch.see(other(seen(SCENE, seed=at)), at * STEP_S).state for at in range(30)} == {"stable"}


def test_another_gate_begins_with_what_there_is(path: Path) -> None:
    one_run(path, SCENE)
    assert {each.state for each in one_run(path, OTHER, gate="b").found} == {"stable"}
    assert {each.state for each in one_run(path, OTHER, gate="b").found} == {"stable"}


def test_a_gate_that_comes_while_it_runs_is_of_what_is_seen_then(path: Path) -> None:
    watch = CameraWatch(settle_s=2.0, kept=KeptView(path, "a"))
    look(watch, SCENE, 8.0)
    assert look(watch, OTHER, 16.0, since_s=8.0)[-1].view == 1
    assert watch.begin_here("b").view == 0
    look(watch, OTHER, 8.0, since_s=24.0)
    watch.close()
    assert {each.state for each in one_run(path, OTHER, gate="b").found} == {"stable"}


@pytest.mark.parametrize("damage", [b"", b"no file of arrays", None])
def test_a_damaged_file_is_learnt_anew(path: Path, damage: bytes | None) -> None:
    one_run(path, SCENE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert {each.state for each in one_run(path, OTHER).found} == {"stable"}
    assert KeptView(path, "a").read() is not None


def test_what_is_no_view_is_not_read(path: Path) -> None:
    one_run(path, SCENE)
    with np.load(path) as found:
        arrays = dict(found)
    for wrong in ({"across": arrays["across"][:3]}, {"down": arrays["down"] * np.float32("nan")}):
        with path.open("wb") as file:
            np.savez(file, **(arrays | wrong))
        assert KeptView(path, "a").read() is None
    path.write_bytes(bytes(2**21))
    assert KeptView(path, "a").read() is None


def test_an_old_one_tells_nothing(path: Path) -> None:
    one_run(path, SCENE)
    written_s = path.stat().st_mtime
    assert KeptView(path, "a", unix_s=lambda: written_s + 86_400.0).read() is not None
    assert KeptView(path, "a", unix_s=lambda: written_s + 30 * 86_400.0).read() is None
    # The clock of a board without a battery may be behind.
    assert KeptView(path, "a", unix_s=lambda: written_s - 86_400.0).read() is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_where_it_cannot_be_kept_that_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.chmod(0o500)
    assert {each.state for each in one_run(path, SCENE).found} == {"stable"}
    assert "can't be kept" in caplog.text


def test_a_folder_in_its_place_is_said_and_nothing_ends(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path / "inside").mkdir(parents=True)
    assert {each.state for each in one_run(path, SCENE).found} == {"stable"}
    assert "can't be" in caplog.text

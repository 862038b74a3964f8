"""A camera that is moved, switched, covered or blurred is told from a scene in which much goes on."""

from functools import cache

import numpy as np
import pytest
from infilink.device.camera.watch import CameraSettings, CameraWatch
from pydantic import ValidationError

from .scenes import blurred, crowd, dim, infrared, scene, seen, sent, truck, web

STEP_S = 0.4
SCENE, OTHER = scene(0), scene(7)


@cache
def still(count):
    """What is seen in peace; drawn once, and never written to."""
    picture = seen(SCENE, seed=count)
    picture.flags.writeable = False
    return picture


def watched(happens, *, before_s=12.0, seconds=20.0, watch=None, start_s=0.0):
    """Its conditions after `before_s` of peace: of what `happens(count, seconds since)` shows."""
    watch = watch or CameraWatch(settle_s=5.0)
    first = round(before_s / STEP_S)
    for count in range(first):
        assert watch.see(still(count), start_s + count * STEP_S).state == "stable"
    found = []
    for count in range(first, first + round(seconds / STEP_S)):
        since_s = (count - first) * STEP_S
        found.append((since_s, watch.see(happens(count, since_s), start_s + count * STEP_S)))
    return found


FINE = {
    "nothing": lambda count, since_s: still(count),
    "a crowd": lambda count, since_s: crowd(still(count), count, 0.4),
    "lights are switched off": lambda count, since_s: dim(still(count), 0.3),
    "it gets dark slowly": lambda count, since_s: dim(still(count), max(0.2, 1 - 0.05 * since_s)),
    "a lorry fills the picture and goes": lambda count, since_s: truck(still(count), min(2.0, since_s / 2)),
    "it shakes a little": lambda count, since_s: seen(SCENE, dx=count % 2, seed=count),
    "noise as at night": lambda count, since_s: seen(SCENE, noise=12.0, seed=count),
}


@pytest.mark.parametrize("what", FINE)
def test_what_goes_on_in_a_scene_is_no_change_of_the_camera(what):
    assert {condition.state for _, condition in watched(FINE[what])} == {"stable"}


CHANGED = {
    "panned": ("moved", "moved 16% left", 3.0, lambda count, since_s: seen(SCENE, dx=50, seed=count)),
    "tilted": ("moved", "moved 17% up", 3.0, lambda count, since_s: seen(SCENE, dy=30, seed=count)),
    "elsewhere": ("moved", "nearly nothing", 4.0, lambda count, since_s: seen(OTHER, seed=count)),
    "infrared": ("moved", "infrared", 3.0, lambda count, since_s: infrared(still(count))),
    "infrared, as H.264": ("moved", "infrared", 3.0, lambda count, since_s: sent(dim(infrared(still(count)), 0.6))),
    "dark": ("blinded", "dark", 3.0, lambda count, since_s: dim(still(count), 0.02)),
    "covered": ("blinded", "covered", 3.0, lambda count, since_s: blurred(still(count), 50)),
    "out of focus": ("blinded", "blurred", 5.0, lambda count, since_s: blurred(still(count), 5)),
    "a web": ("blinded", "near the lens|blurred", 9.0, lambda count, since_s: web(still(count), count)),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_camera_that_is_changed_is_told_with_the_reason(what, caplog):
    state, reason, within_s, happens = CHANGED[what]
    found = watched(happens, seconds=within_s + STEP_S)
    at_s, condition = next(each for each in found if each[1].state != "stable")
    assert condition.state == state and at_s <= within_s
    assert any(each in condition.reason for each in reason.split("|")) and condition.text.startswith(f"{state}: ")
    assert any(state in record.message for record in caplog.records)


def test_a_view_that_stays_becomes_the_cameras_own_and_is_another_one():
    found = watched(lambda count, since_s: seen(OTHER, seed=count))
    assert found[-1][1].state == "stable" and found[-1][1].view == 1
    settled_s = next(at_s for at_s, each in found if each.view == 1)
    assert 5.0 <= settled_s <= 9.0


def test_what_was_covered_for_a_while_is_the_same_view_again():
    found = watched(lambda count, since_s: dim(still(count), 0.02 if since_s < 10 else 1.0))
    assert "blinded" in {each.state for _, each in found}
    assert found[-1][1].state == "stable" and found[-1][1].view == 0


def test_a_camera_that_comes_back_from_infrared_has_its_first_view_again():
    watch = CameraWatch(settle_s=5.0)
    night = watched(lambda count, since_s: infrared(still(count)), watch=watch)
    assert night[-1][1].state == "stable" and night[-1][1].view == 1
    start_s = 12.0 + 20.0
    day = [watch.see(still(count), start_s + count * STEP_S) for count in range(30)]
    assert {each.state for each in day} == {"stable", "moved"}
    assert day[-1].state == "stable" and day[-1].view == 0


def test_a_camera_that_turns_on_and_on_is_not_stable_until_it_stands():
    found = watched(lambda count, since_s: seen(scene(count), seed=count) if since_s < 30 else seen(OTHER), seconds=45)
    states = [each.state for _, each in found]
    assert states.index("moved") * STEP_S < 20 and states[int(29 / STEP_S)] == "moved" and states[-1] == "stable"


def test_a_dark_camera_is_told_from_the_start_and_starts_with_the_light():
    watch = CameraWatch(settle_s=5.0)
    dark = [watch.see(dim(still(count), 0.02), count * STEP_S) for count in range(10)]
    assert dark[-1].state == "blinded"
    light = [watch.see(still(count), 4.0 + count * STEP_S) for count in range(40)]
    assert light[-1].state == "stable"


def test_unlike_pictures_have_no_camera_that_could_move():
    watch = CameraWatch()
    assert {watch.see(seen(scene(count)), float(count)).state for count in range(30)} == {"stable"}


def test_a_clock_that_is_set_back_changes_nothing():
    watch = CameraWatch(settle_s=5.0)
    watched(FINE["nothing"], watch=watch, start_s=1e6)
    again = [watch.see(still(count), count * STEP_S) for count in range(20)]
    assert {each.state for each in again} == {"stable"}


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 700, 3), (1080, 1920, 3)])
def test_any_size_of_picture_is_looked_at(shape):
    watch = CameraWatch()
    for count in range(12):
        watch.see(np.full(shape, 200, np.uint8), float(count))
    assert watch.condition.state == "stable"


def test_pictures_in_between_are_not_looked_at():
    watch = CameraWatch()
    watch.see(still(0), 0.0)
    assert watch.see(None, 0.1) is watch.condition


def test_settings_are_checked():
    with pytest.raises(ValidationError, match="settle_s"):
        CameraSettings(settle_s=0)

"""The times of a recording's frames: as its stamps say, and never back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.device.sources.times import RecordingTimes

STEP = 40
"""In milliseconds, as all stamps here."""


def times(stamps, origin=0):
    told: list[str] = []
    clock = RecordingTimes(origin, 0.001, STEP / 1000, told.append)
    following = [*stamps[1:], None]
    return [round(1000 * clock.take(*each)) for each in zip(stamps, following, strict=True)], told


def test_stamps_are_seconds_from_the_first_frame_s():
    assert times([500, 540, 700, 2000], origin=500) == ([0, 40, 200, 1500], [])


def test_a_hole_keeps_its_length():
    assert times([0, 40, 90_000, 90_040]) == ([0, 40, 90_000, 90_040], [])


def test_a_frame_without_a_stamp_stands_between_its_neighbours():
    assert times([0, None, 80, None, None])[0] == [0, 40, 80, 120, 160]
    assert times([0, None, 20, 40])[0] == [0, 10, 20, 40]


def test_one_stamp_that_is_wrong_moves_no_other_frame():
    assert times([0, 40, 95_000, 120, 160])[0] == [0, 40, 80, 120, 160]
    assert times([0, 40, 3, 120, 160])[0] == [0, 40, 80, 120, 160]


def test_recordings_that_were_joined_go_on_and_it_is_said_once():
    joined = [0, 40, 80, 0, 40, 80, 0, 40]
    found, told = times(joined)
    assert found == [0, 40, 80, 120, 160, 200, 240, 280]
    assert told == ["its times go back by 0.08 s after 0.08 s; they are counted on from there"]


def test_without_stamps_frames_are_a_step_apart():
    clock = RecordingTimes(None, 1.0, 0.04, lambda text: None)
    assert np.allclose([clock.take(5, 3), clock.take(None, None), clock.take(1, 2)], [0, 0.04, 0.08])


@given(st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=1, max_size=60))
def test_whatever_the_stamps_times_never_go_back(stamps):
    known = next((stamp for stamp in stamps if stamp is not None), 0)
    found, _ = times(stamps, origin=known)
    assert found == sorted(found)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=60, unique=True))
def test_stamps_that_rise_are_not_touched(stamps):
    rising = sorted(stamps)
    assert times(rising, origin=rising[0]) == ([stamp - rising[0] for stamp in rising], [])

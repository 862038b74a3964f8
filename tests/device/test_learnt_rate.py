"""Frames at the rate that a filter was learnt at."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from infilink.device.capture import Capture
from infilink.device.config import DeviceConfig
from infilink.device.learnt_rate import LearntRate
from infilink.device.sources.base import Input
from infilink.errors import InvalidInput
from infilink.filters.learnt_from import LearntFrom
from infilink.filters.open_gate import open_gate
from infilink.filters.packets.gate import Choice

from ..filters.made import write_frames, write_tasks
from .conftest import FRAMES


def learnt_at(fps: float) -> LearntFrom:
    return LearntFrom(source="camera", inputs=10, first_s=0.0, last_s=9.0, step_s=1.0 / fps)


@pytest.fixture
def rated(video, tmp_path):
    """The clip (10 frames/s) before a filter that was learnt at another rate."""

    def make(fps: float | None, **changes: object) -> LearntRate:
        learnt = None if fps is None else learnt_at(fps)
        gate = open_gate(write_frames(tmp_path / "f.onnx", learnt_from=learnt, **changes))
        return LearntRate(Capture(config(video), threading.Event()), gate)

    return make


def config(video) -> DeviceConfig:
    return DeviceConfig(name="d", source=str(video), coordinator="h:1", pace="max")


class Live(Capture):
    """A live source whose frames come so many a second."""

    def __init__(self, fps: float, frames: int) -> None:
        super().__init__(config("camera"), threading.Event())
        self.frames = [Input(i, 7.0 + i / fps, np.zeros((2, 2, 3), np.uint8)) for i in range(frames)]

    def __iter__(self) -> Iterator[Input]:
        return iter(self.frames)


@pytest.mark.parametrize("fps", [None, 10.0, 7.0, 14.0])
def test_at_about_the_same_rate_all_frames_are_decided_on(rated, fps, caplog):
    assert [frame.sequence for frame in rated(fps)] == list(range(FRAMES))
    assert not caplog.records


@pytest.mark.parametrize(("fps", "step"), [(5.0, 2), (2.0, 4), (1.0, 7)])
def test_of_a_faster_source_frames_are_left_out(rated, fps, step, caplog):
    """At most one and a half times as many are decided on, or as few."""
    frames = rated(fps)
    assert [frame.sequence for frame in frames] == list(range(0, FRAMES, step))
    assert frames.left_out == FRAMES - len(range(0, FRAMES, step))
    assert caplog.text.count("those in between are left out") == 1


def test_a_recording_that_is_slower_is_refused(rated):
    with pytest.raises(InvalidInput, match=r"v\.avi: gives 10 frames/s, .* was learnt at 25: .* train it on a trace"):
        next(iter(rated(25.0)))


def test_a_live_source_that_is_slower_is_told_once(tmp_path, caplog):
    gate = open_gate(write_frames(tmp_path / "f.onnx", learnt_from=learnt_at(25.0)))
    assert len(list(LearntRate(Live(5.0, 120), gate))) == 120
    assert caplog.text.count("gives 5 frames/s") == 1
    caplog.clear()
    assert len(list(LearntRate(Live(20.0, 120), gate))) == 120 and not caplog.records


def test_times_that_begin_anew_are_taken(tmp_path):
    gate = open_gate(write_frames(tmp_path / "f.onnx", learnt_from=learnt_at(2.0)))
    live = Live(10.0, 9)
    live.frames += Live(10.0, 9).frames
    assert [frame.sequence for frame in LearntRate(live, gate)] == [0, 4, 8, 0, 4, 8]


@pytest.mark.parametrize("text", ["every:2", "tasks"])
def test_a_gate_without_a_rate_takes_all(video, tmp_path, text):
    gate = open_gate(write_tasks(tmp_path / "t.onnx") if text == "tasks" else text)
    assert len(list(LearntRate(Capture(config(video), threading.Event()), gate))) == FRAMES


def test_what_a_packet_gate_has_decoded_is_not_left_out_for_what_it_has_not(rated):
    rate = rated(5.0)
    rate.capture = Live(25.0, 100)
    # One picture of ten is decoded, and never where the rate would have it.
    rate.capture.frames = [
        replace(each, choice=Choice(each.sequence % 10 == 7, 0.0, 0.5, 0.1)) for each in rate.capture.frames
    ]
    found = list(rate)
    assert [each.sequence for each in found if each.decoded] == list(range(7, 100, 10))
    assert 20 <= len(found) <= 40

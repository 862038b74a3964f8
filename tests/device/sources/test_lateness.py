"""Packets that waited in a socket keep the time at which they arrived there."""

import cv2
import numpy as np
import pytest
from infilink.device.sources import live
from infilink.device.sources.lateness import Lateness
from infilink.device.sources.live import StreamReader
from infilink.device.sources.reader import Opening

from .test_damage import Given, Packet

STEP_S = 0.1


def stream(lateness, count, *, begin=0, rate=1.0, read=lambda number: number * STEP_S):
    """How late each packet is found; stamps go at `rate` times the clock."""
    found = []
    for number in range(begin, begin + count):
        read_s = read(number)
        found.append(read_s - lateness.arrived(number * STEP_S * rate, read_s))
    return found


def stopped(begin, count):
    """Reads at once what came while nobody read, then as it comes again."""
    resumed_s = (begin + count) * STEP_S
    return lambda number: number * STEP_S if number < begin else max(number * STEP_S, resumed_s + 1e-4 * number)


def test_a_stream_that_is_read_as_it_comes_is_never_late():
    jitter = [0.0, 0.03, 0.01, 0.08, 0.02]
    assert stream(Lateness(), 500, read=lambda number: number * STEP_S + jitter[number % 5]) == [0.0] * 500


def test_what_waited_for_a_minute_has_the_time_at_which_it_came():
    lateness = Lateness()
    stream(lateness, 100)
    found = stream(lateness, 700, begin=100, read=stopped(100, 600))
    expected = [max(0.0, 60.0 - STEP_S * number) for number in range(700)]
    assert found == pytest.approx(expected, abs=0.2)
    assert stream(lateness, 50, begin=800) == [0.0] * 50


def test_a_line_that_catches_up_slowly_is_late_until_it_has():
    lateness = Lateness()
    stream(lateness, 100)
    # The line stood for 20 s, and then carries a quarter more than what comes.
    found = stream(lateness, 1000, begin=100, read=lambda number: max(number * STEP_S, 30.0 + 0.08 * (number - 100)))
    assert found[0] == pytest.approx(20.0, abs=0.2) and found[500] == pytest.approx(10.0, abs=0.2)
    assert found[-1] == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("rate", [0.4, 2.5])
def test_stamps_of_a_guessed_rate_are_believed_during_a_burst_alone(rate):
    lateness = Lateness()
    stream(lateness, 100, rate=rate)
    found = stream(lateness, 200, begin=100, rate=rate, read=stopped(100, 50))
    assert found[0] > 4.0 and found[60:] == [0.0] * 140


def test_a_clock_that_is_set_and_a_camera_that_pauses_are_no_delay():
    lateness = Lateness()
    stream(lateness, 100)
    assert lateness.arrived(5000.0, 10.0) == 10.0
    assert lateness.arrived(-3.0, 10.1) == 10.1
    # Nothing was made for ten seconds, which the stamps say, too.
    assert lateness.arrived(7.0, 20.1) == pytest.approx(20.1, abs=1e-9)
    assert lateness.arrived(None, 30.0) == 30.0


def test_what_is_sent_faster_than_it_plays_is_not_late():
    assert stream(Lateness(), 300, read=lambda number: 0.001 * number) == [0.0] * 300


def test_a_network_stream_that_nobody_read_gives_its_frames_the_times_at_which_they_came():
    packets = [Packet(number, key=True) for number in range(200)]
    read = stopped(100, 50)
    reads = (read(number) for number in range(200))
    reader = StreamReader(Given(packets), Opening("rtsp://cam"), pytest.fail, clock=lambda: next(reads))
    taken = iter(reader)
    found = [next(taken).captured_s for _ in packets]
    assert found == pytest.approx([number * STEP_S for number in range(200)], abs=0.2)


def test_what_lies_in_a_cameras_driver_is_passed_over(monkeypatch):
    """A camera whose driver holds three old frames when it is asked again."""
    now_s, old = [0.0], []

    class Camera:
        def isOpened(self):  # noqa: N802
            return True

        def get(self, _):
            return 10.0

        def grab(self):
            if old:
                old.pop()
                return True
            now_s[0] += 0.1
            return True

        def read(self):
            self.grab()
            return True, np.full((4, 4, 3), 7 if old else 9, np.uint8)

    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Camera())
    monkeypatch.setattr(live.time, "monotonic", lambda: now_s[0])
    taken = iter(live.CameraReader(Opening("0", kind="camera")))
    next(taken)
    now_s[0] += 60.0
    old.extend(range(3))
    assert next(taken).frame[0, 0, 0] == 9 and not old

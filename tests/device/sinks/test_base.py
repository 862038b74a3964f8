"""The thread that feeds a sink: a slow one is given what is newest, and one that fails is told and tried again."""

import threading

from infilink.device.sinks.base import SinkRunner
from infilink.device.sinks.callback import Callback

from .made import delivered, picture

TIMEOUT_S = 300.0


def test_a_slow_sink_holds_nobody_up_and_leaves_the_oldest_out(caplog):
    begun, go, seen = threading.Event(), threading.Event(), []

    def slow(item):
        begun.set()
        assert go.wait(TIMEOUT_S)
        seen.append(item.sequence)

    shown = picture(size=(100, 100))
    runner = SinkRunner("slow", Callback(slow, pictures=True), most_bytes=3 * 31_000)
    runner.put(delivered(0, picture=shown))
    assert begun.wait(TIMEOUT_S)
    for sequence in range(1, 21):
        runner.put(delivered(sequence, picture=shown))
    go.set()
    runner.close()
    assert seen == [0, 18, 19, 20]
    assert runner.left_out == 17
    assert [record.message for record in caplog.records] == [
        "sink slow: is slower than its inputs come: 1 were left out so far, so that no more than 90.8 KiB wait"
    ]


def test_a_sink_that_fails_is_told_once_and_tried_again(caplog):
    seen = []

    def fails(item):
        seen.append(item.sequence)
        raise OSError("the disk is full")

    runner = SinkRunner("sad", Callback(fails))
    for sequence in range(5):
        runner.put(delivered(sequence, picture=picture()))
    runner.close()
    assert (seen, runner.failed) == ([0, 1, 2, 3, 4], 5)
    assert [record.message for record in caplog.records] == ["sink sad: the disk is full (so far it failed 1 times)"]


def test_who_wants_no_pictures_holds_none():
    seen = []
    runner = SinkRunner("plain", Callback(seen.append))
    runner.put(delivered(0, picture=picture()))
    runner.close()
    assert [item.picture for item in seen] == [None]

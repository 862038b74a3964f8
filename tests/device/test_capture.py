"""Capture: frames at the source's pace, and a live source that breaks is opened again."""

import os
import threading
from collections.abc import Callable
from contextlib import contextmanager

import pytest
from infilink.device.capture import Capture
from infilink.device.config import DeviceConfig
from infilink.errors import InvalidInput, Unavailable

from ..clips import Stream, brightness, write_clip
from .conftest import FRAMES


class Stopped(threading.Event):
    """Passes the time that somebody waits for it at once, on a clock of its own.

    Attributes:
        waits: how long each wait was.
        meanwhile: what happens during a wait, by its number from 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 50.0
        self.waits: list[float] = []
        self.meanwhile: dict[int, Callable[[], object]] = {}

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now += timeout
        self.waits.append(timeout)
        self.meanwhile.get(len(self.waits), lambda: None)()
        return self.is_set()


def config(source, **settings):
    return DeviceConfig(**{"name": "d", "source": str(source), "coordinator": "h:1", "pace": "max", **settings})


@contextmanager
def program(path, content):
    """Writes into a pipe, as a program that ends then: it waits until somebody reads."""
    writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
    writer.start()
    yield
    writer.join(60)
    assert not writer.is_alive()


def level(frame):
    return round(float(frame.value.mean()))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("stream") / "s.ts", frames=FRAMES, bf="0").read_bytes()


@pytest.fixture
def stream(content):
    """The clip as a stream: it breaks at the clip's end, and can be away for a while."""
    with Stream(content) as opened:
        yield opened


def test_a_file_ends_with_its_last_frame(video):
    stopped = Stopped()
    capture = Capture(config(video), stopped)
    capture.first = 7
    assert [frame.sequence for frame in capture] == list(range(FRAMES))
    assert stopped.waits == [], "as fast as they can be read"


def test_one_of_so_many_frames_is_looked_at_and_keeps_its_number(video):
    capture = Capture(config(video, every=3), Stopped())
    found = [(frame.sequence, frame.captured_s) for frame in capture]
    whole = Capture(config(video), Stopped())
    assert found == [(frame.sequence, frame.captured_s) for frame in whole if frame.sequence % 3 == 0]
    assert capture.fps == pytest.approx(whole.fps / 3)


def test_at_the_source_s_pace_no_frame_comes_before_its_time(video):
    stopped = Stopped()
    for frame in Capture(config(video, pace="source"), stopped, clock=lambda: stopped.now):
        assert stopped.now >= 50.0 + frame.captured_s - 1e-9
        if frame.sequence == 4:
            # What takes longer than a frame's time is made up for: the frames after it come at once.
            stopped.now += 0.35
    waits = [0.0] + [0.1] * 4 + [0.0] * 3 + [0.05] + [0.1] * 21
    assert stopped.waits == pytest.approx(waits)


def test_a_capture_that_is_stopped_ends_before_the_next_frame(video):
    stopped = Stopped()
    frames = iter(Capture(config(video), stopped))
    assert next(frames).sequence == 0
    stopped.set()
    assert next(frames, None) is None


def test_a_live_source_that_breaks_is_opened_again_and_counts_on(stream, caplog):
    stopped = Stopped()
    stopped.meanwhile[2] = stopped.set
    capture = Capture(config(stream.address), stopped)
    capture.open()
    assert capture.live
    capture.first = 100
    frames = list(capture)
    assert [frame.sequence for frame in frames] == list(range(100, 100 + 2 * FRAMES))
    assert [level(frame) for frame in frames[FRAMES:]] == [level(frame) for frame in frames[:FRAMES]]
    assert level(frames[3]) == pytest.approx(brightness(3), abs=6)
    assert sum("the stream ended after 30 frames; trying again" in record.message for record in caplog.records) == 2


def test_a_live_source_that_stays_away_is_tried_ever_more_seldom(stream):
    content, stopped = stream.content, Stopped()

    def send(what):
        stream.content = what

    stopped.meanwhile = {1: lambda: send(None), 7: lambda: send(content), 8: stopped.set}
    assert len(list(Capture(config(stream.address), stopped, draw=lambda: 0.0))) == 2 * FRAMES
    # Doubled with each attempt up to the longest, and from the start after it has been back.
    assert stopped.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 0.5]


def test_a_source_that_cannot_be_opened_at_the_start_is_not_tried_again(tmp_path):
    stopped = Stopped()
    with pytest.raises(Unavailable, match="can't be opened"):
        next(iter(Capture(config("tcp://127.0.0.1:1"), stopped)))
    with pytest.raises(InvalidInput, match="no such file or folder"):
        next(iter(Capture(config(tmp_path / "none.avi"), stopped)))
    assert not stopped.waits


@pytest.mark.parametrize("stays", [True, False])
def test_a_named_pipe_goes_on_with_its_next_writer_where_it_is_to_stay(tmp_path, stays):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    capture = Capture(config(f"csv:{path}"), threading.Event(), stays=stays)
    with program(path, b"x,y\n1,2"):
        inputs = iter(capture)
        assert next(inputs).value.tolist() == [[1, 2]] and capture.live
    if not stays:
        assert list(inputs) == []
        return
    with program(path, b"x,y\n3,4\n"):
        taken = next(inputs)
    assert taken.value.tolist() == [[3, 4]] and taken.sequence == 1
    capture.stop()
    assert list(inputs) == []

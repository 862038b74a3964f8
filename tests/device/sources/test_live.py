"""A live source: when a frame arrived, however late it is taken; and what goes when nobody takes it."""

import os
import threading
import time
from dataclasses import dataclass

import pytest
from infilink.device.sources.container import open_video
from infilink.device.sources.live import Packets, StreamReader
from infilink.device.sources.open import is_live, open_source
from infilink.device.sources.reader import Opening
from infilink.errors import InfilinkError, InvalidInput, Unavailable
from infilink.traces.source_name import is_always_live

from ...clips import Stream, write_clip


@dataclass
class Packet:
    number: int
    is_keyframe: bool
    size: int = 10


def test_frames_that_waited_have_the_time_of_their_arrival(tmp_path):
    clip = write_clip(tmp_path / "a.ts", frames=20, bf="2")
    before = time.monotonic()
    with Stream(clip.read_bytes()) as stream:
        opening = Opening(stream.address)
        reader = StreamReader(open_video(opening), opening)
        # It may have taken everything already.
        for thread in threading.enumerate():
            if thread.name == "stream":
                thread.join()
    after = time.monotonic()
    taken = iter(reader)
    arrived = [next(taken).captured_s for _ in range(20)]
    assert arrived == sorted(arrived) and before < arrived[0] <= arrived[-1] < after
    with pytest.raises(Unavailable, match="ended after 20 frames"):
        next(taken)


def test_packets_come_in_order_with_their_times():
    packets = Packets()
    for number in range(3):
        packets.put(Packet(number, number == 0), float(number))
    packets.end(" (why)")
    assert [(packet.number, arrived) for packet, arrived in packets] == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert packets.why == " (why)"


def test_too_many_packets_go_up_to_the_next_key_frame():
    packets = Packets()
    for number in range(5000):
        packets.put(Packet(number, number % 100 == 0), float(number))
    packets.end("")
    kept = [packet.number for packet, _ in packets]
    assert kept[0] % 100 == 0 and kept[-1] == 4999 and len(kept) <= 2048
    assert kept == list(range(kept[0], 5000))


def test_large_packets_are_bounded_too():
    packets = Packets()
    for number in range(200):
        packets.put(Packet(number, True, size=2**22), float(number))
    packets.end("")
    assert len(list(packets)) <= 17


def test_seconds_of_a_stream_are_seconds_of_arrival(tmp_path):
    clip = write_clip(tmp_path / "a.ts", frames=20, bf="0")
    with Stream(clip.read_bytes()) as stream, open_source(stream.address, seconds=1e-9) as source:
        assert 1 <= len(list(source)) < 20


def test_a_password_is_in_no_error():
    for scheme in ("rtsp", "http", "tcp", "rstp"):
        with pytest.raises(InfilinkError) as raised:
            open_source(f"{scheme}://user:hush@127.0.0.1:1/x?token=hush")
        assert "hush" not in str(raised.value) and "user" not in str(raised.value)
        assert "hush" not in str(raised.value.__cause__)


def test_a_named_pipe_is_a_live_video(tmp_path):
    clip, pipe = write_clip(tmp_path / "a.ts", frames=30, bf="0"), tmp_path / "pipe"
    os.mkfifo(pipe)
    assert is_live(str(pipe)) and is_always_live(f"file://{pipe}")
    writer = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()))
    writer.start()
    with open_source(f"video:{pipe}") as source:
        assert source.live
        taken = iter(source)
        assert next(taken).value.shape == (48, 64, 3)
        with pytest.raises(Unavailable, match="the stream ended"):
            list(taken)
    writer.join()
    with pytest.raises(InvalidInput, match="is live"):
        open_source(str(pipe), loop=True)


def test_what_does_not_open_is_given_up_once_that_is_asked_for(tmp_path):
    pipe, stopped = tmp_path / "pipe.ts", threading.Event()
    os.mkfifo(pipe)
    threading.Timer(0.1, stopped.set).start()
    with pytest.raises(Unavailable, match="not open yet when it was to end"):
        open_source(str(pipe), stopped=stopped)

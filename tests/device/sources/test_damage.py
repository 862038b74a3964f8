"""Network streams as they are: joined in the middle, damaged, hung, garbage; and cameras that are asked for a size."""

import os
import signal
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest
from infilink.device.sources.decoded import DecodedSource
from infilink.device.sources.live import StreamReader
from infilink.device.sources.open import open_source
from infilink.device.sources.reader import Opening
from infilink.errors import InfilinkError, InvalidInput, Unavailable

from ...clips import Stream, brightness, write_clip


class Packet:
    """A packet that stands for a picture, or fails to."""

    def __init__(self, number, *, key=False, broken=False):
        self.pts = self.dts = number
        self.is_keyframe, self.size, self.broken = key, 10, broken
        self.is_discard = False

    def decode(self):
        return [Decoded(self.pts, self.broken)]


class Decoded:
    def __init__(self, pts, corrupt):
        self.pts, self.is_corrupt = pts, corrupt


class Given:
    """A stream whose packets are given."""

    name = "rtsp://cam"

    class stream:  # noqa: N801
        average_rate = guessed_rate = 10
        time_base = Fraction(1, 10)

    def __init__(self, packets):
        self._packets = packets

    def packets(self):
        return iter(self._packets)


def pictures(packets, told=pytest.fail):
    taken = iter(StreamReader(Given(packets), Opening("rtsp://cam"), told))
    found: list[int] = []
    with pytest.raises(Unavailable, match="the stream ended"):
        found.extend(each.frame.pts for each in taken)
    return found


def test_a_stream_begins_at_a_key_frame():
    assert pictures([Packet(number, key=number in (3, 8)) for number in range(10)]) == list(range(3, 10))


def test_after_damage_it_goes_on_at_the_next_key_frame():
    said = []
    packets = [Packet(number, key=number in (0, 6), broken=number in (3, 4)) for number in range(10)]
    assert pictures(packets, said.append) == [0, 1, 2, 6, 7, 8, 9]
    assert said == ["is damaged; it goes on with the next key frame"]


def test_a_stream_without_key_frames_is_taken_as_it_is_after_a_while():
    reader = StreamReader(Given([]), Opening("rtsp://cam"), pytest.fail)
    reader._waiting = [(Packet(number), float(number)) for number in range(15)]
    assert [taken.frame.pts for taken in islice(reader, 4)] == [10, 11, 12, 13]


def test_a_stream_of_which_nothing_can_be_decoded_is_given_up():
    class Nothing(Packet):
        def decode(self):
            return []

    reader = StreamReader(Given([]), Opening("rtsp://cam"), pytest.fail)
    reader._waiting = [
        (Packet(0, key=True), 0.0),
        *((Nothing(number, key=True), float(number)) for number in range(1, 50)),
    ]
    taken = iter(reader)
    assert next(taken).frame.pts == 0
    with pytest.raises(Unavailable, match="nothing of it could be decoded for 20 s, after 1 frames"):
        next(taken)


def test_a_stream_that_is_joined_in_its_middle_begins_with_a_whole_picture(tmp_path):
    clip = write_clip(tmp_path / "a.ts", frames=40, bf="0", g="20", **{"sc_threshold": "0"})
    content = clip.read_bytes()
    part = content[len(content) // 4 // 188 * 188 :]
    with Stream(part) as stream, open_source(stream.address) as source:
        first = next(iter(source))
    assert round(float(first.value.mean())) == pytest.approx(brightness(20), abs=8)


def test_garbage_is_one_line():
    noise = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
    with Stream(noise) as stream, pytest.raises(InfilinkError) as raised:
        list(open_source(stream.address))
    assert "\n" not in str(raised.value) and stream.address in str(raised.value)


def test_a_decoder_that_hangs_is_ended(tmp_path):
    clip = write_clip(tmp_path / "a.ts", frames=200, bf="0")
    source = DecodedSource(Opening(str(clip)))
    next(iter(source))
    source.silent_s = 0.3
    pid = source.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(InvalidInput, match=r"its decoder gave nothing for 0\.3 s|its decoder gave nothing for 0 s"):
        list(source)
    assert source.pid is None


@pytest.mark.parametrize("asked", ["size=big", "fps=0", "format=MJ", "x=1", "size=640x480&fps=a"])
def test_a_camera_is_asked_for_what_there_is(asked):
    with pytest.raises(InfilinkError, match=r"size=WIDTHxHEIGHT|can't be opened"):
        open_source(f"v4l2:/dev/video99?{asked}")


def test_a_camera_that_is_not_there_is_unavailable():
    for text in ("99", "/dev/video99", "v4l2:/dev/video99?size=640x480"):
        with pytest.raises(Unavailable, match=r"camera .*can't be opened"):
            open_source(text)


def test_a_recording_that_is_damaged_is_read_and_says_so(tmp_path, caplog):
    clip = write_clip(tmp_path / "a.mp4", frames=40, bf="0", g="10")
    content = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        for number, packet in enumerate(container.demux(video=0)):
            if number in (13, 26):
                content[packet.pos : packet.pos + 4] = b"\xff" * 4  # How long what follows is.
    clip.write_bytes(content)
    with open_source(str(clip)) as source:
        assert len(list(source)) == 38
    assert "is damaged at about" in caplog.text and "damaged: 2 times in all" in caplog.text

"""Sources: frames by number and time, and what is no video said in one line."""

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest
from infilink.device.sources.open import open_source
from infilink.errors import InvalidInput, Unavailable

from ...clips import Stream, brightness, web, write_clip


def level(frame):
    return float(frame.value.mean())


def read(path, **options):
    with open_source(str(path), **options) as source:
        return list(source)


def times(path, **options):
    return [frame.captured_s for frame in read(path, **options)]


def test_frames_are_numbered_and_timed_by_their_place_in_the_file(video):
    with open_source(str(video)) as source:
        frames = list(source)
    assert (source.inputs_per_s, source.input_count, source.live, source.times) == (10, 30, False, "read")
    assert [frame.sequence for frame in frames] == list(range(30))
    assert [frame.source_s for frame in frames] == [frame.captured_s for frame in frames]
    assert frames[25].captured_s == pytest.approx(2.5)
    assert frames[0].value.shape == (48, 64, 3) and frames[0].value.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"bf": "2"}),
        ("a.mkv", {"bf": "2"}),
        ("a.ts", {"bf": "2", "g": "10"}),
        ("a.avi", {"codec": "mpeg4", "bf": "2"}),
        ("a.avi", {"codec": "mjpeg"}),
        ("a.webm", {"codec": "libvpx", "auto-alt-ref": "1", "lag-in-frames": "5"}),
        ("a.webm", {"codec": "libvpx-vp9"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_every_container_gives_the_same_times_pictures_and_numbers(tmp_path, name, options):
    clip = write_clip(tmp_path / name, fps=10, **options)
    frames = read(clip)
    assert [frame.sequence for frame in frames] == list(range(30))
    assert [frame.captured_s for frame in frames] == pytest.approx([index / 10 for index in range(30)], abs=0.002)
    assert [level(frame) for frame in frames] == pytest.approx([brightness(index) for index in range(30)], abs=8)
    part = read(clip, start_s=1.2, seconds=0.5)
    assert [frame.sequence for frame in part] == [12, 13, 14, 15, 16]
    assert [frame.captured_s for frame in part] == [frame.captured_s for frame in frames[12:17]]
    assert all(np.array_equal(one.value, other.value) for one, other in zip(part, frames[12:17], strict=True))


def uneven():
    """12.5 frames a second, and from the 40th on they are 8 times as far apart."""
    return [min(index, 40) / 12.5 + max(0, index - 40) * 8 / 12.5 for index in range(50)]


def test_frames_that_are_not_evenly_spaced_keep_their_times(tmp_path):
    clip = write_clip(tmp_path / "vfr.mp4", uneven(), fps=25)
    assert times(clip) == pytest.approx(uneven(), abs=1e-3)
    assert times(clip)[39] == pytest.approx(3.12)
    part = read(clip, start_s=3.2, seconds=2)
    assert [frame.captured_s for frame in part] == pytest.approx([3.2, 3.84, 4.48, 5.12], abs=1e-3)
    assert [frame.sequence for frame in part] == [40, 41, 42, 43]


def test_what_an_edit_list_hides_is_neither_counted_nor_missed(tmp_path, caplog):
    clip = write_clip(tmp_path / "trimmed.mp4", [index / 10 - 1.5 for index in range(40)], bf="2", g="12")
    frames = read(clip)
    assert [frame.sequence for frame in frames] == list(range(len(frames))) and 20 <= len(frames) <= 26
    part = read(clip, start_s=1.2)
    assert [(frame.sequence, frame.captured_s) for frame in part] == [
        (frame.sequence, frame.captured_s) for frame in frames if frame.captured_s > 1.198
    ]
    assert not caplog.text


def test_a_recording_whose_frames_come_seldom_is_whole(tmp_path, caplog):
    clip = write_clip(
        tmp_path / "vfr.mkv", [index / 10 if index < 20 else 2 + (index - 20) * 0.7 for index in range(40)]
    )
    assert len(read(clip)) == 40 and not caplog.text


def test_a_webm_without_a_frame_rate_keeps_its_times(tmp_path):
    shown = [index / 12.5 + random.Random(index).uniform(-0.004, 0.004) + 0.01 for index in range(75)]
    clip = write_clip(tmp_path / "a.webm", shown, fps=25, codec="libvpx")
    # Its element DefaultDuration (0x23E383) becomes one that says nothing (Void, 0xEC, of as many bytes).
    content = clip.read_bytes()
    at = content.index(b"\x23\xe3\x83")
    length = content[at + 3] & 0x7F
    clip.write_bytes(
        content[:at] + b"\xec" + bytes([0x80 | length + 2]) + bytes(length + 2) + content[at + 4 + length :]
    )
    with open_source(str(clip)) as source:
        found = [frame.captured_s for frame in source]
    assert found == pytest.approx([time_s - shown[0] for time_s in shown], abs=0.002)
    assert source.inputs_per_s == pytest.approx(12.5, rel=0.1)


def test_what_comes_after_a_hole_keeps_its_time(tmp_path):
    clip = write_clip(tmp_path / "a.ts", frames=150, fps=25, size=(320, 240), g="10", bf="0")
    content = bytearray(clip.read_bytes())
    start, stop = len(content) // 3, 2 * len(content) // 3
    content[start:stop] = random.Random(0).randbytes(stop - start)
    clip.write_bytes(content)
    frames = read(clip)
    assert len(frames) < 140 and frames[-1].captured_s == pytest.approx(149 / 25)
    for frame in frames[-20:]:
        assert level(frame) == pytest.approx(brightness(round(frame.captured_s * 25)), abs=8)


def test_recordings_that_were_joined_go_on_in_time(tmp_path, caplog):
    one = write_clip(tmp_path / "one.ts", frames=30, fps=10, g="10")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    found = times(joined)
    assert found == pytest.approx([index / 10 for index in range(60)], abs=0.15) and found == sorted(found)
    assert "its times go back by" in caplog.text
    part = read(joined, start_s=4.0, seconds=1)
    assert [frame.captured_s for frame in part] == [time_s for time_s in found if 3.998 <= time_s < 4.998]


@pytest.mark.parametrize("name", ["a.h264", "a.avi"])
def test_a_guessed_rate_is_said_to_be_one(tmp_path, name, caplog):
    clip = write_clip(tmp_path / name, fps=10, codec="mjpeg" if name == "a.avi" else "libx264")
    if name == "a.avi":
        content = bytearray(clip.read_bytes())
        video, header = content.index(b"vids"), content.index(b"avih")
        content[video + 20 : video + 28] = bytes(8)
        content[header + 8 : header + 12] = bytes(4)
        clip.write_bytes(content)
    with open_source(str(clip)) as source:
        assert [frame.captured_s for frame in source] == pytest.approx([index / 25 for index in range(30)])
    assert source.times == "invented" and "25 frames a second is a guess" in caplog.text


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_picture_is_turned_as_a_player_turns_it(tmp_path, degrees):
    clip = write_clip(tmp_path / "a.mp4", frames=2, rotation=degrees)
    content = {frame.sequence: frame.value for frame in read(clip)}
    reader = cv2.VideoCapture(str(clip))
    for index in range(2):
        done, image = reader.read()
        assert done and np.array_equal(content[index], image)
    reader.release()


def test_a_loop_goes_on_counting_and_says_what_it_repeats(video):
    with open_source(str(video), seconds=7.0, loop=True) as source:
        frames = list(source)
    assert source.input_count == 70 and [frame.sequence for frame in frames] == list(range(70))
    assert [frame.captured_s for frame in frames] == pytest.approx([index / 10 for index in range(70)])
    assert [frame.source_s for frame in frames] == pytest.approx([index % 30 / 10 for index in range(70)])
    assert level(frames[31]) == pytest.approx(level(frames[1]))


def test_a_loop_ends_when_it_is_closed(video):
    source = open_source(str(video), loop=True)
    frames = iter(source)
    next(frames)
    source.close()
    assert next(frames, None) is None


@pytest.mark.parametrize("content", [b"", b"not a video " * 500, None], ids=["empty", "text", "missing"])
def test_what_is_no_video_is_one_line(tmp_path, content):
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"x\.mp4") as raised:
        open_source(str(path))
    assert "\n" not in str(raised.value)


def test_a_picture_that_is_too_large_is_refused_before_memory_is_taken(tmp_path):
    clip = write_clip(tmp_path / "a.avi", frames=2, codec="mjpeg")
    # In the container's header, in each JPEG's, or in both.
    said = (64).to_bytes(4, "little") + (48).to_bytes(4, "little"), (60_000).to_bytes(4, "little") * 2
    own = b"\xff\xc0\x00\x11\x08\x00\x30\x00\x40", b"\xff\xc0\x00\x11\x08" + (60_000).to_bytes(2, "big") * 2
    content = clip.read_bytes()
    assert said[0] in content and own[0] in content
    for changed in (content.replace(*own), content.replace(*said).replace(*own)):
        clip.write_bytes(changed)
        with pytest.raises(InvalidInput, match=r"more than 33554432 pixels|no frame can be decoded"):
            read(clip)


@pytest.mark.parametrize("name", ["2026-01-31T08:00:00.mp4", "front: door.mp4", "rate 100%.mp4", "-a.mp4"])
def test_a_file_is_a_file_whatever_it_is_called(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_clip(Path("clip.mp4"), frames=3).rename(name)
    assert len(read(name)) == 3
    assert len(read((tmp_path / name).as_uri())) == 3
    assert len(read(f"file://{tmp_path / name}")) == 3


def test_an_address_in_a_file_s_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tcp:").mkdir()
    write_clip(tmp_path / "tcp:" / "clip.mp4", frames=3)
    assert len(read("tcp://clip.mp4")) == 3


def test_a_missing_file_is_a_missing_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("2026-01-31T08:00:00.mp4", "cam1://a.mp4", "file:///nowhere/a.mp4"):
        with pytest.raises(InvalidInput, match="there is no such file or folder"):
            open_source(name)
    with pytest.raises(InvalidInput, match="is a folder"):
        open_source(str(tmp_path))


def test_nothing_is_written_into_the_terminal(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"not a video " * 500)
    code = f"""
from infilink.device.sources.open import open_source
from infilink.errors import InfilinkError
for text in ({str(path)!r}, "97", "rtsp://127.0.0.1:1/none"):
    try:
        open_source(text)
    except InfilinkError:
        continue
    raise AssertionError(text)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_start_behind_the_end_names_the_end(video):
    with pytest.raises(InvalidInput, match=r"ends before `start_s` 99, at 2.90 s"):
        open_source(str(video), start_s=99)


def test_a_cut_off_video_gives_what_is_there_and_warns(video, tmp_path, caplog):
    path = tmp_path / "cut.avi"
    path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with open_source(str(path)) as source:
        given = len(list(source))
    assert 0 < given < 30
    assert f"ended after {given} frames of 30; is it whole?" in caplog.text


@pytest.mark.parametrize("text", ["97", "rtsp://127.0.0.1:1/none"])
def test_a_live_source_that_is_not_there_is_unavailable(text):
    with pytest.raises(Unavailable, match="can't be opened"):
        open_source(text)


def test_a_stream_is_live_and_ends_as_unavailable(tmp_path):
    clip = write_clip(tmp_path / "a.ts", frames=20, bf="0")
    with Stream(clip.read_bytes()) as stream, open_source(stream.address) as source:
        assert source.live and source.input_count is None and source.times == "read"
        frames = iter(source)
        arrived = [next(frames).captured_s for _ in range(20)]
        assert arrived == sorted(arrived)
        with pytest.raises(Unavailable, match="the stream ended after 20 frames"):
            next(frames)


@pytest.fixture
def playlist(tmp_path):
    """Four seconds in HLS."""
    write_clip(tmp_path / "a.m3u8", frames=40, form="hls", g="10", bf="0", hls_time="1", hls_list_size="0")
    return tmp_path / "a.m3u8"


def test_a_recording_at_an_address_has_its_own_times(playlist):
    write_clip(playlist.with_name("a.mp4"), uneven(), fps=25)
    # Its length is not told: the server gives no parts of a file, and its end can't be looked at.
    write_clip(playlist.with_name("b.ts"), uneven(), fps=25, bf="0")
    with web(playlist.parent) as address:
        for name, expected in (
            ("a.m3u8", [index / 10 for index in range(40)]),
            ("a.mp4", uneven()),
            ("b.ts", uneven()),
        ):
            with open_source(f"{address}/{name}?token=hush") as source:
                assert not source.live and source.name == f"{address}/{name}?token=***"
                assert [frame.captured_s for frame in source] == pytest.approx(expected, abs=1e-3)
        part = read(f"{address}/a.m3u8", start_s=2.5, seconds=0.3)
    assert [(frame.sequence, round(frame.captured_s, 3)) for frame in part] == [(25, 2.5), (26, 2.6), (27, 2.7)]


def test_a_file_whose_index_is_out_of_reach_is_said_to_be_downloaded(tmp_path):
    write_clip(tmp_path / "a.mov", size=(320, 240), codec="rawvideo")
    with web(tmp_path) as address, pytest.raises(Unavailable, match=r"a.mov: .*; if its server .* download it first"):
        read(f"{address}/a.mov")


def test_a_playlist_that_goes_on_is_live(playlist):
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    with web(playlist.parent) as address, open_source(f"{address}/a.m3u8") as source:
        assert source.live and next(iter(source)).source_s is None
        with pytest.raises(InvalidInput, match="is live"):
            open_source(f"{address}/a.m3u8", start_s=1.0)


def test_what_a_decoder_dies_of_ends_its_source_alone(tmp_path, video):
    clip = write_clip(tmp_path / "a.ts", frames=20)
    with (
        Stream(clip.read_bytes()) as stream,
        open_source(str(video)) as file,
        open_source(stream.address) as live,
        open_source(str(video)) as other,
    ):
        children = {child.pid for child in decoders()}
        assert len(children) >= 3
        for source, kind in ((file, InvalidInput), (live, Unavailable)):
            os.kill(source.pid, signal.SIGABRT)
            with pytest.raises(kind, match=r"its decoder died \(SIGABRT\)"):
                list(source)
        assert len(list(other)) == 30


def decoders():
    return psutil.Process().children(recursive=True)


def test_a_decoder_ends_with_its_owner(video):
    code = f"""
import os, signal
from infilink.device.sources.open import open_source
source = open_source({str(video)!r}, loop=True)
next(iter(source))
print(source.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(timeout=300)


def test_options_that_make_no_sense_are_refused(video):
    with pytest.raises(InvalidInput, match="seconds above 0"):
        open_source(str(video), seconds=0)
    with pytest.raises(InvalidInput, match="is live"):
        open_source("0", loop=True)


def test_raw_pictures_that_another_decoder_dies_of(data_faults):
    frames = read(data_faults / "raw_bgr24.avi")
    assert len(frames) == 51 and frames[-1].captured_s == pytest.approx(50 / 15)


def test_a_real_clip_whose_frames_are_not_evenly_spaced(data_faults):
    clip = data_faults / "variable_rate.mp4"
    with av.open(str(clip)) as container:
        shown = [float(frame.time) for frame in container.decode(video=0)]
    found = times(clip)
    assert found == pytest.approx([time_s - shown[0] for time_s in shown])
    half = times(clip, start_s=17.0, seconds=4)
    assert half == [time_s for time_s in found if 16.998 <= time_s < 20.998]


@pytest.fixture
def data_faults():
    folder = Path(os.environ.get("INFILINK_DATA", Path(__file__).parents[3].parent / "shared" / "data")) / "faults"
    if not folder.is_dir():
        pytest.skip(f"no real clips at {folder}")
    return folder

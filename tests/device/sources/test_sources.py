"""Sources: frames by number, and what is no video said in one line."""

import subprocess
import sys

import numpy as np
import pytest
from infilink.device.sources.open import open_source
from infilink.errors import InvalidInput, Unavailable


def brightness(frame):
    return float(frame.image.mean())


def test_frames_are_numbered_and_timed_by_their_place_in_the_file(video):
    with open_source(str(video)) as source:
        frames = list(source)
    assert (source.fps, source.frame_count, source.live) == (10, 30, False)
    assert [frame.sequence for frame in frames] == list(range(30))
    assert frames[25].captured_s == pytest.approx(2.5)
    assert frames[0].image.shape == (48, 64, 3) and frames[0].image.dtype == np.uint8


def test_a_part_has_the_same_frames_and_numbers_as_the_whole(video):
    whole = list(open_source(str(video)))
    part = list(open_source(str(video), start_s=1.0, seconds=0.5))
    assert [frame.sequence for frame in part] == [10, 11, 12, 13, 14]
    for frame in part:
        assert np.array_equal(frame.image, whole[frame.sequence].image)


def test_a_loop_goes_on_counting(video):
    with open_source(str(video), seconds=7.0, loop=True) as source:
        frames = list(source)
    assert source.frame_count == 70 and [frame.sequence for frame in frames] == list(range(70))
    assert brightness(frames[31]) == pytest.approx(brightness(frames[1]))


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


def test_ffmpeg_and_opencv_write_nothing_themselves(tmp_path):
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
    with pytest.raises(InvalidInput, match="ends before `start_s` 99"):
        open_source(str(video), start_s=99)


def test_a_cut_off_video_gives_what_is_there_and_warns(video, tmp_path, caplog):
    path = tmp_path / "cut.avi"
    path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with open_source(str(path)) as source:
        given = len(list(source))
    assert 0 < given < 30
    # What is missing shows where the file's header says how many frames there should be.
    missing = given < 0.9 * source.frame_count
    assert (f"ended after {given} frames of {source.frame_count}; is it whole?" in caplog.text) == missing


@pytest.mark.parametrize("text", ["97", "rtsp://127.0.0.1:1/none"])
def test_a_live_source_that_is_not_there_is_unavailable(text):
    with pytest.raises(Unavailable, match="can't be opened"):
        open_source(text)


def test_options_that_make_no_sense_are_refused(video):
    with pytest.raises(InvalidInput, match="seconds above 0"):
        open_source(str(video), seconds=0)
    with pytest.raises(InvalidInput, match="is live"):
        open_source("0", loop=True)

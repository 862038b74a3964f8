"""Annotated video: pieces that can be played, with what was found drawn in, at the times of the inputs."""

import shutil

import av
import numpy as np
import pytest
from infilink.device.sinks.drawing import TRUST_COLORS, draw_results, scaled
from infilink.device.sinks.settings import VideoConfig
from infilink.device.sinks.video import Video

from .made import PERSON, boxes, delivered, picture, said


def video(folder, **settings):
    return Video(VideoConfig(kind="video", folder=folder, **settings), clock=lambda: 0.0)


def played(path):
    with av.open(str(path)) as container:
        frames = [
            (round(float(frame.time), 3), frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)
        ]
        return [time_s for time_s, _ in frames], [pixels for _, pixels in frames]


@pytest.mark.parametrize("form", ["mp4", "mkv"])
def test_a_piece_has_each_picture_at_its_time_with_the_boxes_in(tmp_path, form):
    sink = video(tmp_path, format=form, crf=10)
    for sequence in (0, 1, 5):
        found = said(boxes(PERSON), trust="revoked")
        sink.take(delivered(sequence, found, picture=picture(90, (320, 240))))
    sink.take(delivered(4, said(boxes(PERSON)), late=True))
    sink.close()
    (path,) = tmp_path.iterdir()
    assert path.name == f"door-20270115T080000Z.{form}"
    times_s, pictures = played(path)
    assert times_s == [0.0, 0.1, 0.5]
    left = pictures[0][100:200, 60:70].astype(int)
    assert (np.abs(left - TRUST_COLORS["revoked"]).max(axis=2) < 60).any()
    assert abs(pictures[0][230, 300].astype(int) - 90).max() < 6


def test_a_piece_ends_after_its_minutes_with_another_size_and_when_a_recording_begins_anew(tmp_path):
    sink = video(tmp_path, minutes=0.01)
    for sequence in range(20):
        sink.take(delivered(sequence, picture=picture()))
    sink.take(delivered(20, picture=picture(size=(32, 48))))
    sink.take(delivered(21, picture=picture(size=(32, 48)), captured_s=0.0))
    sink.close()
    assert sorted(len(played(path)[0]) for path in tmp_path.iterdir()) == [1, 1, 2, 6, 6, 6]


def test_more_pictures_a_second_than_are_wanted_are_left_out(tmp_path):
    sink = video(tmp_path, fps=5.0)
    for sequence in range(10):
        sink.take(delivered(sequence, picture=picture()))
    sink.close()
    (path,) = tmp_path.iterdir()
    assert played(path)[0] == [0.0, 0.2, 0.4, 0.6, 0.8]


def test_the_oldest_pieces_go_when_there_is_no_room(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    (tmp_path / "notes.txt").write_text("mine")
    sink = video(tmp_path, minutes=0.02, size_bytes=2**20, crf=0)
    for sequence in range(100):
        sink.take(delivered(sequence, picture=np.roll(noise, sequence, axis=1)))
    sink.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 2**20
    assert (tmp_path / "notes.txt").exists() and len(list(tmp_path.glob("*.mp4"))) >= 1


def test_a_piece_that_is_cut_off_can_be_played_so_far(tmp_path):
    sink = video(tmp_path, fps=10.0)
    for sequence in range(60):
        sink.take(delivered(sequence, picture=picture(sequence * 4)))
    (path,) = tmp_path.iterdir()
    assert len(played(path)[0]) >= 20
    sink.close()


def test_what_can_not_be_written_ends_the_piece_and_is_tried_again_after_a_while(tmp_path, monkeypatch):
    now = [0.0]
    config = VideoConfig(kind="video", folder=tmp_path / "v")
    sink = Video(config, clock=lambda: 0.0, monotonic=lambda: now[0])
    sink.take(delivered(0, picture=picture()))

    def full(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sink, "_add", full)
        with pytest.raises(OSError, match="no space"):
            sink.take(delivered(1, picture=picture()))
    sink.take(delivered(2, picture=picture()))
    assert len(list((tmp_path / "v").iterdir())) == 1
    shutil.rmtree(tmp_path / "v")
    now[0] = 10.0
    sink.take(delivered(3, picture=picture()))
    sink.close()
    (path,) = (tmp_path / "v").iterdir()
    assert played(path)[0] == [0.0]


def test_pictures_are_made_smaller_with_even_sides_and_never_larger():
    assert scaled(picture(size=(1921, 1081)), 1280).shape == (720, 1280, 3)
    assert scaled(picture(size=(33, 21)), 1280).shape == (20, 32, 3)
    shown = picture()
    assert scaled(shown, 1280) is not shown


@pytest.mark.parametrize("size", [(2, 2), (10, 3), (1, 700), (641, 2)])
def test_the_smallest_pictures_can_be_drawn_into(size):
    draw_results(picture(size=size), delivered(0, said(boxes(PERSON))))

"""H.264 files as a browser plays them, and what a stream of the same frames would take."""

from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.examples.videofile import VideoFileWriter, stream_sizes
from infilink.outputs import Array


def moving(count: int, *, height: int = 48, width: int = 64) -> list[Array]:
    """A bright square that moves to the right over grey."""
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), 90, np.uint8)
        frame[8:24, 2 * i % 40 : 2 * i % 40 + 16] = 220
        frames.append(frame)
    return frames


def test_a_file_has_its_frames_at_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.9, 1.0]
    with VideoFileWriter(tmp_path / "a.mp4", fps=10) as writer:
        for at_s, frame in zip(times, moving(5), strict=True):
            writer.write(frame, at_s)
    with av.open(str(tmp_path / "a.mp4")) as video:
        found = [frame.time for frame in video.decode(video=0)]
        assert video.streams.video[0].codec_context.name == "h264"
    assert found == pytest.approx(times, abs=1e-3)


def test_an_odd_side_is_no_error(tmp_path: Path) -> None:
    with VideoFileWriter(tmp_path / "a.mp4", fps=10) as writer:
        for frame in moving(3, height=49, width=65):
            writer.write(frame)
    with av.open(str(tmp_path / "a.mp4")) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (64, 48)


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), VideoFileWriter(tmp_path / "a.mp4", fps=10) as writer:
        writer.write(moving(1)[0])
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_the_error_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInput, match=r"a\.mp4: can't be written"),
        VideoFileWriter(tmp_path / "none" / "a.mp4", fps=10) as writer,
    ):
        writer.write(moving(1)[0])


def test_a_stream_is_whole_pictures_every_two_seconds_and_little_between() -> None:
    sizes = stream_sizes(((i / 10, frame) for i, frame in enumerate(moving(45))), fps=10)
    assert len(sizes) == 45 and (sizes > 0).all()
    groups = set(np.flatnonzero(sizes > 3 * np.median(sizes)).tolist())
    assert {0, 20, 40} <= groups


def test_a_stream_of_no_frames_is_empty() -> None:
    assert stream_sizes([], fps=10).shape == (0,)

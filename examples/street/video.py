"""A rendered clip as an H.264 file, and its ground truth beside it, one JSON line per frame."""

import json
from collections.abc import Callable
from pathlib import Path

from ..videofile import VideoFileWriter
from .camera import Camera
from .street import Street
from .truth import Truth

# As good as a camera's own file: what is measured on it is not the encoder.
_CRF = 18


def truth_path(path: str | Path) -> Path:
    """The file of a video's ground truth."""
    return Path(path).with_suffix(".truth.jsonl")


def write_video(
    path: str | Path,
    seconds: float,
    seed: int = 0,
    fps: float = 15.0,
    *,
    day_s: float = 360.0,
    start: float | None = None,
    camera: Camera | None = None,
    busy: bool = False,
    every: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render a clip to ``path`` (.mp4) and its ground truth to the same name with ``.truth.jsonl``.

    Args:
        path: The video's file.
        seconds: Its length.
        seed: Chooses traffic, people and weather.
        fps: Moments per second that the street goes through.
        day_s: Length of a day with its night, in seconds.
        start: Time of day of the first frame, 0..1.
        camera: Whose picture it is; None: `Street`'s own.
        busy: More happens.
        every: One of how many moments is drawn: the video has ``fps / every`` frames per second.
        progress: Called with frames done and frames in all.

    Returns:
        The ground truth's file.

    Raises:
        InvalidInput: The video can't be written.
    """
    total = round(seconds * fps / every)
    with (
        VideoFileWriter(Path(path), fps=fps / every, crf=_CRF) as writer,
        truth_path(path).open("w", encoding="utf-8") as lines,
    ):
        street = Street(seed, fps, day_s=day_s, start=start, camera=camera, busy=busy)
        for done, (frame, truth) in enumerate(street.frames(total, every), start=1):
            writer.write(frame)
            lines.write(json.dumps(truth.as_dict()) + "\n")
            if progress is not None:
                progress(done, total)
    return truth_path(path)


def read_truth(path: str | Path) -> list[Truth]:
    """The ground truth of every frame of a video that `write_video` wrote."""
    with truth_path(path).open(encoding="utf-8") as lines:
        return [Truth.from_dict(json.loads(line)) for line in lines]

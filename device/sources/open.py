"""Opening a source by its name: a video file, a network stream or a camera, all read in the same way."""

from ...errors import InvalidInput
from ...traces.source_name import is_always_live, source_kind, source_path
from .base import Source
from .cut import WHOLE, Cut
from .names import is_live as is_live
from .reader import Opening
from .video import VideoSource


def open_source(
    text: str, *, start_s: float = 0.0, seconds: float | None = None, loop: bool = False, cut: Cut = WHOLE
) -> Source:
    """Opens a source by its name.

    Args:
        text: a video file's path, a stream or a recording by its address (`rtsp://...`, `http://...`), or a camera's
            number (`0`).
        start_s: recording: how far into it to start; its frames keep their numbers and times.
        seconds: how many seconds of it to take; None: all of it.
        loop: recording: start again at its end; numbers and times go on rising.
        cut: how inputs are cut from what it gives.

    Raises:
        InvalidInput: the file is not a video, or an option does not fit the source.
        Unavailable: the stream or camera can't be opened.
    """
    if start_s < 0 or (seconds is not None and seconds <= 0):
        raise InvalidInput(f"start_s must be 0 or more and seconds above 0, not {start_s} and {seconds}")
    opening = Opening(text, start_s=start_s, seconds=seconds, loop=loop)
    if is_always_live(text) and (start_s or loop):
        raise InvalidInput(f"{opening.name}: is live; `start_s` and `loop` are for recordings")
    if cut != WHOLE:
        raise InvalidInput(f"{opening.name}: windows and rates are not cut yet")
    if source_kind(text) == "file":
        _check_file(opening)
    return VideoSource(opening)


def _check_file(opening: Opening) -> None:
    path = source_path(opening.text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        what = "is a folder" if path.is_dir() else "there is no such video"
        raise InvalidInput(f"{opening.name}: {what} (give a file, rtsp://..., or a camera's number such as 0)")

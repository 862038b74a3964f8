"""What the decoder's process reads frames with: a recording, a stream or a camera, all alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ...outputs import Array
from ...traces.source_name import without_secrets
from .base import Times

MAX_PIXELS = 2**25
"""The largest picture, as the coordinator takes it by default; asked before memory is taken."""

FALLBACK_FPS = 25.0
"""The rate of a source that says none."""


@dataclass(frozen=True)
class Opening:
    """What a source is opened with.

    Attributes:
        text: as the user named it.
        start_s: where in a recording to start.
        seconds: how much of it to give; None: all of it.
        loop: whether to start a recording again at its end.
    """

    text: str
    start_s: float = 0.0
    seconds: float | None = None
    loop: bool = False

    @property
    def name(self) -> str:
        """The source's name as it may be shown."""
        return without_secrets(self.text)


@dataclass(frozen=True)
class Opened:
    """What a source says of itself once it is open; the fields are those of `Source`."""

    fps: float
    frame_count: int | None
    live: bool
    times: Times


@dataclass(frozen=True)
class Taken:
    """A decoded frame, not a picture yet.

    Attributes:
        frame: as FFmpeg or OpenCV gave it.
        captured_s: as in `Frame`.
        source_s: as in `Frame`.
        sequence: as in `Frame`; None: it gets the next number if it is handed over at all.
    """

    frame: Any
    captured_s: float
    source_s: float | None = None
    sequence: int | None = None


class Reader(Protocol):
    """Gives decoded frames until the source ends.

    Attributes:
        opened: what the source says of itself.
    """

    opened: Opened

    def __iter__(self) -> Iterator[Taken]: ...

    def picture(self, taken: Taken) -> Array:
        """A frame as uint8 BGR, height x width x 3; good until the next is taken."""

"""The base of every source: the frame, and the protocol that sources follow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from ...outputs import Array

Times = Literal["read", "invented"]
"""Whether the times of frames are the source's own (or their arrival), or were made up from a guessed frame rate."""


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes:
        sequence: its number within the source, from 0, without gaps.
        captured_s: when it was captured: in a recording its presentation time, from 0 at the first frame, and rising
            on when the recording is played again; of a live source the monotonic clock's time when it arrived.
        image: uint8 BGR, height x width x 3.
        source_s: where in the recording it stands, the same each time that it is played; None: the source is live.
    """

    sequence: int
    captured_s: float
    image: Array
    source_s: float | None = None


class Source(Protocol):
    """Gives frames, one after another, until it ends; `close` it, or use it as a context manager.

    Attributes:
        name: as the user names it, without passwords.
        fps: its frames per second, on average.
        frame_count: about how many frames it will give; None: not known.
        live: whether frames come when they are captured, and are lost when nobody takes them.
        times: whether the times of its frames are read or invented.
    """

    name: str
    fps: float
    frame_count: int | None
    live: bool
    times: Times

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Releases the source; closing twice is fine."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

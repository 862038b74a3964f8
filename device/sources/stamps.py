"""How a recording stamps its frames: which stamps rise, from where on, and how many frames a second there are."""

import statistics
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from ...errors import InvalidInput
from .container import Video
from .reader import FALLBACK_FPS

_PROBED = 12


@dataclass(frozen=True)
class Stamps:
    """How a recording's frames are stamped.

    Attributes:
        origin: the first frame's stamp; None: there are no times, or none of the recording's own.
        unit_s: what one step of a stamp is worth.
        by_decoding: whether the stamps are those of decoding: old containers (AVI) keep no others, and FFmpeg's guess
            at the times of presentation then goes to and fro, while those of decoding rise.
        fps: frames per second, on average.
    """

    origin: int | None
    unit_s: float
    by_decoding: bool
    fps: float

    def of(self, frame: Any) -> int | None:
        """A frame's stamp; None: it has none."""
        stamp: int | None = frame.dts if self.by_decoding else frame.pts
        return stamp

    def at(self, time_s: float) -> int:
        """The stamp of a time."""
        return round((self.origin or 0) + time_s / self.unit_s)


def read_stamps(video: Video) -> Stamps:
    """Looks at a recording's first frames, which are then read.

    Raises:
        InvalidInput: no frame can be decoded.
    """
    frames = list(islice(video.frames(), _PROBED))
    if not frames:
        raise InvalidInput(f"{video.name}: no frame can be decoded; is it whole?")
    shown, decoded = ([getattr(frame, key) for frame in frames] for key in ("pts", "dts"))
    by_decoding = _faults(decoded) < _faults(shown)
    known = [stamp for stamp in (decoded if by_decoding else shown) if stamp is not None]
    unit_s = float(video.stream.time_base or 1)
    if video.lacks_times or not known:
        return Stamps(None, unit_s, by_decoding, FALLBACK_FPS)
    steps = [(b - a) * unit_s for a, b in pairwise(known) if b > a]
    return Stamps(known[0], unit_s, by_decoding, _rate(video.stream, statistics.median(steps) if steps else 0.0))


def _faults(stamps: list[int | None]) -> int:
    """How many stamps are missing or lie before the one before them."""
    return stamps.count(None) + sum(a is not None and b is not None and b < a for a, b in pairwise(stamps))


def _rate(stream: Any, step_s: float) -> float:
    """Frames per second: what the container says, unless it counts no frames and they lie at another distance."""
    told = next((float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate and 0 < rate <= 1000), 0.0)
    if not step_s:
        return told or FALLBACK_FPS
    if told and (stream.frames or 2 / 3 < told * step_s < 3 / 2):
        return told
    return 1.0 / step_s

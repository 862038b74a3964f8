"""What the decoder's process reads with: a recording, a stream, a camera, pictures or sound, all alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ...filters.packets.at_work import Gating
from ...filters.packets.gate import Choice
from ...models.inputs.form import PICTURES, InputForm
from ...outputs import Array
from ...traces.source_name import is_always_live, without_secrets
from .base import Times
from .cut import WHOLE, Cut

MAX_PIXELS = 2**25
"""The largest picture, as the coordinator takes it by default; asked before memory is taken."""

FALLBACK_FPS = 25.0
"""The rate of a source that says none."""


@dataclass(frozen=True)
class Opening:
    """What a source is opened with.

    Attributes:
        text: where it is: a path, an address, a device.
        start_s: where in a recording to start.
        seconds: how much of it to give; None: all of it.
        loop: whether to start a recording again at its end.
        kind: which kind of source it is, by the names of `names.KINDS`.
        written: the source as the user wrote it; empty: as `text` is.
        cut: how inputs are cut: sound of a cut with windows is given in pieces, else file by file.
        strict: whether nothing may be left out.
        gating: how its packets are chosen from; None: all are decoded.
    """

    text: str
    start_s: float = 0.0
    seconds: float | None = None
    loop: bool = False
    kind: str = "video"
    written: str = ""
    cut: Cut = WHOLE
    strict: bool = False
    gating: Gating | None = None

    @property
    def name(self) -> str:
        """The source's name as it may be shown."""
        return without_secrets(self.written or self.text)

    @property
    def is_live(self) -> bool:
        """Whether inputs come when they are captured, as far as its name says it."""
        return self.kind in ("camera", "microphone") or self.cut.watch or is_always_live(self.text)


@dataclass(frozen=True)
class Opened:
    """What a source says of itself once it is open; the fields are those of `Source`."""

    fps: float
    frame_count: int | None
    live: bool
    times: Times
    form: InputForm = PICTURES


@dataclass(frozen=True)
class Taken:
    """What was decoded: a frame that is no picture yet, or samples.

    Attributes:
        frame: as FFmpeg or OpenCV gave it; None: it was not decoded.
        captured_s: as in `Input`; of samples the last one's.
        source_s: as in `Input`.
        sequence: as in `Input`; None: it gets the next number if it is handed over at all.
        begins: whether it begins something of its own (a file): no window reaches back over it.
        choice: as in `Input`.
    """

    frame: Any
    captured_s: float
    source_s: float | None = None
    sequence: int | None = None
    begins: bool = False
    choice: Choice | None = None


class Reader(Protocol):
    """Gives what it decodes until the source ends.

    Attributes:
        opened: what the source says of itself.
    """

    opened: Opened

    def __iter__(self) -> Iterator[Taken]: ...

    def value(self, taken: Taken) -> Array:
        """The input of it; good until the next is taken."""

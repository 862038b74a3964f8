"""The best picture of each event, once it has ended: a file for people, from pictures that began before the gate."""

import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from ..files import replacing
from ..outputs import Array
from ..settings import Table
from ..traces.events import GAP_S, MIN_S
from .sinks.bounded_folder import BoundedFolder
from .sinks.delivered import Delivered, EventPicture, Said

_SLACK_S = 1e-6
_RING_STEP_S = 0.1
"""Of the inputs before an event so many seconds apart are kept, besides those with an answer of their own."""
_OF_ANOTHER = 0.7
"""What a picture counts whose boxes are an earlier or later input's."""
_SURE = 2.0
"""How much a score counts beside size and sharpness: chosen on two clips (docs/BENCHMARKS.md)."""
_CUT = 0.3
"""What one counts whose thing reaches the picture's border, so that a part of it may be missing."""
_BORDER = 0.005
_LOOKED_AT = 128
"""The longest side, in pixels, of what sharpness is measured on, so that noise in large pictures does not count."""


class EventPicturesConfig(Table):
    """The table `[event_pictures]` of device.toml.

    Attributes:
        folder: of the pictures, each STREAM-TIME-CLASS.jpg with a .json beside it.
        classes: what an event is of; none: every class of boxes and of several labels.
        models: whose outputs count; none: all.
        before_s: pictures so long before an event was first seen come into question, too.
        longest_s: an event that lasts longer gets a picture for each such part.
        quality: of the JPEGs, 1 to 100.
        size_bytes: what all files in the folder may take; the oldest go.
    """

    folder: Path
    classes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    before_s: float = Field(default=0.5, ge=0, le=10)
    longest_s: float = Field(default=60.0, ge=1)
    quality: int = Field(default=95, ge=1, le=100)
    size_bytes: int = Field(default=512 * 2**20, ge=2**20)


@dataclass(frozen=True)
class _Candidate:
    """A picture that may be an event's best.

    Attributes:
        score: how good it is.
        delivered: the input, with its picture.
        box: of the thing in it; None: the output has no boxes.
        model: that says so.
    """

    score: float
    delivered: Delivered
    box: tuple[float, ...] | None
    model: str


@dataclass
class _Event:
    """An event that lasts.

    Attributes:
        started_s: when it was first seen.
        last_s: when it was last seen.
        inputs: how many inputs with an answer of their own saw it.
        best: its best picture so far; None: none had a picture.
    """

    started_s: float
    last_s: float
    inputs: int = 0
    best: _Candidate | None = None


class EventPictures:
    """A sink: finds the events in one stream's results, and writes a picture of each when it is over.

    An event is what `traces.events` calls one: a class that is seen, with gaps of at most 1 s, for at least 0.5 s.

    Args:
        config: the settings.
        on_event: called with each; may be set until the first input comes.
        clock: Unix time, for the files' names where an input has none.

    Attributes:
        written: how many pictures were written.
        without_picture: events that had no picture any more when their results came.

    Raises:
        InvalidInput: the folder can't be written to.
    """

    wants_pictures = True

    def __init__(
        self,
        config: EventPicturesConfig,
        *,
        on_event: Callable[[EventPicture], None] = lambda event: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.on_event = on_event
        self.clock = clock
        self.written = self.without_picture = 0
        self._folder = BoundedFolder(config.folder.absolute(), config.size_bytes, prefix="", endings=(".jpg", ".json"))
        self._open: dict[str, _Event] = {}
        self._before: deque[Delivered] = deque()
        self._newest_s = -math.inf

    def take(self, delivered: Delivered) -> None:
        """Takes the next input; what comes late has no picture any more, and is passed over."""
        if delivered.late:
            return
        if delivered.captured_s < self._newest_s - _SLACK_S:
            self.close()  # A recording that begins anew.
        self._newest_s = delivered.captured_s
        there = self._things(delivered)
        for what in [*self._open]:
            event = self._open[what]
            is_over = delivered.captured_s - event.last_s > GAP_S + _SLACK_S
            if is_over or delivered.captured_s - event.started_s > self.config.longest_s:
                self._end(what)
        for what, said in there.items():
            self._see(what, said, delivered)
        self._remember(delivered)

    def take_event(self, event: EventPicture) -> None:
        """Its own; nothing is to be done."""

    def close(self) -> None:
        """Ends the events that last."""
        for what in [*self._open]:
            self._end(what)
        self._before.clear()

    def _things(self, delivered: Delivered) -> dict[str, Said]:
        """What is there, each with the result that says so: one of the input's own before others."""
        found: dict[str, Said] = {}
        for said in sorted(delivered.results, key=lambda each: each.reference is not None):
            if self.config.models and said.model not in self.config.models:
                continue
            if said.output.kind == "label" and not self.config.classes:
                continue  # Something is always said.
            for name in said.classes:
                if not self.config.classes or name in self.config.classes:
                    found.setdefault(name, said)
        return found

    def _see(self, what: str, said: Said, delivered: Delivered) -> None:
        event = self._open.get(what)
        candidates = [delivered]
        if event is None:
            event = self._open[what] = _Event(delivered.captured_s, delivered.captured_s)
            # What was there just before it was first said: the gate let it pass, or no answer came.
            candidates += self._before
        event.last_s = delivered.captured_s
        event.inputs += said.reference is None
        for each in candidates:
            found = _judge(each, said, what, is_own=each is delivered and said.reference is None)
            if found is not None and (event.best is None or found.score > event.best.score):
                event.best = found
        picture = None if event.best is None else event.best.delivered.picture
        if picture is not None and not picture.is_squeezed:
            picture.squeeze()  # It may be kept for long.

    def _remember(self, delivered: Delivered) -> None:
        """Keeps the newest pictures, for events that are yet to be seen."""
        while self._before and delivered.captured_s - self._before[0].captured_s > self.config.before_s:
            self._before.popleft()
        last_s = self._before[-1].captured_s if self._before else -math.inf
        if delivered.picture is not None and delivered.captured_s - last_s >= _RING_STEP_S - _SLACK_S:
            self._before.append(delivered)

    def _end(self, what: str) -> None:
        event = self._open.pop(what)
        if event.last_s - event.started_s < MIN_S - _SLACK_S:
            return
        if event.best is None:
            self.without_picture += 1
            return
        best = event.best.delivered
        began_s = self.clock() if best.unix_s is None else best.unix_s
        name = f"{best.stream or best.device}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(began_s))}-{what}"
        path = self._folder.path(name, ".jpg")
        found = EventPicture(
            device=best.device,
            stream=best.stream,
            model=event.best.model,
            what=what,
            started_s=event.started_s,
            ended_s=event.last_s,
            inputs=event.inputs,
            best=best,
            score=event.best.score,
            box=event.best.box,
            path=path,
        )
        assert best.picture is not None
        jpeg = best.picture.jpeg()
        text = json.dumps(found.as_json(), ensure_ascii=False, indent=1).encode()
        self._folder.make_room(len(jpeg) + len(text))
        for target, content in ((path.with_suffix(".json"), text), (path, jpeg)):
            with replacing(target) as part:
                part.write_bytes(content)
        self.written += 1
        self.on_event(found)


def _judge(delivered: Delivered, said: Said, what: str, *, is_own: bool) -> _Candidate | None:
    """An input as an event's picture: large, whole, sure and sharp is good; None: it has no picture."""
    if delivered.picture is None or said.value is None:
        return None
    pixels = delivered.picture.pixels()
    index = said.output.classes.index(what)
    box: tuple[float, ...] | None = None
    part = pixels
    if said.output.kind != "boxes":
        worth = float(said.value[index]) ** _SURE
    else:
        boxes = said.value[said.value[:, 5] == index]
        corners = np.clip(boxes[:, :4], 0.0, 1.0)
        areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0.0), axis=1)
        at_border = (corners[:, :2] < _BORDER).any(axis=1) | (corners[:, 2:] > 1.0 - _BORDER).any(axis=1)
        each = np.sqrt(areas) * boxes[:, 4] ** _SURE * np.where(at_border, _CUT, 1.0)
        best = int(each.argmax())
        box, worth = tuple(boxes[best].tolist()), float(each[best])
        part = _part(pixels, corners[best])
    return _Candidate(
        score=worth * _sharpness(part) * (1.0 if is_own else _OF_ANOTHER),
        delivered=delivered,
        box=box,
        model=said.model,
    )


def _part(pixels: Array, corners: Array) -> Array:
    height, width = pixels.shape[:2]
    left, top = int(corners[0] * width), int(corners[1] * height)
    right, bottom = math.ceil(corners[2] * width), math.ceil(corners[3] * height)
    return pixels[top : max(top + 1, bottom), left : max(left + 1, right)]


def _sharpness(part: Array) -> float:
    """How sharp a part of a picture is, from 0 to 1: of two pictures of one thing the sharper one has more."""
    height, width = part.shape[:2]
    if not part.size:
        return 0.0
    scale = _LOOKED_AT / max(height, width)
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    edges = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    return edges / (edges + 16.0)

"""What a sink is given: one input with what is known of it, or the best picture of an event that ended."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from .detections import Detections
from .picture import KeptPicture

_ROW_BYTES = 512
_DIGITS = 6


@dataclass(frozen=True)
class Said:
    """What is known of one model's output for an input.

    Attributes:
        model: its name.
        output: its type.
        origin: how it was obtained: "executed", "linked", "held", "constant", "local", "skipped" or "reused".
        confidence: that the model itself would say the same.
        trusted: whether that is certified.
        trust: how: "exact", "certified", "unsure", "uncalibrated" or "revoked".
        sources: the models whose outputs it was predicted from.
        reference: the earlier input whose output this is; None: its own.
        value: the output; None: that of the reference, which has none yet.
    """

    model: str
    output: OutputSpec
    origin: str
    confidence: float
    trusted: bool
    trust: str
    sources: tuple[str, ...] = ()
    reference: int | None = None
    value: Array | None = None

    @property
    def detections(self) -> Detections:
        """The boxes; none where there is no output yet.

        Raises:
            InvalidInput: the model's output is of another kind.
        """
        if self.output.kind != "boxes":
            raise InvalidInput(f"{self.model}: has outputs of kind {self.output.kind}, not boxes")
        value = self.output.empty() if self.value is None else self.value
        return Detections.of(value, self.output.classes)

    def to_supervision(self, width: int, height: int) -> Any:
        """The boxes as `supervision.Detections`, in pixels of a picture of this size.

        Raises:
            InvalidInput: the model's output is of another kind.
            Unavailable: the package `supervision` is not installed.
        """
        return self.detections.to_supervision(width, height)

    @property
    def summary(self) -> str:
        """The output in a few words; empty where there is none yet."""
        return "" if self.value is None else self.output.summary(self.value)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that the output says are there; none of kinds without classes."""
        if self.value is None:
            return ()
        if self.output.kind == "label":
            indices = [int(self.value.argmax())]
        elif self.output.kind == "multilabel":
            indices = np.flatnonzero(self.value >= 0.5).tolist()
        elif self.output.kind == "boxes":
            indices = sorted({int(index) for index in self.value[:, 5].tolist()})
        else:
            return ()
        return tuple(self.output.classes[index] for index in indices)

    def as_json(self) -> dict[str, Any]:
        """The same for JSON; the output by its kind, as `value_as_json` says."""
        found = {
            "model": self.model,
            "origin": self.origin,
            "confidence": _rounded(self.confidence),
            "trusted": self.trusted,
            "trust": self.trust,
            "sources": list(self.sources),
            "reference": self.reference,
            "kind": self.output.kind,
        }
        return {**found, **({} if self.value is None else value_as_json(self.output, self.value))}


@dataclass(frozen=True)
class Delivered:
    """One input and what is known of it.

    Attributes:
        device: the device's name.
        stream: the stream's; empty: the device's only one.
        sequence: the input's.
        captured_s: when it was captured, by the source's own time.
        unix_s: the same as Unix time, of a recording when it was read; None: the input is of an earlier run.
        kept: whether it was to be sent.
        results: one for each model of which there is one.
        late: whether the input was delivered before without these results, or in an earlier run not at all.
        refused: why it has no results of its own; empty: it has, or they are still to come.
        level: what the governor did when it was captured; empty: nothing.
        picture: as it was captured, masked; None: it is none, the sink wants none, or it came too late.
    """

    device: str
    stream: str
    sequence: int
    captured_s: float
    unix_s: float | None
    kept: bool
    results: tuple[Said, ...] = ()
    late: bool = False
    refused: str = ""
    level: str = ""
    picture: KeptPicture | None = None

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes."""
        values = sum(_ROW_BYTES + (0 if each.value is None else each.value.nbytes) for each in self.results)
        return _ROW_BYTES + values + (0 if self.picture is None else self.picture.size_bytes)

    def without_picture(self) -> Self:
        """The same for who wants none."""
        return self if self.picture is None else replace(self, picture=None)

    def as_json(self) -> dict[str, Any]:
        """The same for JSON, without the picture."""
        return {
            "type": "input",
            "device": self.device,
            "stream": self.stream,
            "sequence": self.sequence,
            "captured_s": _rounded(self.captured_s),
            "unix_s": None if self.unix_s is None else round(self.unix_s, 3),
            "kept": self.kept,
            "late": self.late,
            "refused": self.refused,
            "level": self.level,
            "results": [each.as_json() for each in self.results],
        }


@dataclass(frozen=True)
class EventPicture:
    """The best picture of an event that has ended.

    Attributes:
        device: the device's name.
        stream: the stream's; empty: the device's only one.
        model: whose output said that something was there.
        what: the class.
        started_s: when the event's first input was captured, by the source's own time.
        ended_s: when its last one was.
        inputs: how many inputs with an output of their own belong to it.
        best: the input of the picture, with its results.
        score: how good the picture is, from 0; only to be compared within one event.
        box: of the largest thing of that class in it: x1, y1, x2, y2 as shares of width and height, score, class index;
            None: the output has no boxes.
        path: the file of the picture.
    """

    device: str
    stream: str
    model: str
    what: str
    started_s: float
    ended_s: float
    inputs: int
    best: Delivered
    score: float
    box: tuple[float, ...] | None
    path: Path

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes."""
        return self.best.size_bytes

    def without_picture(self) -> Self:
        """The same for who wants none."""
        return replace(self, best=self.best.without_picture())

    def as_json(self) -> dict[str, Any]:
        """The same for JSON, without the picture."""
        return {
            "type": "event",
            "device": self.device,
            "stream": self.stream,
            "model": self.model,
            "what": self.what,
            "started_s": _rounded(self.started_s),
            "ended_s": _rounded(self.ended_s),
            "inputs": self.inputs,
            "score": _rounded(self.score),
            "box": None if self.box is None else [_rounded(each) for each in self.box[:4]],
            "picture": str(self.path),
            "best": self.best.as_json(),
        }


Item = Delivered | EventPicture


def value_as_json(output: OutputSpec, value: Array) -> dict[str, Any]:
    """An output for JSON.

    Boxes by class, score and corners (shares of width and height), labels by name with their score, numbers as they
    are, vectors and tokens as lists; of a mask only its size and the share that is >= 0.5, as it is a picture.
    """
    if output.kind == "boxes":
        found = [
            {"class": output.classes[int(row[5])], "score": _rounded(row[4]), "box": [_rounded(x) for x in row[:4]]}
            for row in value.tolist()
        ]
        return {"boxes": found}
    if output.kind == "label":
        best = int(value.argmax())
        return {"label": output.classes[best], "score": _rounded(float(value[best]))}
    if output.kind == "multilabel":
        there = zip(output.classes, value.tolist(), strict=True)
        return {"labels": {name: _rounded(score) for name, score in there if score >= 0.5}}
    if output.kind in ("count", "scalar"):
        return {"value": _rounded(float(value[0]))}
    if output.kind == "mask":
        return {"size": list(value.shape), "share": _rounded(float((value >= 0.5).mean())) if value.size else 0.0}
    return {output.kind: value.tolist() if output.kind == "tokens" else [_rounded(each) for each in value.tolist()]}


def _rounded(number: float) -> float:
    """Float32 has no more digits."""
    return round(float(number), _DIGITS)

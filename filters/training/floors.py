"""Floors under a filter's accuracy: on a class that matters, in every hour, by day and by night."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...traces.trace import Trace
from .losses import Losses

HOUR_S = 3600.0
# An input is dark if the mean of its picture is below; of 255.
DARK = 64.0
SLICES = ("hour", "light")
_LEAST_INPUTS = 30
_RECALL = re.compile(r"\s*(?P<name>.+?)\s*[=:]\s*(?P<least>[0-9.]+)\s*")


@dataclass(frozen=True)
class Mask:
    """A part of the inputs, and the least accuracy there.

    Attributes:
        name: what it is called in tables.
        least: the accuracy.
        where: bool (inputs,).
    """

    name: str
    least: float
    where: Array

    def within(self, part: slice) -> "Mask":
        """The same for a stretch of the inputs."""
        return Mask(self.name, self.least, self.where[part])


class Floor(Protocol):
    """A least accuracy on some of the inputs, beside that on all of them."""

    def on(self, trace: Trace, losses: Losses) -> list[Mask]:
        """Where it applies in a trace.

        Raises:
            InvalidInput: it does not fit the trace.
        """


@dataclass(frozen=True)
class Recall:
    """Of the inputs on which a model sees a class, at least this share is answered right."""

    name: str
    least: float

    def on(self, trace: Trace, losses: Losses) -> list[Mask]:
        """The inputs with that class among the needed ones, by any of the models that know it."""
        where = np.zeros(len(trace), bool)
        known = set()
        for model, needed in zip(losses.models, losses.needed, strict=True):
            spec = trace.models[model].output
            names = [name.casefold() for name in spec.classes]
            known |= set(spec.classes)
            if self.name.casefold() not in names:
                continue
            index = names.index(self.name.casefold())
            seen = [_holds(output, spec.kind, index) for output in trace.outputs(model)]
            where |= np.asarray(seen) & (losses.pairwise | (needed > 0))
        if not known or self.name.casefold() not in {name.casefold() for name in known}:
            raise InvalidInput(
                f"recall of {self.name!r}: no model has that class; there are {', '.join(sorted(known))}"
            )
        if not where.any():
            raise InvalidInput(f"recall of {self.name!r}: no input on which it is seen is needed by the rule")
        return [Mask(f"recall of {self.name}", self.least, where)]


@dataclass(frozen=True)
class Slices:
    """In every slice with enough inputs the accuracy is at least this.

    Attributes:
        by: "hour" (of the trace's clock), "light" (dark or bright pictures), or a name per input (camera, shift, ...).
        least: the accuracy.
    """

    by: str | Sequence[str]
    least: float

    def on(self, trace: Trace, losses: Losses) -> list[Mask]:
        """One part per slice."""
        names = self._names(trace)
        if len(names) != len(trace):
            raise InvalidInput(f"slices: {len(names)} names for {len(trace)} inputs; give one per input")
        found = [(name, names == name) for name in np.unique(names)]
        return [Mask(str(name), self.least, where) for name, where in found if where.sum() >= _LEAST_INPUTS]

    def _names(self, trace: Trace) -> Array:
        if not isinstance(self.by, str):
            return np.asarray(self.by, str)
        if self.by == "hour":
            return np.char.add("hour ", (trace.captured_s // HOUR_S).astype(int).astype(str))
        if self.by == "light":
            means = [cv2.mean(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))[0] for frame in trace.frames()]
            return np.where(np.asarray(means) < DARK, "dark", "bright")
        raise InvalidInput(f"slices by {self.by!r}: there are {', '.join(SLICES)}")


def parse_recall(text: str) -> Recall:
    """`car=0.95` as a floor.

    Raises:
        InvalidInput: saying what the form is.
    """
    found = _RECALL.fullmatch(text)
    least = float(found["least"]) if found and found["least"].replace(".", "", 1).isdigit() else -1.0
    if found is None or not 0.0 < least < 1.0:
        raise InvalidInput(f"recall {text!r}: the form is CLASS=SHARE, with a share above 0 and below 1: car=0.95")
    return Recall(found["name"], least)


def _holds(output: Array, kind: str, index: int) -> bool:
    if kind == "boxes":
        return bool((output[:, 5] == index).any())
    return int(np.argmax(output)) == index if kind == "label" else bool(output[index] >= 0.5)

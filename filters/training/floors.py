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
from ..rules.names import listed, matching, unquoted
from .losses import Losses

HOUR_S = 3600.0
# An input is dark if the mean of its picture is below; of 255.
DARK = 64.0
SLICES = ("hour", "light")
_LEAST_INPUTS = 30
_RECALL = re.compile(r"\s*(?P<name>.+?)\s*[=:]\s*(?P<least>[0-9.]+)\s*", re.DOTALL)


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
    """Of the inputs on which a model sees a class, at least this share is answered right.

    Attributes:
        name: the class; or a thing that the rule tells apart, such as "person in door".
        least: the share.
    """

    name: str
    least: float

    def on(self, trace: Trace, losses: Losses) -> list[Mask]:
        """The inputs with that class among the needed ones, by any of the models that know it."""
        where = np.zeros(len(trace), bool)
        known: set[str] = set()
        for model, needed in zip(losses.models, losses.needed, strict=True):
            spec = trace.models[model].output
            known |= set(spec.classes)
            places = matching(self.name, spec.classes)
            if places:
                seen = [_holds(output, spec.kind, places) for output in trace.outputs(model)]
                where |= np.asarray(seen) & (losses.pairwise | (needed > 0))
        if not matching(self.name, sorted(known)):
            things = [what for what in losses.truth if what != losses.rule.text]
            places = matching(self.name, things)
            if not places:
                names = listed(sorted(known | set(things)))
                raise InvalidInput(f"recall of {self.name!r}: no model has that class; there are {names}")
            where = losses.truth[things[places[0]]]
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
    """`car=0.95` as a floor; the name may stand in quotes.

    Raises:
        InvalidInput: saying what the form is.
    """
    found = _RECALL.fullmatch(text)
    least = float(found["least"]) if found and found["least"].replace(".", "", 1).isdigit() else -1.0
    try:
        if found is None or not 0.0 < least < 1.0:
            raise ValueError("it needs a share above 0 and below 1")
        return Recall(unquoted(found["name"]), least)
    except ValueError as error:
        raise InvalidInput(f"recall {text!r}: {error}; the form is CLASS=SHARE: car=0.95") from error


def _holds(output: Array, kind: str, places: list[int]) -> bool:
    if kind == "boxes":
        return bool(np.isin(output[:, 5], places).any())
    return int(np.argmax(output)) in places if kind == "label" else bool((output[places] >= 0.5).any())

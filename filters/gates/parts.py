"""The parts of the inputs that a file promises something of (a class, an hour), and what audits show there."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ...evidence import CONFIDENCE, SequentialTest, betting
from ...outputs import Array, OutputSpec
from ...traces.events import presence
from ..rules.code import runs
from ..rules.parser import Rule, Unchanged
from ..rules.states import states
from ..training.floors import DARK, HOUR_S

_RISK = 1.0 - CONFIDENCE
_WORSE = (0.06, 0.15, 0.35, 0.75)
TOO_FEW = "too few to tell"
_NEWEST = 2000
_RECALL = "recall of "


class Drawn(Protocol):
    """An input that was drawn."""

    @property
    def loss(self) -> float | None:
        """Of the filter on it."""

    @property
    def parts(self) -> Collection[str]:
        """The parts of the inputs that it is of."""


@dataclass(frozen=True)
class PartReport:
    """How well a filter does on a part of the inputs.

    Attributes:
        name: "recall of car", "dark", ...
        least: the accuracy that was promised there.
        inputs: how many inputs of it were drawn, kept ones among them.
        runs: in how many blocks: what the verdict rests on.
        accuracy: the mean over these blocks; None without any.
        verdict: "kept", "broken" or "too few to tell".
    """

    name: str
    least: float
    inputs: int
    runs: int
    accuracy: float | None
    verdict: str


class PartWatch:
    """Watches one part of the inputs.

    Args:
        name: what it is called.
        least: the least mean accuracy there.
    """

    def __init__(self, name: str, least: float) -> None:
        self.name = name
        self.least = least
        self._inputs = 0
        self._losses: deque[float] = deque(maxlen=_NEWEST)
        bound = 1.0 - least
        self._worse = SequentialTest(bound, [bound + least * way for way in _WORSE])

    def add(self, draws: Sequence[Drawn]) -> None:
        """Takes a block's draws whose loss is known."""
        losses = [draw.loss for draw in draws if draw.loss is not None and self.name in draw.parts]
        if losses:
            self._inputs += len(losses)
            self._losses.append(float(np.mean(losses)))
            self._worse.update(self._losses[-1])

    @property
    def broken(self) -> bool:
        """Whether it is shown that less than the promise is kept."""
        return self._worse.evidence >= 1.0 / _RISK

    def report(self) -> PartReport:
        """What is shown so far."""
        losses = np.asarray(self._losses)
        verdict = TOO_FEW
        if self.broken:
            verdict = "broken"
        elif len(losses) and betting(losses) <= 1.0 - self.least:
            verdict = "kept"
        accuracy = 1.0 - float(losses.mean()) if len(losses) else None
        return PartReport(self.name, self.least, self._inputs, len(losses), accuracy, verdict)


def light_of(image: Array) -> float:
    """How bright a picture (uint8 BGR) is, from 0 to 255."""
    return float(cv2.mean(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[0])


def parts_of(
    promised: Collection[str],
    rule: Rule | None,
    exact: Mapping[str, Array],
    outputs: Mapping[str, OutputSpec],
    *,
    captured_s: float,
    light: float | None,
) -> frozenset[str]:
    """The names of the promised parts that an input is of; slices that only the training knew are none.

    Args:
        promised: the names of the parts that something is promised of.
        rule: what is redundant; None: more than one rule says so, and no class is told apart.
        exact: the models' own outputs for the input.
        outputs: their specs.
        captured_s: when it was captured.
        light: how bright it is; None: not known.
    """
    names = {f"hour {int(captured_s // HOUR_S)}"}
    if light is not None:
        names.add("dark" if light < DARK else "bright")
    if rule is not None and runs(rule):
        for model, output in exact.items():
            spec = outputs[model]
            seen = dict(states(rule, [output], spec))
            if isinstance(rule, Unchanged) or not rule.redundant(output, spec):
                seen |= presence([output], spec)
            things = [what for what, there in seen.items() if there.any()]
            names |= {f"{_RECALL}{each}{what}".casefold() for what in things for each in ("", f"{model}: ")}
    return frozenset(part for part in promised if part in names or part.casefold() in names)


def things_in(rule: Rule, exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]) -> frozenset[str]:
    """What is there by the models' own outputs, of what the rule tells apart: what events are made of."""
    found = {
        f"{model}: {what}"
        for model, output in exact.items()
        for what, there in states(rule, [output], outputs[model]).items()
        if there.any()
    }
    return frozenset(found)

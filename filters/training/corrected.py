"""A recording that a person has corrected: what was not there, whatever the model said, and what was there unsaid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from ...traces.trace import Trace
from ..rules.parser import Rule, Unchanged
from ..rules.states import states
from ..rules.zones import Zone, zones_in

SOMETHING = "something"
"""What was there, of a model that has no classes: one more of what it counts, a text, a mask."""
_GRID = 40
"""A place is looked for at so many points across a picture, and as many down."""
_HALF_WIDTH, _HEIGHT = 0.05, 0.1
"""Of a box that a person has said to be somewhere, as shares of the picture."""


@dataclass(frozen=True)
class Correction:
    """What a person says of a model's answers.

    Attributes:
        model: whose answers these are.
        what: a class, or "CLASS in ZONE"; not there: also a rule's text, nothing that the rule asks for was there;
            there: also `SOMETHING`.
        first: the sequence number of the first input.
        last: that of the last one.
        zone: which zone is meant; None: none is.
        there: whether it was there and the model did not say it; else the model said it and it was not there.
        place: there, of boxes: where one stands from now on, as nobody has said it more exactly.
    """

    model: str
    what: str
    first: int
    last: int
    zone: Zone | None = None
    there: bool = False
    place: tuple[float, float] = (0.5, 0.5)


class CorrectedTrace(Trace):
    """A trace whose outputs are corrected as they are read; the file stays as it is.

    Args:
        path: the trace.
        corrections: what a person says, in the order in which it was said.
        start: the first input, by its index.
        stop: the one after the last; None: all.
    """

    def __init__(
        self, path: Path | str, corrections: Sequence[Correction] = (), *, start: int = 0, stop: int | None = None
    ) -> None:
        super().__init__(path, start=start, stop=stop)
        self.corrections = tuple(corrections)

    def part(self, start: int, stop: int) -> Self:
        """The inputs from index `start` up to `stop`, corrected as these."""
        stop = self._start + min(stop, len(self))
        return type(self)(self.path, self.corrections, start=self._start + start, stop=stop)

    def outputs(self, model: str) -> list[Array]:
        """Every output of a model, aligned with `sequences`, as it is corrected.

        Raises:
            InvalidInput: outputs are missing or damaged, or can't be corrected so.
        """
        found = super().outputs(model)
        spec = self.models[model].output
        # Who says it of two stretches that overlap has still seen it once.
        added = set[tuple[int, str]]()
        for each in self.corrections:
            if each.model != model:
                continue
            low, high = np.searchsorted(self.sequences, (each.first, each.last + 1)).tolist()
            for row in range(low, high):
                if not each.there:
                    found[row] = without(found[row], spec, each)
                    added.discard((row, each.what))
                elif (row, each.what) not in added:
                    found[row] = with_it(found[row], spec, each)
                    added.add((row, each.what))
        return found


def without(output: Array, spec: OutputSpec, said: Correction) -> Array:
    """An output that does not say what was not there.

    Raises:
        InvalidInput: nobody can tell what it should say instead.
    """
    columns = _columns(spec, said)
    if not columns and zone_is_gone(spec, said):
        return output
    if not columns:
        if spec.kind in ("label", "scalar", "vector"):
            raise InvalidInput(
                f"{said.model} gives a {spec.kind}: that {said.what!r} is wrong does not tell what is right"
            )
        return spec.empty()
    if spec.kind == "boxes":
        those = np.isin(output[:, 5].astype(np.int64), columns)
        return np.asarray(output[~(those if said.zone is None else those & said.zone.standing(output))])
    corrected = output.copy()
    corrected[columns] = 0.0
    if spec.kind == "label":
        rest = float(corrected.sum())
        others = np.asarray([column not in columns for column in range(len(corrected))], np.float32)
        corrected = corrected / rest if rest > 0.0 else others / max(1.0, float(others.sum()))
    return np.asarray(corrected, output.dtype)


def with_it(output: Array, spec: OutputSpec, said: Correction) -> Array:
    """An output that says what was there, too: one more of it than the model saw, surely.

    Raises:
        InvalidInput: nobody can tell what it should say.
    """
    columns = _columns(spec, said)
    if not columns and zone_is_gone(spec, said):
        return output
    if spec.kind in ("scalar", "vector"):
        raise InvalidInput(
            f"{said.model} gives a {spec.kind}: that something was there does not tell which {spec.kind} is right"
        )
    if not columns and (spec.classes or said.what != SOMETHING):
        known = "one of its classes" if spec.classes else SOMETHING
        raise InvalidInput(f"{said.model} can't say {said.what!r}: say {known}")
    if spec.kind == "boxes":
        x, y = said.place
        box = np.asarray([[x - _HALF_WIDTH, y - _HEIGHT, x + _HALF_WIDTH, y, 1.0, columns[0]]], output.dtype)
        return np.concatenate([output, box])
    if spec.kind == "tokens":
        return np.append(output, np.asarray([0], output.dtype))
    if spec.kind == "mask":
        # Where it was nobody has said: anywhere.
        return np.ones([max(1, length) for length in output.shape], output.dtype)
    corrected = output.copy() if spec.kind == "multilabel" else np.zeros_like(output)
    corrected[columns] = 1.0
    return output + 1 if spec.kind == "count" else corrected


def sayable(spec: OutputSpec, rule: Rule) -> list[str]:
    """What a person can say to have been there, of a model: what a rule asks for; if it tells nothing apart, anything.

    Nothing of a model whose right answer that would not tell.
    """
    if spec.kind in ("scalar", "vector"):
        return []
    if not spec.classes:
        return [SOMETHING]
    asked = set(states(rule, [], spec))
    if spec.kind == "label" and not isinstance(rule, Unchanged):
        sure = np.eye(len(spec.classes), dtype=np.float32)
        asked = {name for name, output in zip(spec.classes, sure, strict=True) if not rule.redundant(output, spec)}
    within = [f"{name} in {zone}" for zone in zones_in(rule) for name in spec.classes if spec.kind == "boxes"]
    named = dict.fromkeys([*within, *spec.classes])
    return [name for name in named if name in asked] or list(spec.classes)


def place_in(zone: Zone | None, zones: Sequence[Zone]) -> tuple[float, float]:
    """Where something stands of which no more is known than that: in that zone and, if that can be, in no other.

    Args:
        zone: where it stands; None: that is not known.
        zones: all that there are.
    """
    steps = (np.arange(_GRID) + 0.5) / _GRID
    points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    # A zone may lie between them all; its corners are in it.
    points = points if zone is None else np.concatenate([points, np.asarray(zone.points)])
    others = [each.holds(points) for each in zones if each != zone]
    crowded = np.sum(others, axis=0) if others else np.zeros(len(points))
    far = np.hypot(*(points - 0.5).T)
    allowed = np.ones(len(points), bool) if zone is None else zone.holds(points)
    best = np.lexsort((far, crowded, ~allowed))[0]
    return float(points[best][0]), float(points[best][1])


def zone_is_gone(spec: OutputSpec, said: Correction) -> bool:
    """Whether a zone is meant that is not drawn any more."""
    return said.zone is None and any(said.what.startswith(f"{name} in ") for name in spec.classes)


def _columns(spec: OutputSpec, said: Correction) -> list[int]:
    """The classes that are meant."""
    suffix = "" if said.zone is None else f" in {said.zone.name}"
    return [column for column, name in enumerate(spec.classes) if f"{name}{suffix}" == said.what]

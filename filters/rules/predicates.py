"""The redundancy rules on one output as typed objects: they say which outputs are worth nothing to their user."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from .names import listed, matching, quoted
from .theory import CONFIDENCE, REGRESSION, SUBSET, Theory, joined
from .zones import Zone

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class Predicate(Protocol):
    """A rule on one input's output alone."""

    @property
    def text(self) -> str:
        """The rule as it is written; `parse_rule` makes an equal rule of it."""

    @property
    def theory(self) -> Theory:
        """Its case in the theory of filterability."""

    def check(self, spec: OutputSpec) -> None:
        """Raises InvalidInput if outputs of this spec can't be judged by the rule."""

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether this output is worth nothing, so that the model need not have run on its input."""


@dataclass(frozen=True)
class Count:
    """`count(car, truck) == 0`: how many objects of some classes there are; of all classes, if none is named.

    `count(person, zone=door) == 0`: how many of them stand in a zone of the picture.
    """

    classes: tuple[str, ...]
    op: str
    number: int
    zone: Zone | None = None

    @property
    def text(self) -> str:
        """The rule as it is written."""
        named = [quoted(name) for name in self.classes]
        named += [f"zone={quoted(self.zone.name)}"] if self.zone is not None else []
        return f"count({', '.join(named)}) {self.op} {self.number}"

    @property
    def theory(self) -> Theory:
        """Its case."""
        return REGRESSION

    def check(self, spec: OutputSpec) -> None:
        """Fits boxes, and without a zone multilabel, and count without class names."""
        if self.zone is not None:
            _check_kind("count(..., zone=...)", spec, ("boxes",))
        _check_kind("count(...)", spec, ("boxes", "multilabel", "count"))
        if spec.kind == "count" and self.classes:
            raise InvalidInput(f"{self.text!r}: the model counts without class names: write `count()`")
        if spec.kind != "count":
            _indices(self.classes, spec)

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether their number compares as the rule says."""
        if spec.kind == "count":
            found = round(float(output[0]))
        else:
            found = int(self.counts(output, spec)[self.columns(spec)].sum())
        return bool(OPERATORS[self.op](found, self.number))

    def counts(self, output: Array, spec: OutputSpec) -> Array:
        """How many of each of the model's classes there are, in the zone if there is one: (classes,)."""
        if spec.kind != "boxes":
            return np.asarray(output >= 0.5)
        return spec.counts(output if self.zone is None else output[self.zone.standing(output)])

    def columns(self, spec: OutputSpec) -> list[int]:
        """The indices of the classes that it counts."""
        return _indices(self.classes, spec)


@dataclass(frozen=True)
class LabelIn:
    """`label in (a, b)`: the most probable class is one of these."""

    classes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f"label in ({', '.join(map(quoted, self.classes))})"

    @property
    def theory(self) -> Theory:
        """Its case."""
        return SUBSET

    def check(self, spec: OutputSpec) -> None:
        """Fits label."""
        _check_kind("label in", spec, ("label",))
        _indices(self.classes, spec)

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether the most probable class is one of them."""
        return int(np.argmax(output)) in _indices(self.classes, spec)


@dataclass(frozen=True)
class LabelNotIn:
    """`label not in (a, b)`: the most probable class is none of these."""

    classes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f"label not in ({', '.join(map(quoted, self.classes))})"

    @property
    def theory(self) -> Theory:
        """Its case."""
        return SUBSET

    def check(self, spec: OutputSpec) -> None:
        """Fits label."""
        LabelIn(self.classes).check(spec)

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether the most probable class is none of them."""
        return not LabelIn(self.classes).redundant(output, spec)


@dataclass(frozen=True)
class Confidence:
    """`confidence < 0.9`: the probability of the most probable class."""

    op: str
    number: float

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f"confidence {self.op} {_number(self.number)}"

    @property
    def theory(self) -> Theory:
        """Its case."""
        return CONFIDENCE

    def check(self, spec: OutputSpec) -> None:
        """Fits label and multilabel."""
        _check_kind("confidence", spec, ("label", "multilabel"))

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether the highest probability compares as the rule says."""
        return bool(OPERATORS[self.op](float(np.max(output)), self.number))


@dataclass(frozen=True)
class Value:
    """`value <= 3`: the number that the model returns."""

    op: str
    number: float

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f"value {self.op} {_number(self.number)}"

    @property
    def theory(self) -> Theory:
        """Its case."""
        return REGRESSION

    def check(self, spec: OutputSpec) -> None:
        """Fits count and scalar."""
        _check_kind("value", spec, ("count", "scalar"))

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether the number compares as the rule says."""
        return bool(OPERATORS[self.op](float(output[0]), self.number))


@dataclass(frozen=True)
class Empty:
    """`empty`: no box, no token, no label, nothing in the mask, a count of 0."""

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return "empty"

    @property
    def theory(self) -> Theory:
        """Its case."""
        return REGRESSION

    def check(self, spec: OutputSpec) -> None:
        """Fits every kind that can hold nothing."""
        _check_kind("empty", spec, ("boxes", "tokens", "mask", "multilabel", "count"))

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether there is nothing in it."""
        return len(output) == 0 if spec.kind in ("boxes", "tokens") else not bool(np.any(output >= 0.5))


class _Compound:
    """What `and` and `or` have in common: the rules, and what they fit."""

    rules: tuple[Predicate, ...]

    word: ClassVar[str]

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f" {self.word} ".join(_operand(rule) for rule in self.rules)

    @property
    def theory(self) -> Theory:
        """The least promising of its rules' cases."""
        return joined(tuple(rule.theory for rule in self.rules))

    def check(self, spec: OutputSpec) -> None:
        """Fits what every one of its rules fits."""
        for rule in self.rules:
            rule.check(spec)


@dataclass(frozen=True)
class Both(_Compound):
    """`a and b`: redundant by every one of its rules."""

    rules: tuple[Predicate, ...]

    word = "and"

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether every rule says so."""
        return all(rule.redundant(output, spec) for rule in self.rules)


@dataclass(frozen=True)
class Either(_Compound):
    """`a or b`: redundant by at least one of its rules."""

    rules: tuple[Predicate, ...]

    word = "or"

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether at least one rule says so."""
        return any(rule.redundant(output, spec) for rule in self.rules)


def _operand(rule: Predicate) -> str:
    return f"({rule.text})" if isinstance(rule, Both | Either) else rule.text


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _check_kind(form: str, spec: OutputSpec, kinds: tuple[str, ...]) -> None:
    if spec.kind not in kinds:
        raise InvalidInput(
            f"the rule `{form}` judges outputs of kind {', '.join(kinds)}; this model's kind is {spec.kind}"
        )


def _indices(names: tuple[str, ...], spec: OutputSpec) -> list[int]:
    """The indices of the named classes; of all classes, if none is named."""
    found = [matching(name, spec.classes) for name in names]
    unknown = [name for name, places in zip(names, found, strict=True) if not places]
    if unknown:
        named = ", ".join(quoted(name, always=True) for name in unknown)
        raise InvalidInput(f"the model has no class {named}; its classes: {listed(spec.classes)}")
    return sorted({i for places in found for i in places}) or list(range(len(spec.classes)))

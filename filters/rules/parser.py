"""Parses the text of a `--rule` into the typed rule that it means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec, boxes_f1
from .code import FunctionRule
from .names import listed, matching, read_quoted
from .predicates import (
    OPERATORS,
    Both,
    Confidence,
    Count,
    Either,
    Empty,
    LabelIn,
    LabelNotIn,
    Predicate,
    Value,
)
from .theory import UNKNOWN, Theory
from .zones import Zone

FORMS = (
    "count(car, truck) == 0",
    "count() > 2",
    "count(person, zone=door) == 0",
    "count('a class, in quotes') == 0",
    "label in (a, b)",
    "label not in (a, b)",
    "confidence < 0.9",
    "value <= 3",
    "empty",
    "RULE and RULE",
    "RULE or RULE",
    "(RULE)",
    "unchanged",
    "unchanged >= 0.9",
    "unchanged within iou 0.7",
    "call(FILE.py:function)",
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FUNCTION = re.compile(r"[^():]+\.py:[A-Za-z_]\w*")
_FUNCTION_NAME = re.compile(r"[A-Za-z_]\w*")
_ZONE = re.compile(r"zone\s*=(?!=)", re.IGNORECASE)
_EVERY = re.compile(r"\*(?=\s*[,)])")
_WORD = re.compile(r"[A-Za-z]+")
_OPERATOR = re.compile("|".join(OPERATORS))


@dataclass(frozen=True)
class Unchanged:
    """The rule on a stream: an input is redundant if the outputs for it agree with those for the last kept input.

    Attributes:
        at_least: the agreement, as a mean over the models, from which an input is redundant; None: the loss is graded,
            it is one minus the agreement.
        min_iou: for models that return boxes: their outputs agree fully if the boxes of each class match one to one
            with at least this overlap, and not at all otherwise.
    """

    at_least: float | None = None
    min_iou: float | None = None

    @property
    def text(self) -> str:
        """The rule as it is written; `parse_rule` makes an equal rule of it."""
        if self.min_iou is not None:
            return f"unchanged within iou {self.min_iou!r}"
        return "unchanged" if self.at_least is None else f"unchanged >= {self.at_least!r}"

    @property
    def theory(self) -> Theory:
        """Unknown: the theory covers only rules on one output."""
        return UNKNOWN

    def agreement(self, answer: Array, exact: Array, spec: OutputSpec) -> float:
        """How far an answer agrees with a model's own output, from 0 to 1."""
        if self.min_iou is None or spec.kind != "boxes":
            return spec.agreement(answer, exact)
        return float(len(answer) == len(exact) and boxes_f1(answer, exact, self.min_iou) >= 1.0)

    def loss(self, agreement: Array | float) -> Array:
        """What is lost at a mean agreement over the models: float64, from 0 to 1."""
        if self.at_least is not None:
            return np.asarray(np.less(agreement, self.at_least - 1e-9), np.float64)
        return np.asarray(np.subtract(1.0, agreement), np.float64)


Rule = Predicate | Unchanged


def parse_rule(text: str, *, zones: Mapping[str, Zone] | None = None, typed: bool = False) -> Rule:
    """The rule that `text` means, in upper or lower case.

    Args:
        text: as a person writes it.
        zones: the zones that it may name.
        typed: whether a person has written it in this very command, so that Python files that it names may run; never
            so for a text from a file.

    Raises:
        InvalidInput: it is none; the message says where the text stops making sense, and which forms there are.
    """
    return _Parser(text, zones or {}, typed=typed).rule()


class _Parser:
    """Reads one text from left to right; `_at` is the position that it has reached."""

    def __init__(self, text: str, zones: Mapping[str, Zone], *, typed: bool) -> None:
        self._text = text
        self._zones = zones
        self._typed = typed
        self._at = 0

    def rule(self) -> Rule:
        start = self._at
        if self._word() == "unchanged":
            found: Rule = self._unchanged()
        else:
            self._at = start
            found = self._either(depth=0)
        self._skip()
        if self._at < len(self._text):
            raise self._error("the rule should end, or go on with `and`/`or`,")
        return found

    def _unchanged(self) -> Unchanged:
        self._skip()
        if self._at == len(self._text):
            return Unchanged()
        if self._take("within"):
            if not self._take("iou"):
                raise self._error("`iou` should come")
            return Unchanged(min_iou=self._share())
        self._need(">=")
        return Unchanged(self._share())

    def _share(self) -> float:
        self._skip()
        start = self._at
        bar = self._number()
        if not 0.0 < bar <= 1.0:
            self._at = start
            raise self._error("a number above 0 and at most 1 should come")
        return bar

    def _either(self, depth: int) -> Predicate:
        rules = [self._both(depth)]
        while self._take("or"):
            rules.append(self._both(depth))
        return rules[0] if len(rules) == 1 else Either(tuple(rules))

    def _both(self, depth: int) -> Predicate:
        rules = [self._single(depth)]
        while self._take("and"):
            rules.append(self._single(depth))
        return rules[0] if len(rules) == 1 else Both(tuple(rules))

    def _single(self, depth: int) -> Predicate:
        if depth > 20:
            raise self._error("fewer brackets should come")
        if self._symbol("("):
            inner = self._either(depth + 1)
            self._need(")")
            return inner
        self._skip()
        start = self._at
        word = self._word()
        if word == "empty":
            return Empty()
        if word == "confidence":
            return Confidence(self._operator(), self._number())
        if word == "value":
            return Value(self._operator(), self._number())
        if word == "count":
            names, zone = self._counted()
            return Count(names, self._operator(), self._integer(), zone)
        if word == "label":
            return self._label()
        if word == "call":
            return self._function()
        self._at = start
        raise self._error("a rule should come")

    def _label(self) -> Predicate:
        negated = self._take("not")
        if not self._take("in"):
            raise self._error("`in` or `not in` should come")
        start = self._at
        names = self._names()
        if not names:
            self._at = start
            raise self._error("at least one class in brackets should come")
        return LabelNotIn(names) if negated else LabelIn(names)

    def _function(self) -> Predicate:
        self._need("(")
        if self._quotes():
            path = self._name("a file")
            self._need(":")
            name = self._match(_FUNCTION_NAME, "a function's name should come")
        else:
            path, _, name = self._match(_FUNCTION, "FILE.py:function should come").rpartition(":")
            path = path.strip()
        self._need(")")
        return FunctionRule(path, name, Path(path) if self._typed else None)

    def _names(self) -> tuple[str, ...]:
        start = self._at
        names, zone = self._counted()
        if zone is not None:
            self._at = start
            raise self._error("only `count` takes a zone; class names alone should come")
        return names

    def _counted(self) -> tuple[tuple[str, ...], Zone | None]:
        """Class names in brackets, none for `()` and `(*)`, and the zone among them."""
        self._need("(")
        names: list[str] = []
        zone: Zone | None = None
        every = False
        closed = self._symbol(")")
        while not closed:
            start = self._at
            if self._found(_ZONE):
                if zone is not None:
                    self._at = start
                    raise self._error("one zone, and no second one, should come")
                zone = self._zone()
            elif self._found(_EVERY):
                every = True
            else:
                names.append(self._name("a class name"))
            if every and names:
                self._at = start
                raise self._error("either `*` or class names should come")
            closed = self._symbol(")")
            if not closed and not self._symbol(","):
                raise self._error("`,` or `)` should come")
        return tuple(names), zone

    def _zone(self) -> Zone:
        start = self._at
        name = self._name("a zone's name")
        places = matching(name, list(self._zones))
        if not places:
            self._at = start
            known = (
                f"one of the zones {listed(list(self._zones))}" if self._zones else "no zone (--zones FILE draws them)"
            )
            raise self._error(f"{known} should come")
        return list(self._zones.values())[places[0]]

    def _name(self, what: str) -> str:
        """A name in quotes; or one without, up to the next comma or bracket that it does not open itself."""
        if self._quotes():
            try:
                name, self._at = read_quoted(self._text, self._at)
            except ValueError as error:
                raise self._error(str(error)) from error
            return name
        start, depth = self._at, 0
        while self._at < len(self._text) and (depth or self._text[self._at] not in ",)"):
            depth += {"(": 1, ")": -1}.get(self._text[self._at], 0)
            self._at += 1
        name = " ".join(self._text[start : self._at].split())
        if not name:
            raise self._error(f"{what} between the commas should come")
        return name

    def _operator(self) -> str:
        return self._match(_OPERATOR, f"one of {' '.join(OPERATORS)} should come")

    def _number(self) -> float:
        return float(self._match(_NUMBER, "a number should come"))

    def _integer(self) -> int:
        self._skip()
        start = self._at
        number = self._number()
        if not number.is_integer():
            self._at = start
            raise self._error("a whole number should come")
        return int(number)

    def _match(self, pattern: re.Pattern[str], expected: str) -> str:
        self._skip()
        found = pattern.match(self._text, self._at)
        if not found:
            raise self._error(expected)
        self._at = found.end()
        return found.group()

    def _found(self, pattern: re.Pattern[str]) -> bool:
        self._skip()
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found is not None

    def _quotes(self) -> bool:
        self._skip()
        return self._text.startswith(("'", '"'), self._at)

    def _word(self) -> str:
        self._skip()
        found = _WORD.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found.group().casefold() if found else ""

    def _take(self, word: str) -> bool:
        start = self._at
        taken = self._word() == word
        self._at = self._at if taken else start
        return taken

    def _symbol(self, symbol: str) -> bool:
        self._skip()
        taken = self._text.startswith(symbol, self._at)
        self._at += len(symbol) if taken else 0
        return taken

    def _need(self, symbol: str) -> None:
        if not self._symbol(symbol):
            raise self._error(f"`{symbol}` should come")

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _error(self, expected: str) -> InvalidInput:
        seen = f"before {self._text[self._at :][:20]!r}" if self._at < len(self._text) else "at its end"
        return InvalidInput(
            f"rule {self._text!r}: {expected} at position {self._at + 1}, {seen}; the forms are: {'; '.join(FORMS)}"
        )

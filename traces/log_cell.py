"""One logged output, in whatever form a log has it: a number, a class name, JSON, a list."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..outputs import BOX_WIDTH, Array, OutputSpec

FORMS = {
    "label": "a class name, or one number a class: a list, or {class: number}",
    "multilabel": "a list of class names, or one number a class: a list, or {class: number}",
    "count": "a number",
    "scalar": "a number",
    "vector": "a list of numbers",
    "boxes": "a list of [x1, y1, x2, y2, score, class], corners as shares of the frame (0 to 1)",
    "tokens": "a list of ids",
    "mask": "a list of rows of numbers",
}

# A box may reach a little over the frame's edge.
_FURTHEST = 2.0
_MISSING = ("", "null", "nan", "na", "n/a", "<na>")


def read_cell(output: OutputSpec, cell: Any) -> Array | None:
    """The output that a cell holds; None if it is empty.

    Args:
        output: the type of the output.
        cell: text (`FORMS` says what, lists and maps as JSON), or the same as Python objects or an array.

    Raises:
        InvalidInput: it can't be read as that kind, names a class there is not, or holds NaN.
    """
    if is_missing(cell, output):
        return None
    if isinstance(cell, str):
        cell = _parsed(output, cell.strip())
    try:
        value = _READERS.get(output.kind, _numbers)(output, cell)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise _unreadable(output, cell) from error
    return output.check(value)


def is_missing(cell: Any, output: OutputSpec | None = None) -> bool:
    """Whether a cell says that there is no output: nothing, `null`, `NaN`, `NA`, or numbers that are all NaN.

    What is the name of a class of the output is that class.
    """
    if cell is None:
        return True
    if isinstance(cell, str):
        text = cell.strip()
        return text.lower() in _MISSING and not (output is not None and text in output.classes)
    if isinstance(cell, float):
        return math.isnan(cell)
    if isinstance(cell, np.ndarray | np.generic) and cell.dtype.kind == "f":
        return bool(cell.size) and bool(np.isnan(cell).all())
    return False


def class_index(output: OutputSpec, name: str) -> int:
    """Where a class stands.

    Raises:
        InvalidInput: the spec has no such class.
    """
    if name not in output.classes:
        near = get_close_matches(name, output.classes, n=1)
        listed = ", ".join(output.classes[:12]) + (", ..." if len(output.classes) > 12 else "")
        raise InvalidInput(
            f"there is no class {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else "")
            + f" (`output.classes` in the spec: {listed}; where the vocabulary changed, name every class it ever had)"
        )
    return output.classes.index(name)


def _parsed(output: OutputSpec, text: str) -> Any:
    if output.kind == "label" and text in output.classes:
        return text
    with suppress(json.JSONDecodeError):
        return json.loads(text)
    try:
        # "nan" and "inf", which the kind's own check then names.
        return float(text)
    except ValueError as error:
        if output.kind == "label" and text[0] not in "[{":
            return text
        raise _unreadable(output, text) from error


def _unreadable(output: OutputSpec, cell: Any) -> InvalidInput:
    shown = str(cell)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
    return InvalidInput(f"{shown!r} can't be read as a {output.kind}: write {FORMS[output.kind]}")


def _label(output: OutputSpec, cell: Any) -> Array:
    if isinstance(cell, Sequence | np.ndarray | Mapping) and not isinstance(cell, str):
        return _by_class(output, cell)
    one_hot = np.zeros(len(output.classes), np.float32)
    one_hot[class_index(output, str(cell))] = 1.0
    return one_hot


def _by_class(output: OutputSpec, cell: Any) -> Array:
    """One number a class: a list in the classes' order, or a map of names to numbers."""
    if not isinstance(cell, Mapping):
        return _numbers(output, cell)
    values = np.zeros(len(output.classes), np.float32)
    for name, value in cell.items():
        values[class_index(output, str(name))] = value
    return values


def _multilabel(output: OutputSpec, cell: Any) -> Array:
    if isinstance(cell, Mapping) or not all(isinstance(each, str) for each in cell):
        return _by_class(output, cell)
    values = np.zeros(len(output.classes), np.float32)
    values[[class_index(output, name) for name in cell]] = 1.0
    return values


def _number(_output: OutputSpec, cell: Any) -> Array:
    return np.asarray(cell, np.float32).reshape(1)


def _numbers(_output: OutputSpec, cell: Any) -> Array:
    return np.asarray(cell, np.float64)


def _boxes(output: OutputSpec, cell: Any) -> Array:
    rows = np.zeros((len(cell), BOX_WIDTH), np.float32)
    for row, box in zip(rows, cell, strict=True):
        *numbers, of = box
        row[:] = (*numbers, class_index(output, of) if isinstance(of, str) else of)
    outside = rows[(np.abs(rows[:, :4]) > _FURTHEST).any(axis=1), :4]
    if len(outside):
        raise InvalidInput(
            f"a box has the corners {outside[0].tolist()}: write them as shares of the frame's width and height "
            "(0 to 1), not as pixels"
        )
    inverted = rows[(rows[:, :2] >= rows[:, 2:4]).any(axis=1), :4]
    if len(inverted):
        raise InvalidInput(
            f"a box has the corners {inverted[0].tolist()}, which end where they begin or before: write "
            "x1, y1, x2, y2; if these are x, y, width and height, add the width to x and the height to y"
        )
    return rows


_READERS = {
    "label": _label,
    "multilabel": _multilabel,
    "count": _number,
    "scalar": _number,
    "boxes": _boxes,
}

"""A guess, and what the guessers share: classes by their names, the cells of grids, numbers that models gave."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from ..outputs import Array
from .graph import Graph, Shape, Size, Written
from .spec import CLASS_LISTS, UNKNOWN

CLASSES = "classes"
UNIT_TOLD = 'whether its boxes are "pixels" of the input or "shares" of it'
IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
IMAGENET_BGR = {key: values[::-1] for key, values in IMAGENET.items()}


@dataclass(frozen=True)
class Guess:
    """What the outputs look like, and the values of `[output]`, `[decoder]` and `[input]` that go with it.

    Attributes:
        why: what they look like, for people.
        unknown: the keys that a person must write, such as "output.classes", each with how; their values are
            `UNKNOWN`.
    """

    why: str
    output: Mapping[str, Any]
    decoder: Mapping[str, Any]
    input: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


def named_classes(written: Written, count: int) -> tuple[Any, dict[str, str]]:
    """The value of `classes` for so many classes, and what a person must write of it."""
    names = written.classes
    if len(names) == count:
        return short_classes(names), {}
    if names:
        how = f"the file names {len(names)} classes, but its shape is that of {count}: name every class, in order"
        return UNKNOWN, {"output.classes": how}
    return next((short for short, known in CLASS_LISTS.items() if len(known) == count), count), {}


def boxes(graph: Graph, count: int | None) -> tuple[dict[str, Any], dict[str, str]]:
    """`[output]` of a detector of so many classes, and what a person must write of it.

    Args:
        graph: the model's.
        count: by its shapes; None: they do not tell.
    """
    if count is not None:
        classes, unknown = named_classes(graph.written, count)
    elif graph.written.classes:
        classes, unknown = short_classes(graph.written.classes), {}
    else:
        how = 'nothing in the file tells its classes: name them, in order, or "coco" (80), "coco91" (0 to 90)'
        classes, unknown = UNKNOWN, {"output.classes": how}
    return {"kind": "boxes", CLASSES: classes}, unknown


def short_classes(names: tuple[str, ...]) -> Any:
    """Names as a spec has them: the short form of a known list, or each."""
    return next((short for short, known in CLASS_LISTS.items() if known == names), list(names))


def cells(size: Size, strides: Shape) -> int:
    """How many cells grids of these strides have."""
    return sum(ceil(size[0] / stride) * ceil(size[1] / stride) for stride in strides)


def rows_seen(values: Iterable[Array], width: int) -> Array:
    """The rows of so many numbers that an output held on a few pictures, without empty ones: float64 (n, width)."""
    rows = [np.asarray(value, np.float64).reshape(-1, width) for value in values if np.size(value)]
    table = np.concatenate(rows) if rows else np.zeros((0, width))
    return table[np.isfinite(table).all(axis=1) & table.any(axis=1)]


def unit_of(corners: Array) -> str:
    """Whether these numbers that say where boxes are, are pixels or shares; `UNKNOWN` where there are none."""
    furthest = np.abs(corners).max(axis=1, initial=0.0)
    furthest = furthest[furthest > 0]
    if not len(furthest):
        return UNKNOWN
    # Shares reach a little over the border; a box of pixels ends behind the second one.
    return "shares" if float(np.median(furthest)) <= 2.0 else "pixels"


def whole(column: Array) -> bool:
    """Whether a column holds only whole numbers, not negative ones."""
    return bool(len(column)) and bool((column == np.floor(column)).all() and column.min() >= 0)


def share(column: Array) -> bool:
    """Whether a column holds only numbers from 0 to 1."""
    return bool(len(column)) and bool(column.min() >= 0 and column.max() <= 1)


def form_of(where: Array) -> tuple[str, ...]:
    """Whether four numbers are corners, or centre and size: corners end after they begin."""
    inverted = (where[:, :2] > where[:, 2:4]).any(axis=1)
    return ("cx", "cy", "w", "h") if 2 * np.count_nonzero(inverted) > len(where) else ("x1", "y1", "x2", "y2")

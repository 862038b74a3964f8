"""Boxes on their way out of a model's tensors: what the decoders of boxes share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BadOutput
from ..outputs import Array

if TYPE_CHECKING:
    from .decoding import DecoderSpec

Raw = dict[str, Array]
"""A model's outputs by name."""

Size = tuple[int, int]
"""Width and height of a model's input."""

FORMS: tuple[tuple[str, ...], ...] = (("x1", "y1", "x2", "y2"), ("cx", "cy", "w", "h"), ("x1", "y1", "w", "h"))
"""The four numbers that say where a box is, in three forms; their order may be another."""

_NAN = "a boxes output's scores hold NaN"
_FAR = 2.0
_NEAR = 1.5


@dataclass(frozen=True)
class Candidates:
    """Boxes before overlaps are removed.

    Attributes:
        corners: x1, y1, x2, y2 in input pixels, (n, 4).
        scores: (n,).
        classes: class indices, (n,).
    """

    corners: Array
    scores: Array
    classes: Array


def rows_of(value: Array) -> Array:
    """A tensor as float32 rows of its last axis."""
    return np.asarray(value, np.float32).reshape(-1, value.shape[-1])


def expect_width(rows: Array, width: int, what: str) -> None:
    """Makes sure that rows are so wide.

    Raises:
        ValueError: they are not.
    """
    if rows.shape[1] != width:
        raise ValueError(f"its rows hold {rows.shape[1]} numbers, not {width} ({what})")


def probabilities(value: Array, decoder: "DecoderSpec") -> Array:
    """Scores from 0 to 1.

    Raises:
        ValueError: they are no such scores, so that they need a sigmoid.
    """
    if decoder.logits:
        return sigmoid(value)
    check_scores(value)
    return value


def check_scores(value: Array) -> None:
    """Makes sure that these are scores from 0 to 1; what pads the end of a table may be -1, or infinity below 0.

    Raises:
        ValueError: some are not.
        BadOutput: some are NaN.
    """
    most = float(value.max(initial=0.0))
    if np.isnan(most):
        raise BadOutput(_NAN)
    if most > 1.01:
        raise ValueError(f"its scores go up to {most:.4g}, not to 1: they need `decoder.logits = true`")


def best_of(scores: Array, decoder: "DecoderSpec") -> tuple[Array, Array, Array]:
    """The rows whose best class scores enough: their indices, those scores, and those classes."""
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    if np.isnan(best).any():
        raise BadOutput(_NAN)
    chosen = np.flatnonzero(best >= decoder.score)
    return chosen, best[chosen], classes[chosen]


def around(centre: Array, size: Array) -> Array:
    """Corners from centres and sizes."""
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def corners_of(table: Array, columns: Sequence[str]) -> Array:
    """x1, y1, x2, y2 from the columns of a table, in its own unit.

    Raises:
        ValueError: most boxes end before they begin, so that the columns are other ones.
    """
    form = next(form for form in FORMS if set(form) <= set(columns))
    found = table[:, [columns.index(name) for name in form]]
    if form == FORMS[1]:
        return around(found[:, :2], found[:, 2:])
    if form == FORMS[2]:
        return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)
    inverted = (found[:, :2] > found[:, 2:]).any(axis=1)
    if 2 * np.count_nonzero(inverted) > len(found):
        raise ValueError(
            f"{np.count_nonzero(inverted)} of {len(found)} boxes end before they begin ({_told(found[inverted])} as "
            f"{', '.join(form)}): say with `decoder.columns` what they are, such as cx, cy, w, h"
        )
    return found


def in_pixels(corners: Array, decoder: "DecoderSpec", size: Size) -> Array:
    """Corners in the input's pixels, from the unit that the spec says they are in.

    Raises:
        ValueError: they are surely in another unit: cut at the frame's border, nothing would be left of them.
    """
    if not len(corners):
        return corners
    unit = decoder.unit
    far = corners[:, 2:].min(axis=1)
    if unit == "shares" and far.min() > _FAR:
        raise ValueError(
            f"its boxes lie far outside the picture, such as {_told(corners)}, where shares (0 to 1) are expected: "
            '`decoder.units = "pixels"`?'
        )
    # Boxes without an area are what some models fill up a table with.
    solid = corners[(corners[:, :2] < corners[:, 2:]).all(axis=1)]
    if unit == "pixels" and len(solid) and np.abs(solid).max() <= _NEAR < min(size) / 4:
        raise ValueError(
            f"its boxes lie within one pixel, such as {_told(corners)}, where pixels of {size[0]}x{size[1]} are "
            'expected: `decoder.units = "shares"`?'
        )
    pixels = corners if unit == "pixels" else corners * (size * 2)
    if (pixels[:, :2] > _NEAR * np.asarray(size)).any(axis=1).all():
        raise ValueError(
            f"its boxes lie far outside the picture, such as {_told(corners)}, where {unit} of {size[0]}x{size[1]} "
            "pixels are expected: `input.size`, `decoder.units` or `decoder.columns` is wrong"
        )
    return pixels


def _told(corners: Array) -> str:
    return "[" + ", ".join(f"{number:.4g}" for number in corners[0]) + "]"


def sigmoid(value: Array) -> Array:
    """The logistic function, without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * np.asarray(value, np.float32)), np.float32)


def softmax(value: Array) -> Array:
    """The softmax over the last axis."""
    exp = np.exp(value - value.max(axis=-1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))

"""Decoders of detectors that give their boxes ready made: in one table, or scores and boxes side by side."""

from typing import TYPE_CHECKING

import numpy as np

from ..outputs import Array
from .candidates import (
    Candidates,
    Raw,
    Size,
    best_of,
    check_scores,
    corners_of,
    expect_width,
    in_pixels,
    probabilities,
    rows_of,
    softmax,
)

if TYPE_CHECKING:
    from .decoding import DecoderSpec

ROWS = ("x1", "y1", "x2", "y2", "score", "class")
CORNERS = ROWS[:4]
CENTRES = ("cx", "cy", "w", "h")


def boxes(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """One row a box, its numbers as `columns` says: what a graph with its own decoding returns."""
    columns = decoder.columns or ROWS
    rows = rows_of(decoder.pick(raw))
    expect_width(rows, len(columns) + decoder.extra, ", ".join(columns))
    scores = rows[:, columns.index("score")]
    check_scores(scores)
    chosen = scores >= decoder.score
    rows, scores = rows[chosen], scores[chosen]
    corners = in_pixels(corners_of(rows, columns), decoder, size)
    return Candidates(corners, scores, rows[:, columns.index("class")] - decoder.first_class)


def lists(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """Boxes, scores and classes in outputs of their own, named in that order; a fourth says how many of them count."""
    corners = rows_of(_named(raw, decoder.outputs[0]))
    expect_width(corners, 4, ", ".join(decoder.columns or CORNERS))
    scores, found = (np.asarray(_named(raw, name)).reshape(-1) for name in decoder.outputs[1:3])
    if not len(corners) == len(scores) == len(found):
        raise ValueError(f"it gives {len(corners)} boxes, {len(scores)} scores and {len(found)} classes")
    if len(decoder.outputs) > 3:
        count = int(np.asarray(_named(raw, decoder.outputs[3])).reshape(-1)[0])
        corners, scores, found = corners[:count], scores[:count], found[:count]
    scores = scores.astype(np.float32)
    check_scores(scores)
    chosen = scores >= decoder.score
    corners = corners_of(corners[chosen], decoder.columns or CORNERS)
    indices = found[chosen].astype(np.float32) - decoder.first_class
    return Candidates(in_pixels(corners, decoder, size), scores[chosen], indices)


def detr(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """DETR and its kin: class scores and a box for each query, an object once."""
    return _side_by_side(raw, decoder, classes, size, CENTRES)


def ultraface(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size) -> Candidates:
    """UltraFace and others that decode in the graph but leave overlaps: class scores and corners."""
    return _side_by_side(raw, decoder, classes, size, CORNERS)


def _side_by_side(raw: Raw, decoder: "DecoderSpec", classes: int, size: Size, columns: tuple[str, ...]) -> Candidates:
    scores, table = _scores_and_boxes(raw, decoder)
    background = decoder.background or ("first" if decoder.name == "ultraface" else "")
    # Where the spec does not say, a query's own class for "nothing" shows by the width.
    background = background or ("last" if scores.shape[1] == classes + 1 else "none")
    expect_width(scores, classes + (background != "none"), f"{classes} classes, background: {background}")
    one_of = decoder.logits and background != "none"
    scores = softmax(scores) if one_of else probabilities(scores, decoder)
    if background != "none":
        scores = scores[:, 1:] if background == "first" else scores[:, :-1]
    chosen, best, found = best_of(scores, decoder)
    corners = corners_of(table[chosen], decoder.columns or columns)
    return Candidates(in_pixels(corners, decoder, size), best, found)


def _scores_and_boxes(raw: Raw, decoder: "DecoderSpec") -> tuple[Array, Array]:
    """The named outputs, scores first; or else the first two, told apart by their names or widths."""
    if decoder.outputs:
        first, second = (_named(raw, name) for name in decoder.outputs)
    else:
        (name, first), (_, second) = list(raw.items())[:2]
        if np.shape(first)[-1] == 4 and (np.shape(second)[-1] != 4 or "box" in name.lower()):
            first, second = second, first
    first, second = np.asarray(first, np.float32), rows_of(second)
    if first.shape[-1] == len(second) != first.shape[-2]:
        first = np.swapaxes(first, -1, -2)
    scores = rows_of(first)
    expect_width(second, 4, "a box")
    if len(scores) != len(second):
        raise ValueError(f"it gives scores of {len(scores)} boxes, and {len(second)} boxes")
    return scores, second


def _named(raw: Raw, name: str) -> Array:
    if name not in raw:
        raise ValueError(f"there is no output {name!r}")
    return np.asarray(raw[name])

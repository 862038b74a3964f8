"""Draws outputs into pictures: a colour for each model, classes by name, no label over another."""

import cv2
import numpy as np

from ..outputs import Array

Color = tuple[int, int, int]
Taken = list[tuple[int, int, int, int]]
"""Left, top, right, bottom of the labels that are in a picture already."""

COLORS: tuple[Color, ...] = (
    (0, 159, 230),
    (233, 180, 86),
    (115, 158, 0),
    (66, 228, 240),
    (0, 94, 213),
    (167, 121, 204),
    (178, 114, 0),
    (210, 210, 210),
)
"""Okabe and Ito's, as BGR, lightest and darkest last: the colour-blind tell them apart, too."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SCALE = 0.4
_PADDING = 2
_PLACES = 6


def color_of(index: int) -> Color:
    """The colour of a model, by its place among the models; after the eighth they begin anew."""
    return COLORS[index % len(COLORS)]


def draw_outlines(picture: Array, boxes: Array, color: Color, *, thickness: int = 1) -> None:
    """Draws boxes (as a model returns them) without names: those of all models come first, so that names stay free."""
    for left, top, right, bottom in _corners(picture, boxes):
        cv2.rectangle(picture, (left, top), (right, bottom), color, thickness, cv2.LINE_AA)


def draw_names(
    picture: Array, boxes: Array, classes: tuple[str, ...], color: Color, taken: Taken, *, scores: bool = False
) -> None:
    """Draws the names of boxes' classes; one for which there is no free place near its box is left out.

    Args:
        picture: uint8 BGR; drawn into.
        boxes: as a model returns them, float32 (n, 6).
        classes: the names in order.
        color: BGR.
        taken: the names in the picture so far, of other models, too; added to.
        scores: whether the score stands after the name.
    """
    corners = _corners(picture, boxes)
    # The surest first: where there is little room, theirs are the names that stand.
    for i in np.argsort(-boxes[:, 4], kind="stable").tolist():
        name = classes[int(boxes[i, 5])]
        left, top, _, bottom = corners[i]
        _draw_label(picture, f"{name} {boxes[i, 4]:.2f}" if scores else name, (left, top, bottom), color, taken)


def _corners(picture: Array, boxes: Array) -> list[list[int]]:
    height, width = picture.shape[:2]
    return [list(map(int, row)) for row in np.round(boxes[:, :4] * (width, height, width, height))]


def draw_text(picture: Array, text: str, left: int, baseline: int, color: Color, *, scale: float = _SCALE) -> None:
    """Writes a line, cut at the picture's right border."""
    text = text.encode("ascii", "replace").decode("ascii")
    room = picture.shape[1] - left - _PADDING
    while text and cv2.getTextSize(text, _FONT, scale, 1)[0][0] > room:
        text = text[:-4] + "..." if len(text) > 4 else ""
    cv2.putText(picture, text, (left, baseline), _FONT, scale, color, 1, cv2.LINE_AA)


def _draw_label(picture: Array, text: str, box: tuple[int, int, int], color: Color, taken: Taken) -> None:
    """A name on its own ground, above its box or at the next free place below."""
    text = text.encode("ascii", "replace").decode("ascii")
    (wide, high), _ = cv2.getTextSize(text, _FONT, _SCALE, 1)
    wide, high = wide + 2 * _PADDING, high + 2 * _PADDING + 1
    left, top, bottom = box
    left = max(0, min(left, picture.shape[1] - wide))
    tops = [top - high, *(top + 1 + high * i for i in range(_PLACES)), bottom + 1]
    for place in tops:
        if 0 <= place <= picture.shape[0] - high and not _overlaps(taken, left, place, left + wide, place + high):
            break
    else:
        return
    taken.append((left, place, left + wide, place + high))
    cv2.rectangle(picture, (left, place), (left + wide - 1, place + high - 1), color, -1)
    # Dark on light, light on dark, by the weights of luminance.
    ink = (0, 0, 0) if 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2] > 110 else (255, 255, 255)
    cv2.putText(picture, text, (left + _PADDING, place + high - _PADDING - 1), _FONT, _SCALE, ink, 1, cv2.LINE_AA)


def _overlaps(taken: Taken, left: int, top: int, right: int, bottom: int) -> bool:
    return any(left < x2 and x1 < right and top < y2 and y1 < bottom for x1, y1, x2, y2 in taken)

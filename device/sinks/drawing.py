"""Draws an input's results into its picture: what was found, how that was obtained, and how far it can be trusted."""

import cv2
import numpy as np

from ...models.draw import Color, Taken, draw_names, draw_outlines, draw_text
from ...outputs import Array
from .delivered import Delivered, Said

TRUST_COLORS: dict[str, Color] = {
    "exact": (115, 158, 0),
    "certified": (233, 180, 86),
    "unsure": (0, 159, 230),
    "uncalibrated": (210, 210, 210),
    "revoked": (0, 94, 213),
}
"""BGR, of Okabe and Ito's colours: green, light blue, orange, light grey, red."""

_INK = (255, 255, 255)
_LINE = 15
_MARGIN = 4
_DIM = 0.35


def scaled(picture: Array, longest_side: int) -> Array:
    """A picture whose longer side is at most so long, with even sides, as video needs them; never the array itself."""
    height, width = picture.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    size = (max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2))
    if size == (width, height):
        return picture.copy()
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def draw_results(picture: Array, delivered: Delivered) -> None:
    """Draws the boxes of all models, coloured by their trust, and a line for each model in words.

    Args:
        picture: uint8 BGR, of any size; drawn into.
        delivered: the input.
    """
    taken: Taken = []
    lines = [_line(said) for said in delivered.results] or [(_nothing(delivered), TRUST_COLORS["uncalibrated"])]
    _draw_lines(picture, [(_about(delivered), _INK), *lines], taken)
    boxes = [said for said in delivered.results if said.output.kind == "boxes" and said.value is not None]
    for said in boxes:
        # An output of the input's own is drawn more firmly than one that was taken over.
        draw_outlines(picture, _value(said), color_of_trust(said), thickness=1 if said.reference is not None else 2)
    for said in boxes:
        draw_names(picture, _value(said), said.output.classes, color_of_trust(said), taken, scores=True)


def color_of_trust(said: Said) -> Color:
    """The colour of an output by its trust."""
    return TRUST_COLORS.get(said.trust, TRUST_COLORS["uncalibrated"])


def _value(said: Said) -> Array:
    return said.output.empty() if said.value is None else said.value


def _about(delivered: Delivered) -> str:
    sent = "sent" if delivered.kept else "not sent"
    parts = [delivered.stream, f"#{delivered.sequence}", f"{delivered.captured_s:.1f} s", sent, delivered.level]
    return "  ".join(filter(None, parts))


def _nothing(delivered: Delivered) -> str:
    return f"no result: {delivered.refused}" if delivered.refused else "no result yet"


def _line(said: Said) -> tuple[str, Color]:
    obtained = said.origin if said.reference is None else f"{said.origin} from #{said.reference}"
    summary = said.summary if said.value is not None else "no result yet"
    return f"{said.model}: {summary}  {obtained}, {said.trust} {said.confidence:.2f}", color_of_trust(said)


def _draw_lines(picture: Array, lines: list[tuple[str, Color]], taken: Taken) -> None:
    """Writes lines on a darkened strip at the top."""
    height, width = picture.shape[:2]
    bottom = min(height, _MARGIN + _LINE * len(lines))
    strip = picture[:bottom]
    np.copyto(strip, (strip * _DIM).astype(np.uint8))
    for i, (text, color) in enumerate(lines):
        baseline = _LINE * (i + 1) - 2
        if baseline < height:
            draw_text(picture, text, _MARGIN, baseline, color)
    taken.append((0, 0, width, bottom))

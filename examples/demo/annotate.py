"""annotated.mp4: the served frames with every model's output, and where it came from."""

from pathlib import Path

import cv2
import numpy as np

from ...device.results import Results
from ...models.draw import Color, Taken, color_of, draw_names, draw_outlines, draw_text
from ...models.spec import ModelSpec
from ...outputs import Array
from ..videofile import VideoFileWriter
from .pipeline import Demo
from .plots import ORIGIN_COLORS
from .score import ORIGINS

_WHITE: Color = (255, 255, 255)
_LINE = 17
_WIDTH = 640
_CRF = 28


def write_annotated(demo: Demo, path: Path) -> None:
    """Draws infilink's results on every frame of the served stretch."""
    compared = demo.compared["infilink"]
    with Results(demo.runs["infilink"].results) as results:
        served = {name: results.served(name) for name in demo.specs}
    with VideoFileWriter(path, fps=demo.stretch.fps, crf=_CRF) as video:
        begun_s: float | None = None
        for i, frame in zip(range(len(compared.kept)), demo.stretch.read(), strict=False):
            begun_s = frame.captured_s if begun_s is None else begun_s
            origins = {name: ORIGINS[compared.origin[row, i]] for row, name in enumerate(demo.specs)}
            values = {name: served[name][i] for name in demo.specs}
            drawn = annotate(frame.image, demo.specs, values, origins, sent=bool(compared.kept[i]))
            video.write(drawn, frame.captured_s - begun_s)


def annotate(
    image: Array, specs: dict[str, ModelSpec], values: dict[str, Array], origins: dict[str, str], *, sent: bool
) -> Array:
    """A frame, at most `_WIDTH` wide, with the boxes drawn in it and a line for each model below."""
    scale = min(1.0, _WIDTH / image.shape[1])
    # Even sizes: colour is coded at half of them.
    size = (round(image.shape[1] * scale / 2) * 2, round(image.shape[0] * scale / 2) * 2)
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    panel = np.full((_LINE * (len(specs) + 1) + 9 & ~1, picture.shape[1], 3), 28, np.uint8)
    draw_text(panel, "sent" if sent else "not sent: the last results are reused", 8, _LINE - 3, _WHITE)
    names = max(cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)[0][0] for name in specs)
    boxed = [(row, name) for row, (name, spec) in enumerate(specs.items()) if spec.output.kind == "boxes"]
    taken: Taken = []
    for row, name in boxed:
        draw_outlines(picture, values[name], color_of(row), thickness=2 if origins[name] == "executed" else 1)
    for row, name in boxed:
        draw_names(picture, values[name], specs[name].output.classes, color_of(row), taken)
    for row, (name, spec) in enumerate(specs.items()):
        color, origin = color_of(row), origins[name]
        y = _LINE * (row + 2) - 3
        cv2.rectangle(panel, (8, y - 9), (17, y), color, -1)
        draw_text(panel, name, 24, y, _WHITE)
        draw_text(panel, origin, 36 + names, y, _bgr(ORIGIN_COLORS[origin]))
        draw_text(panel, spec.output.summary(values[name]), 112 + names, y, _WHITE)
    return np.concatenate([picture, panel])


def _bgr(color: str) -> Color:
    """A colour of the plots, lightened so that it can be read on dark ground."""
    red, green, blue = (255 - (255 - int(color[i : i + 2], 16)) * 2 // 3 for i in (1, 3, 5))
    return blue, green, red

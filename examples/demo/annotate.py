"""annotated.mp4: the served frames with every model's output, and where it came from."""

from pathlib import Path

import cv2
import numpy as np

from ...device.results import Results
from ...device.sources.open import open_source
from ...models.spec import ModelSpec
from ...outputs import Array
from .pipeline import Demo
from .score import ORIGINS
from .videofile import VideoFileWriter

# BGR, in the hues of the report's plots.
_COLORS = {
    "executed": (110, 185, 15),
    "linked": (11, 158, 245),
    "held": (77, 211, 252),
    "constant": (165, 165, 252),
    "reused": (200, 200, 200),
    "skipped": (200, 200, 200),
}
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINE = 17
_WIDTH = 640


def write_annotated(demo: Demo, path: Path) -> None:
    """Draws infilink's results on every frame of the served stretch."""
    compared = demo.compared["infilink"]
    with Results(demo.runs["infilink"].results) as results:
        served = {name: results.served(name) for name in demo.specs}
    stretch = demo.stretch
    with (
        open_source(stretch.source, start_s=stretch.start_s, seconds=stretch.seconds) as source,
        VideoFileWriter(path, fps=source.fps) as video,
    ):
        for i, frame in zip(range(len(compared.kept)), source, strict=False):
            origins = {name: ORIGINS[compared.origin[row, i]] for row, name in enumerate(demo.specs)}
            values = {name: served[name][i] for name in demo.specs}
            video.write(annotate(frame.image, demo.specs, values, origins, sent=bool(compared.kept[i])))


def annotate(
    image: Array, specs: dict[str, ModelSpec], values: dict[str, Array], origins: dict[str, str], *, sent: bool
) -> Array:
    """A frame, at most `_WIDTH` wide, with the boxes drawn in it and a line for each model below."""
    scale = min(1.0, _WIDTH / image.shape[1])
    # Even sizes: MPEG-4 codes colour at half of them.
    size = (round(image.shape[1] * scale / 2) * 2, round(image.shape[0] * scale / 2) * 2)
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    panel = np.full((_LINE * (len(specs) + 1) + 9 & ~1, picture.shape[1], 3), 28, np.uint8)
    headline = "sent" if sent else "not sent: the last results are reused"
    cv2.putText(panel, headline, (8, _LINE - 3), _FONT, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    for row, (name, spec) in enumerate(specs.items(), start=2):
        color = _COLORS[origins[name]]
        if spec.output.kind == "boxes":
            _draw_boxes(picture, values[name], spec.output.classes, color)
        y = _LINE * row - 3
        cv2.putText(panel, f"{name}", (8, y), _FONT, 0.42, (210, 210, 210), 1, cv2.LINE_AA)
        cv2.putText(panel, origins[name], (150, y), _FONT, 0.42, color, 1, cv2.LINE_AA)
        text = spec.output.summary(values[name])
        cv2.putText(panel, text, (240, y), _FONT, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([picture, panel])


def _draw_boxes(picture: Array, boxes: Array, classes: tuple[str, ...], color: tuple[int, int, int]) -> None:
    height, width = picture.shape[:2]
    for x1, y1, x2, y2, _, index in boxes:
        left, top = int(x1 * width), int(y1 * height)
        cv2.rectangle(picture, (left, top), (int(x2 * width), int(y2 * height)), color, 1, cv2.LINE_AA)
        cv2.putText(picture, classes[int(index)], (left, max(10, top - 3)), _FONT, 0.35, color, 1, cv2.LINE_AA)

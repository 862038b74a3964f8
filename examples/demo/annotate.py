"""annotated.mp4: the cameras side by side, every model's answer on each frame, and where it came from."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ...device.sources.open import open_source
from ...models.draw import Color, Taken, color_of, draw_names, draw_outlines, draw_text
from ...models.spec import ModelSpec
from ...outputs import Array
from ..videofile import VideoFileWriter
from .pipeline import Demo
from .plots import ORIGIN_COLORS
from .served import ORIGINS
from .site import Camera

_WHITE: Color = (255, 255, 255)
_LINE = 15
_GRID_WIDTH, _MOST_ACROSS = 1290, 3
_MOST_FPS = 8.0
_CRF = 30


def write_annotated(demo: Demo, path: Path) -> None:
    """Draws infilink's answers on what was served of every camera, the cameras in a grid, by their own times."""
    served = demo.served["infilink"].streams
    cameras = [demo.site.cameras[name] for name in served]
    across = min(_MOST_ACROSS, len(cameras))
    width = _GRID_WIDTH // across & ~1
    fps = min(_MOST_FPS, max(each.camera.fps for each in cameras))
    frames = {name: _frames(demo.site.cameras[name].camera, width) for name in served}
    height = max(each[0].shape[0] for each in frames.values())
    with VideoFileWriter(path, fps=fps, crf=_CRF) as video:
        for moment in range(round(demo.site.seconds * fps)):
            drawn = []
            for name, stream in served.items():
                at_s = demo.site.cameras[name].captured_s[: len(stream.kept)]
                row = max(
                    0, min(int(np.searchsorted(at_s, moment / fps + 1e-6, side="right")) - 1, len(frames[name]) - 1)
                )
                origins = {model: ORIGINS[stream.origin[i, row]] for i, model in enumerate(demo.site.specs)}
                values = {model: stream.values[model][row] for model in demo.site.specs}
                sent = "frame sent" if "executed" in origins.values() else "features sent" if stream.kept[row] else ""
                drawn.append(
                    annotate(frames[name][row], demo.site.specs, values, origins, title=name, sent=sent, height=height)
                )
            video.write(_grid(drawn, across))


def _frames(camera: Camera, width: int) -> list[Array]:
    """What was served of a camera, small."""
    found = []
    with open_source(camera.path, start_s=camera.cut_s, seconds=camera.seconds - camera.cut_s) as source:
        for frame in source:
            if frame.sequence % camera.every == 0:
                height = round(frame.value.shape[0] * width / frame.value.shape[1] / 2) * 2
                found.append(cv2.resize(frame.value, (width, height), interpolation=cv2.INTER_AREA))
    return found


def _grid(pictures: list[Array], across: int) -> Array:
    """Pictures of one size, row by row; what is left at the end is dark."""
    missing = -len(pictures) % across
    whole = [*pictures, *[np.full_like(pictures[0], 28)] * missing]
    rows = [np.concatenate(whole[i : i + across], axis=1) for i in range(0, len(whole), across)]
    return np.concatenate(rows)


def annotate(
    image: Array,
    specs: Mapping[str, ModelSpec],
    values: Mapping[str, Array],
    origins: Mapping[str, str],
    *,
    title: str,
    sent: str,
    height: int,
) -> Array:
    """A frame with the boxes drawn in it, on a ground of that height, and a line for each model below."""
    picture = np.full((height, image.shape[1], 3), 28, np.uint8)
    picture[: image.shape[0]] = image
    panel = np.full((_LINE * (len(specs) + 1) + 9 & ~1, picture.shape[1], 3), 28, np.uint8)
    draw_text(panel, title, 8, _LINE - 3, _WHITE)
    draw_text(panel, sent, 112, _LINE - 3, (170, 170, 170))
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
        cv2.rectangle(panel, (8, y - 8), (16, y), color, -1)
        draw_text(panel, name, 22, y, _WHITE)
        draw_text(panel, origin, 32 + names, y, _bgr(ORIGIN_COLORS[origin]))
        draw_text(panel, spec.output.summary(values[name]), 100 + names, y, _WHITE)
    return np.concatenate([picture, panel])


def _bgr(color: str) -> Color:
    """A colour of the plots, lightened so that it can be read on dark ground."""
    red, green, blue = (255 - (255 - int(color[i : i + 2], 16)) * 2 // 3 for i in (1, 3, 5))
    return blue, green, red

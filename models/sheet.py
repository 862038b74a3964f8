"""A sheet of pictures for a model: what it says of a few inputs, drawn into them: a person sees if its spec fits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..outputs import Array
from .draw import Taken, color_of, draw_names, draw_outlines, draw_text
from .inputs.pixels import PixelInput
from .spec import ModelSpec

_TILE_WIDTH = 640
_HIGHEST_TILE = 800
_LINE = 22
_GAP = 8
_COLUMNS = 2
_SCALE = 0.5
_GROUND = 32
_WHITE = (255, 255, 255)
_GREY = (190, 190, 190)
_MASK_COLOR = (0, 159, 230)


@dataclass(frozen=True)
class Seen:
    """An input and what a model said of it.

    Attributes:
        at_s: where the input stands in its source.
        frame: it, as a picture: uint8 BGR.
        value: the model's output; None: it had none.
        failed: why it had none.
    """

    at_s: float
    frame: Array
    value: Array | None
    failed: str = ""


def draw_sheet(spec: ModelSpec, seen: Sequence[Seen]) -> Array:
    """The sheet: how the model is fed and read, and below it every input with its answer (uint8 BGR)."""
    tiles = [_tile(spec, each, _class_colors(spec, seen)) for each in seen]
    height = max(tile.shape[0] for tile in tiles)
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    told = settings_of(spec)
    top = _GAP + _LINE * len(told)
    sheet = np.full((top + rows * (height + _GAP) + _GAP, columns * (_TILE_WIDTH + _GAP) + _GAP, 3), _GROUND, np.uint8)
    for i, line in enumerate(told):
        draw_text(sheet, line, _GAP, _LINE * (i + 1) - 2, _GREY if i else _WHITE, scale=_SCALE)
    for i, tile in enumerate(tiles):
        left, upper = _GAP + i % columns * (_TILE_WIDTH + _GAP), top + i // columns * (height + _GAP)
        sheet[upper : upper + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def settings_of(spec: ModelSpec) -> list[str]:
    """What of a spec a person checks with the pictures."""
    fed, read = spec.fed, spec.decoder
    lines = [f"{spec.name}: {spec.output.kind}, decoder {read.name}", f"fed {fed.told()}"]
    if isinstance(fed, PixelInput):
        scale = f"mean {', '.join(f'{n:g}' for n in fed.mean)}, std {', '.join(f'{n:g}' for n in fed.std)}"
        lines[1] = f"fed {fed.told()} {fed.color}, {fed.resize}, {scale}"
    if spec.output.kind == "boxes":
        lines[0] += f", score {read.score:g} or more"
        lines[1] += f"; boxes in {read.unit}" if read.name in ("boxes", "lists", "detr", "ultraface") else ""
    return lines


def _class_colors(spec: ModelSpec, seen: Sequence[Seen]) -> dict[int, int]:
    """A colour's number for each class that was seen, the most frequent first."""
    if spec.output.kind != "boxes":
        return {}
    counted = Counter(int(index) for each in seen if each.value is not None for index in each.value[:, 5])
    return {index: place for place, (index, _) in enumerate(counted.most_common())}


def _tile(spec: ModelSpec, seen: Seen, colors: dict[int, int]) -> Array:
    """An input in the sheet's size with its answer, and a line below it."""
    height, width = seen.frame.shape[:2]
    scale = min(_TILE_WIDTH / width, _HIGHEST_TILE / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = cv2.resize(seen.frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if seen.value is not None and spec.output.kind == "mask":
        picture = _tinted(picture, seen.value)
    taken: Taken = []
    if seen.value is not None:
        by_class = [(seen.value[seen.value[:, 5] == index], color_of(place)) for index, place in colors.items()]
        for boxes, color in by_class:
            draw_outlines(picture, boxes, color, thickness=2)
        for boxes, color in by_class:
            draw_names(picture, boxes, spec.output.classes, color, taken, scores=True)
    tile = np.full((size[1] + _LINE, _TILE_WIDTH, 3), _GROUND, np.uint8)
    left = (_TILE_WIDTH - size[0]) // 2
    tile[: size[1], left : left + size[0]] = picture
    draw_text(tile, f"{seen.at_s:.1f} s: {_told(spec, seen)}", 2, size[1] + _LINE - 7, _WHITE, scale=_SCALE)
    return tile


def _told(spec: ModelSpec, seen: Seen) -> str:
    """A model's answer in a few words, or why it has none."""
    if seen.value is None:
        return seen.failed
    told = spec.output.summary(seen.value)
    if spec.output.kind == "mask" and seen.value.size:
        told += f", {(seen.value >= 0.5).mean():.0%} of it 0.5 or more"
    return told


def _tinted(picture: Array, mask: Array) -> Array:
    """The picture with a colour where the map is strong."""
    if not mask.size:
        return picture
    strength = cv2.resize(mask, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    strength = np.clip(strength, 0, 1)[:, :, None] * 0.8
    return np.asarray(picture * (1 - strength) + np.asarray(_MASK_COLOR) * strength, np.uint8)

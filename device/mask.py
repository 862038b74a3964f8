"""Polygons of the picture that nobody shall see: black before gate, stem, models and wire look at a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import BaseModel

from ..errors import InvalidInput
from ..filters.rules.zones import Points, Zone
from ..models.inputs.form import InputForm
from ..outputs import Array
from ..settings import checked, read_toml

_PICTURES = ("image", "video")
# cv2 takes corners in whole sixteenths of a pixel.
_SHIFT = 4
_TOUCHED = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class _Patch:
    """The part of the picture that a polygon lies in.

    Attributes:
        rows: of the picture.
        columns: likewise.
        keeps: 255 where a pixel stays as it is, else 0: uint8 like the part; None: nothing in it stays.
    """

    rows: slice
    columns: slice
    keeps: Array | None


class _Masks(BaseModel):
    """What a device's settings say of masks; the rest is passed over."""

    mask: tuple[Points, ...] = ()
    streams: dict[str, "_Masks"] = {}


def read_masks(path: Path | None, names: Sequence[str]) -> dict[str, tuple[Points, ...]]:
    """The masks that a device's settings give its streams, so that what is recorded is masked as well.

    Args:
        path: a device.toml: `mask` in `[streams.NAME]`, or else at the top; None: nothing is masked.
        names: of the streams.

    Raises:
        InvalidInput: naming the file, the key, and what is allowed.
    """
    if path is None:
        return {}
    found = checked(_Masks, read_toml(path, advice="give the device.toml that has the `mask`"), where=str(path))
    given = {name: found.streams[name].mask if name in found.streams else () for name in names}
    masks = {name: check_polygons(mask or found.mask) for name, mask in given.items()}
    if not any(masks.values()):
        raise InvalidInput(f"{path}: has no `mask` for {', '.join(names) or 'its stream'}, at the top or in its table")
    return masks


def check_polygons(mask: tuple[Points, ...]) -> tuple[Points, ...]:
    """A mask's polygons.

    Raises:
        InvalidInput: one is no polygon within the picture.
    """
    return tuple(Zone(f"mask[{i}]", points).points for i, points in enumerate(mask))


class Mask:
    """Blackens every pixel that one of its polygons touches, and those next to it; worked out once for a size.

    Args:
        polygons: corners as shares of the picture's width and height.
    """

    def __init__(self, polygons: Sequence[Points]) -> None:
        self.polygons = tuple(polygons)
        self._shape: tuple[int, ...] = ()
        self._patches: list[_Patch] = []

    def check(self, form: InputForm) -> None:
        """Makes sure that a stream's inputs have a picture to blacken.

        Raises:
            InvalidInput: they have none.
        """
        kinds = [part.modality for part in form.parts.values()] or [form.modality]
        if self.polygons and not set(kinds) & set(_PICTURES):
            raise InvalidInput(
                f"`mask` blackens parts of pictures, and this source gives {form.modality}: leave it out"
            )

    def apply(self, value: Array) -> Array:
        """An input without what is masked: the array itself, or a copy of one that can't be written.

        Args:
            value: a picture (uint8 BGR), a window of pictures, or an input of which one part is such.
        """
        if not self.polygons:
            return value
        if not value.flags.writeable:
            value = value.copy()
        pictures = [value] if value.dtype.names is None else [value[name] for name in value.dtype.names]
        for each in pictures:
            if each.ndim in (3, 4) and each.dtype == np.uint8:
                for frame in each if each.ndim == 4 else (each,):
                    self._blacken(frame)
        return value

    def covered(self, height: int, width: int) -> Array:
        """Which pixels are black: bool (height, width)."""
        return np.asarray(self.apply(np.ones((height, width, 1), np.uint8))[..., 0] == 0)

    def _blacken(self, frame: Array) -> None:
        if frame.shape != self._shape:
            self._patches = [_patch(points, frame.shape) for points in self.polygons]
            self._shape = frame.shape
        for patch in self._patches:
            part = frame[patch.rows, patch.columns]
            if patch.keeps is None:
                part[...] = 0
            else:
                np.bitwise_and(part, patch.keeps, out=part)


def _patch(points: Points, shape: tuple[int, ...]) -> _Patch:
    """What is black of a picture of this shape."""
    height, width = shape[:2]
    # cv2's pixels have their middle at whole numbers, ours their edge.
    corners = np.clip(np.asarray(points) * (width, height) - 0.5, 0.0, (width - 1, height - 1))
    black = np.zeros((height, width), np.uint8)
    cv2.fillPoly(black, [np.rint(corners * 2**_SHIFT).astype(np.int32)], 255, shift=_SHIFT)
    black = np.asarray(cv2.dilate(black, _TOUCHED))
    at_rows, at_columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    rows, columns = (slice(int(at[0]), int(at[-1]) + 1) for at in (at_rows, at_columns))
    part = black[rows, columns]
    keeps = None if part.all() else np.repeat(~part[..., None], shape[2], axis=2)
    return _Patch(rows, columns, keeps)

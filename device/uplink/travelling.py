"""What of a picture travels: how large it is, by a ladder of sizes, and which regions of it."""

from typing import Any

import cv2
import numpy as np
from pydantic import field_validator

from ...errors import InvalidInput
from ...filters.rules.zones import Points, Zone
from ...models.inputs.form import PICTURES, InputForm
from ...outputs import Array
from ...settings import Table

_LEAST_SIDE = 64
# What letterboxed models are fed around a picture; of one colour, it takes hardly a byte.
_GREY = 114
# JPEG and H.264 code blocks of so many pixels: a border within one costs what an edge costs.
_BLOCK = 16


class PictureConfig(Table):
    """The table `[picture]` of device.toml.

    Attributes:
        longest_side: the sizes that pictures travel in, in pixels, the largest first: the governor goes down this
            ladder; none: as they are captured.
        regions: polygons of which only the inside travels; none: everything does. Corners as in `mask`.
    """

    longest_side: tuple[int, ...] = ()
    regions: tuple[Points, ...] = ()

    @field_validator("longest_side", mode="before")
    @classmethod
    def _as_ladder(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("longest_side")
    @classmethod
    def _falls(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(side < _LEAST_SIDE for side in value) or list(value) != sorted(set(value), reverse=True):
            raise ValueError(f"must be sizes in pixels, {_LEAST_SIDE} at least, the largest first: [1280, 960, 640]")
        return value

    @field_validator("regions")
    @classmethod
    def _check_regions(cls, value: tuple[Points, ...]) -> tuple[Points, ...]:
        return tuple(Zone(f"regions[{i}]", points).points for i, points in enumerate(value))


class Travelling:
    """Makes of a captured picture the one that travels; coordinates as shares of it are those of the captured one.

    Outside the regions all is of one grey, so that it costs hardly a byte and boxes need not be moved; so pictures are
    not cut. They are made smaller, never larger.

    Args:
        config: what travels.
    """

    def __init__(self, config: PictureConfig) -> None:
        self.config = config
        self._rung = 0
        self._keeps: Array | None = None

    @property
    def changes(self) -> bool:
        """Whether pictures may travel otherwise than they are captured."""
        return bool(self.config.longest_side or self.config.regions)

    @property
    def rungs(self) -> int:
        """How many sizes the ladder has; 0: pictures travel as they are captured."""
        return len(self.config.longest_side)

    def check(self, form: InputForm, *, head: bool) -> None:
        """Makes sure that a stream's inputs are pictures that travel as such.

        Args:
            form: of the stream's inputs.
            head: whether a model's first part runs here, whose maps travel instead.

        Raises:
            InvalidInput: they are not.
        """
        if self.changes and form != PICTURES:
            raise InvalidInput(f"[picture] is for single pictures, and this source gives {form.modality}: leave it out")
        if self.changes and head:
            raise InvalidInput("[picture] says how pictures travel, and with `head` maps do: leave one of them out")

    def lower(self, rung: int) -> None:
        """From now on pictures travel in this size of the ladder, from 0, or its last; from any thread."""
        self._rung = max(0, min(rung, len(self.config.longest_side) - 1))

    def apply(self, picture: Array) -> Array:
        """The picture that travels: uint8 BGR; the array itself where nothing is to be done.

        Args:
            picture: as it was captured, masked; it stays as it is.
        """
        height, width = picture.shape[:2]
        if self.config.longest_side:
            scale = self.config.longest_side[self._rung] / max(height, width)
            if scale < 1.0:
                size = (max(1, round(width * scale)), max(1, round(height * scale)))
                picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        if not self.config.regions:
            return picture
        keeps = self._keeps
        if keeps is None or keeps.shape != picture.shape[:2]:
            keeps = self._keeps = _inside(self.config.regions, *picture.shape[:2])
        flat = np.full_like(picture, _GREY)
        return np.asarray(cv2.copyTo(picture, keeps, flat))


def _inside(regions: tuple[Points, ...], height: int, width: int) -> Array:
    """Which pixels travel: uint8 (height, width), 255 or 0; whole blocks of the encoders."""
    inside = np.zeros((height, width), np.uint8)
    for points in regions:
        corners = np.clip(np.asarray(points) * (width, height) - 0.5, 0.0, (width - 1, height - 1))
        cv2.fillPoly(inside, [np.rint(corners * 16).astype(np.int32)], 1, shift=4)
    rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
    padded = np.zeros((rows * _BLOCK, columns * _BLOCK), np.uint8)
    padded[:height, :width] = inside
    counts = padded.reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3), dtype=np.int64)
    # A polygon's border is drawn as well: a block that it but touches is not meant, if any other is.
    touched = counts > (_BLOCK if (counts > _BLOCK).any() else 0)
    blocks = np.where(touched, 255, 0).astype(np.uint8)
    return np.ascontiguousarray(np.kron(blocks, np.ones((_BLOCK, _BLOCK), np.uint8))[:height, :width])

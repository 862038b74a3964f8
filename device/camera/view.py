"""A camera's view as it was learnt from its pictures: what stands still in it, and how much structure there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from ...outputs import Array
from .look import COLUMNS, HEIGHT, ROWS, WIDTH, Look, block_means

# So many looks weigh as much as one; a look is some .3 s.
_REMEMBERED = 60
# Detail and colours tell something once they were learnt from so many.
_LIT = 10
# Of the correlation of a block with what it was: above, it stands still.
_STILL = 0.5
_SAME = 0.5
# Added to a product of two blocks' structure, so that noise does not correlate with noise.
_NOISE = 25.0
_FAINT = 0.5
_LEAST_PEAK = 0.12
# How far colours differ in a picture without any (a lossy codec leaves some), and at least in one with some.
_COLOURLESS, _COLOURED = 0.015, 0.04


_WINDOW = cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F)


@dataclass(frozen=True)
class Comparison:
    """How a look compares with a view, over the blocks that stand still in the view.

    Attributes:
        still: how many blocks these are, of 60.
        same: the share of them that show what they showed.
        structure: how much structure they have, as a share of the usual, the median.
        detail: how much detail for that structure, as a share of the usual, the median; 1 where it is not less.
        veiled: the share that has less detail, and less than half of the usual for its structure.
        colour_changed: whether the one has colours and the other has none.
    """

    still: int
    same: float
    structure: float
    detail: float
    veiled: float
    colour_changed: bool


class View:
    """What a camera sees while nobody touches it; follows what changes slowly.

    Attributes:
        looks: how many it was learnt from.
    """

    def __init__(self) -> None:
        self.looks = 0
        # Of these, those in the present light and weather.
        self._lit = 0
        self._across = np.zeros((HEIGHT, WIDTH), np.float32)
        self._down = np.zeros((HEIGHT, WIDTH), np.float32)
        self._stands = np.zeros((ROWS, COLUMNS), np.float32)
        self._structure = np.zeros((ROWS, COLUMNS), np.float32)
        self._detail = np.zeros((ROWS, COLUMNS), np.float32)
        self._own = np.zeros((ROWS, COLUMNS), np.float32)
        self._colour = 0.0

    def add(self, look: Look) -> None:
        """Learns from a look."""
        if self.looks:
            stands = np.clip(self._correlations(look), 0.0, 1.0)
            self._stands += (stands - self._stands) / min(self.looks, _REMEMBERED)
        self.looks += 1
        self._lit += 1
        share, lit_share = (1.0 / min(count, _REMEMBERED) for count in (self.looks, self._lit))
        for mine, its, part in (
            (self._across, look.across, share),
            (self._down, look.down, share),
            (self._structure, look.structure, share),
            (self._detail, look.detail, lit_share),
        ):
            cv2.accumulateWeighted(its, mine, part)
        self._own = block_means(self._across**2 + self._down**2)
        self._colour += lit_share * (look.colour - self._colour)

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> Self:
        """The view that `arrays` gave a while ago: detail and colours, which light and weather change, are learnt anew.

        Raises:
            ValueError: they are none of a view.
            KeyError: one is missing.
        """
        view = cls()
        mine = view.arrays()
        for name, like in mine.items():
            found = arrays[name]
            if found.shape != like.shape or found.dtype != like.dtype or not np.isfinite(found).all():
                raise ValueError(f"`{name}` is not that of a view")
            if like.shape:
                like[...] = found
        view.looks = max(0, int(arrays["looks"]))
        view._own = block_means(view._across**2 + view._down**2)
        return view

    def arrays(self) -> dict[str, Array]:
        """What it is, by names; those with a shape are its own."""
        return {
            "across": self._across,
            "down": self._down,
            "stands": self._stands,
            "structure": self._structure,
            "looks": np.asarray(self.looks),
        }

    @property
    def is_coloured(self) -> bool:
        """Whether there are colours in it."""
        return self._colour > _COLOURLESS

    def compare(self, look: Look) -> Comparison:
        """Compares a look with it."""
        still = self._stands > _STILL
        count = int(still.sum())
        now, then = look.colour, self._colour
        is_lit = self._lit >= _LIT
        colour_changed = is_lit and min(now, then) < _COLOURLESS and max(now, then) > _COLOURED
        if not count:
            return Comparison(0, 1.0, 1.0, 1.0, 0.0, colour_changed)
        same = self._correlations(look)[still] > _SAME * self._stands[still]
        structure = (look.structure[still] + 1.0) / (self._structure[still] + 1.0)
        detail = (look.detail[still] + 1.0) / (self._detail[still] + 1.0)
        return Comparison(
            still=count,
            same=float(same.mean()),
            structure=float(np.median(structure)),
            detail=float(np.median(np.where(detail < 1.0, detail / structure, 1.0))) if is_lit else 1.0,
            veiled=float((detail < np.minimum(1.0, _FAINT * structure)).mean()) if is_lit else 0.0,
            colour_changed=colour_changed,
        )

    def shift(self, look: Look) -> tuple[float, float] | None:
        """By how much the picture has moved, right and down, as shares of its size; None: by no such movement."""
        (x, y), peak = cv2.phaseCorrelate(
            cv2.magnitude(self._across, self._down), cv2.magnitude(look.across, look.down), _WINDOW
        )
        return (x / WIDTH, y / HEIGHT) if peak > _LEAST_PEAK else None

    def _correlations(self, look: Look) -> Array:
        """Of each block's structure with what it was: float32 (6, 10), from -1 to 1."""
        both = block_means(look.across * self._across + look.down * self._down)
        return np.asarray(both / np.sqrt(look.structure * self._own + _NOISE))

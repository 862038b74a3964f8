"""The boxes of one output, apart: corners, scores, classes; and in the form of the package `supervision`."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ...errors import Unavailable
from ...outputs import Array


@dataclass(frozen=True)
class Detections:
    """What a model found in a picture.

    Attributes:
        corners: x1, y1, x2, y2 as shares of the picture's width and height, float32 (n, 4).
        scores: float32 (n,).
        classes: indices into `names`, int64 (n,).
        names: the model's classes, in order.
    """

    corners: Array
    scores: Array
    classes: Array
    names: tuple[str, ...]

    @classmethod
    def of(cls, boxes: Array, names: tuple[str, ...]) -> Self:
        """Of an output of kind boxes: float32 (n, 6)."""
        return cls(boxes[:, :4], boxes[:, 4], boxes[:, 5].astype(np.int64), names)

    def __len__(self) -> int:
        return len(self.scores)

    def in_pixels(self, width: int, height: int) -> Array:
        """The corners in pixels of a picture of this size: float32 (n, 4)."""
        return np.asarray(self.corners * np.asarray([width, height, width, height], np.float32), np.float32)

    def to_supervision(self, width: int, height: int) -> Any:
        """As `supervision.Detections`, for its trackers, zones and annotators; corners in pixels.

        Args:
            width: of the picture, in pixels.
            height: likewise.

        Raises:
            Unavailable: the package `supervision` is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise Unavailable("to_supervision() needs a package: pip install supervision") from error
        return supervision.Detections(
            xyxy=self.in_pixels(width, height),
            confidence=np.asarray(self.scores, np.float32),
            class_id=self.classes,
            data={"class_name": np.asarray([self.names[index] for index in self.classes.tolist()], dtype=str)},
        )

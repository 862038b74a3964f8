"""What a graph is fed for one input."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array


class Letterbox(NamedTuple):
    """Where a frame lies in a model's input: a box at x in the input is at `(x - offset_x) / width` of the frame."""

    offset_x: float
    offset_y: float
    width: float
    height: float
    input_width: int
    input_height: int

    def to_frame(self, boxes: Array) -> Array:
        """Boxes x1, y1, x2, y2 in input pixels (n, 4) as shares of the frame, cut at its borders."""
        moved = (boxes - (self.offset_x, self.offset_y) * 2) / ((self.width, self.height) * 2)
        return np.clip(moved, 0.0, 1.0).astype(np.float32)


FLOATS: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
}
"""The types of input that numbers are fed as, by onnxruntime's names."""

WHOLE = Letterbox(0.0, 0.0, 1.0, 1.0, 1, 1)
"""Of an input that is no picture."""


class Fed(NamedTuple):
    """A graph's tensors for one input, each with an axis of 1 in front.

    Attributes:
        tensors: by the graph's names.
        letterbox: where a picture lies in its tensor.
    """

    tensors: Mapping[str, Array]
    letterbox: Letterbox = WHOLE


class Feeder(Protocol):
    """Makes a graph's tensors of an input."""

    def __call__(self, value: Array) -> Fed:
        """The tensors.

        Raises:
            InvalidInput: it is no such input.
        """


def only(name: str, nodes: Mapping[str, Any]) -> Any:
    """The one node that a graph takes, which may be named.

    Raises:
        InvalidInput: it takes several, or that is not its name.
    """
    if len(nodes) != 1:
        raise InvalidInput(
            f"needs {len(nodes)} inputs ({', '.join(nodes)}), and one is fed: export it with one, give the others "
            'default initializers, or serve it by its tensors alone (`serve = "tensors"`)'
        )
    if name and name not in nodes:
        raise InvalidInput(f"has no input {name!r}: `input.name` must be one of {', '.join(nodes)}")
    return next(iter(nodes.values()))

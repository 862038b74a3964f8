"""A feature map, as a graph takes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ...errors import InvalidInput
from ...outputs import Array
from .base import BaseInput, fitting
from .fed import FLOATS, Fed, Feeder, only


class MapInput(BaseInput):
    """A feature map of one shape; the second part of a model that was split has no `[input]` (`split/`)."""

    modality: Literal["map"]
    shape: tuple[int, int, int] = Field(description="channels, height, width")

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no such map."""
        if value.dtype.kind != "f" or value.shape != self.shape:
            raise InvalidInput(
                f"a map must be floats of shape {self.shape} (`input.shape`), not {value.dtype} {value.shape}"
            )

    def told(self) -> str:
        """Its shape."""
        return f"map {'x'.join(map(str, self.shape))}"

    def samples(self) -> list[Array]:
        """Inputs to try a model out with: zeros, and noise."""
        return [np.zeros(self.shape, np.float32), np.random.default_rng(0).random(self.shape, np.float32)]

    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensor.

        Raises:
            InvalidInput: the graph takes something else.
        """
        node = only(self.name, nodes)
        if node.type not in FLOATS:
            raise InvalidInput(f"its input {node.name!r} takes {node.type}, and maps are fed as {', '.join(FLOATS)}")
        if not fitting(node, (1, *self.shape)):
            raise InvalidInput(
                f"its input {node.name!r} is {node.shape}, but its spec makes {[1, *self.shape]} (`input.shape`)"
            )

        def feed(value: Array) -> Fed:
            self.check(value)
            return Fed({node.name: np.ascontiguousarray(value[None], FLOATS[node.type])})

        return feed

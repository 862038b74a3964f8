"""A tail in a process of its own: serves the second part of a model as `ModelProcess` serves a whole one."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...preprocessing import Placement
from ...process import ModelProcess
from .parts import Tail
from .spec import SeenMap


class ServedTail:
    """A tail as a process serves it: from a message to the output.

    Attributes:
        spec: the tail's.
    """

    def __init__(self, path: Path, *, threads: int = 1, optimized: Path | None = None) -> None:
        self._tail = Tail(path, threads=threads, optimized=optimized)
        self.spec = self._tail.spec

    def infer(self, frame: Array) -> Array:
        """The output for the bytes of a message (uint8, one axis); for one byte, that for an empty map.

        Raises:
            InvalidInput: they are not those of a map of this cut.
        """
        return self._tail.answer(self._empty() if frame.size == 1 else self._tail.unpack(frame.tobytes()))

    def _empty(self) -> SeenMap:
        at = self._tail.partition
        width, height = at.input_size
        return SeenMap(np.zeros(at.shape, at.dtype), Placement(0, 0, width, height, width, height))


class TailProcess(ModelProcess):
    """A `Tail` in a process of its own; what it infers from is the message that a head packed, as bytes."""

    opener: ClassVar = ServedTail

    def blank(self) -> Array:
        """What it is warmed up with: one byte, an empty map."""
        return np.zeros(1, np.uint8)

    def check(self, frame: Array) -> None:
        """Raises InvalidInput if this is no message (uint8, one axis)."""
        if frame.dtype != np.uint8 or frame.ndim != 1 or not frame.size:
            raise InvalidInput(f"a map's message must be uint8 of one axis, not {frame.dtype} of {frame.shape}")

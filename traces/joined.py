"""Stretches of several recordings read as one trace, one after the other: what one filter is learnt from."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ..outputs import Array
from .trace import Trace

APART_S = 1200.0
"""Between two stretches: longer than anything that is learnt of the time between inputs."""


class JoinedTrace(Trace):
    """Stretches of recordings of the very same models; sequence numbers count its inputs.

    Args:
        pieces: the stretches, in order.
    """

    def __init__(self, pieces: Sequence[Trace]) -> None:
        self.pieces = tuple(pieces)
        self.path, self.info = self.pieces[0].path, self.pieces[0].info
        self.captured_s = in_a_row([piece.captured_s for piece in self.pieces])
        self.sequences = np.arange(len(self.captured_s))
        self._ends = np.cumsum([0, *map(len, self.pieces)]).tolist()

    @property
    def starts(self) -> tuple[int, ...]:
        """At which inputs a stretch begins."""
        return tuple(self._ends[:-1])

    @property
    def unproven(self) -> str:
        """Why nothing can be certified from it; empty: it can."""
        return next((piece.unproven for piece in self.pieces if piece.unproven), "")

    def part(self, start: int, stop: int) -> "JoinedTrace":
        """The inputs from index `start` up to `stop`, as a trace of its own."""
        found = []
        for piece, (first, end) in zip(self.pieces, pairwise(self._ends), strict=True):
            low, high = max(start, first), min(stop, end)
            if low < high:
                found.append(piece.part(low - first, high - first))
        return JoinedTrace(found)

    def outputs(self, model: str) -> list[Array]:
        """Every output of a model, aligned with `sequences`."""
        return [value for piece in self.pieces for value in piece.outputs(model)]

    def payloads(self) -> Iterator[bytes]:
        """Every input as it was stored, one at a time."""
        for piece in self.pieces:
            yield from piece.payloads()

    def close(self) -> None:
        """Closes the files; closing twice is fine."""
        for piece in self.pieces:
            piece.close()


def in_a_row(times: Sequence[Array]) -> Array:
    """The times of recordings one after the other, far apart; of one as they are."""
    row = [times[0]]
    for each in times[1:]:
        row.append(each - each[0] + row[-1][-1] + APART_S)
    return np.concatenate(row)

"""Inputs that stand alone (a text, a sound, a window of a signal, a feature map), as training and judging see them."""

from collections.abc import Sequence

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from ..trace import Trace
from .modalities import Modality


class Singles:
    """The prepared inputs of a trace; has what a sweep needs of a `Replay`.

    Attributes:
        captured_s: when each input was captured.
        pairwise: never: no input refers to another.
        step_s: 0: time means nothing here.
        inputs: what a network is fed, one row per input.
    """

    pairwise = False
    step_s = 0.0

    def __init__(self, trace: Trace, modality: Modality) -> None:
        self.captured_s = trace.captured_s
        self.inputs: Array | None = None
        for index, value in enumerate(trace.inputs()):
            try:
                prepared = modality.prepare(value)
            except InvalidInput as error:
                raise InvalidInput(f"{trace.path}: input {int(trace.sequences[index])}: {error}") from error
            if self.inputs is None:
                self.inputs = np.empty((len(trace), *prepared.shape), prepared.dtype)
            self.inputs[index] = prepared

    def __len__(self) -> int:
        """How many inputs it holds."""
        return len(self.captured_s)

    def rows(self, index: Sequence[int] | Array) -> Array:
        """The prepared inputs of those indices."""
        assert self.inputs is not None, "a trace holds at least one input"
        return np.asarray(self.inputs[np.asarray(index)])


class ScoredCandidate:
    """A candidate whose scores do not depend on what was kept: computed once, for every input.

    Args:
        name: the candidate's.
        scores: how needed each input is.
        most: the greatest threshold that makes sense for them.
    """

    def __init__(self, name: str, scores: Array, *, most: float) -> None:
        self.name = name
        self.most = most
        self.all = np.asarray(scores, np.float64)

    def scores(self, kept: Array, current: int) -> Array:
        """The input's score, whatever was kept."""
        return np.full(len(kept), self.all[current])

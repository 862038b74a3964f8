"""The distances of many answers from the exact outputs of a recording, for calibration."""

from collections.abc import Sequence

import numpy as np

from ...outputs import Array
from ..training.judge import Judge
from .distance import by_agreement, distances, forms, spread


class Compared:
    """Measures how far a target's held, constant and predicted outputs were from its exact ones.

    Args:
        judge: knows the target's outputs.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.output = judge.output

    def held(self, inputs: Array, earlier: Array, agreements: Array) -> Array:
        """Of the outputs of `earlier` from those of `inputs`, whose agreement is known: float64 (n,)."""
        return self._distances(self._forms(earlier), inputs, agreements, np.ones(len(inputs)))

    def constant(self, value: Array, inputs: Array, agreements: Array) -> Array:
        """Of one value from the outputs of `inputs`: float64 (n,)."""
        answers = np.repeat(forms(self.output, [value]), len(inputs), axis=0)
        return self._distances(answers, inputs, agreements, np.ones(len(inputs)))

    def linked(self, vectors: Array, inputs: Array, agreements: Array, confidences: Array) -> Array:
        """Of what predicted vectors stand for from the outputs of `inputs`: float64 (n,)."""
        if by_agreement(self.output):
            answers = np.zeros((len(vectors), 0))
        elif self.output.kind == "boxes":
            answers = np.asarray(self.judge.encoding.counts(vectors), np.float64)
        else:
            answers = forms(self.output, self.judge.encoding.decode_many(vectors))
        return self._distances(answers, inputs, agreements, spread(confidences))

    def _forms(self, inputs: Sequence[int] | Array) -> Array:
        if by_agreement(self.output):
            return np.zeros((len(inputs), 0))
        if not len(inputs):
            return np.zeros((0, 1))
        return forms(self.output, [self.judge.values[index] for index in inputs])

    def _distances(self, answers: Array, inputs: Array, agreements: Array, spreads: Array) -> Array:
        if not len(inputs):
            return np.zeros(0)
        return distances(self.output, answers, self._forms(inputs), agreements, spreads)

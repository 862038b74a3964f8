"""An output as a row of plain numbers whose length follows from its type alone, so that every site has the same."""

from collections.abc import Sequence

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec

TARGETS = ("label", "multilabel", "count", "scalar", "vector")
SOURCES = (*TARGETS, "boxes")
_LEAST_P = 1e-4


class Form:
    """Outputs as numbers, and back.

    A label is its log-probabilities, a multilabel its log-odds, boxes the counts of each class, the rest as it is.

    Args:
        output: the outputs' type.

    Raises:
        InvalidInput: the kind is tokens or mask.
    """

    def __init__(self, output: OutputSpec) -> None:
        if output.kind not in SOURCES:
            raise InvalidInput(
                f"kind: links across domains read {', '.join(SOURCES)}, not {output.kind!r}; leave that model out"
            )
        self.output = output
        self.length = len(output.classes) or (output.length if output.kind == "vector" else 1)

    @property
    def is_number(self) -> bool:
        """Whether it is predicted as numbers, not as probabilities."""
        return self.output.kind not in ("label", "multilabel")

    def numbers(self, values: Sequence[Array] | Array) -> Array:
        """The numbers (n, length), float64, of outputs."""
        if self.output.kind == "boxes":
            return np.asarray([self.output.counts(value) for value in values], np.float64).reshape(-1, self.length)
        stacked = np.asarray(values, np.float64).reshape(-1, self.length)
        if self.output.kind == "label":
            return np.asarray(np.log(np.clip(stacked, _LEAST_P, 1.0)))
        if self.output.kind == "multilabel":
            p = np.clip(stacked, _LEAST_P, 1.0 - _LEAST_P)
            return np.asarray(np.log(p / (1.0 - p)))
        return stacked

    def values(self, numbers: Array) -> Array:
        """The outputs (n, length), float32, that numbers stand for; of boxes their counts."""
        if self.output.kind == "label":
            return softmax(numbers).astype(np.float32)
        if self.output.kind == "multilabel":
            return sigmoid(numbers).astype(np.float32)
        if self.output.kind in ("count", "boxes"):
            return np.maximum(numbers, 0.0).astype(np.float32)
        return numbers.astype(np.float32)

    def agreements(self, predicted: Array, exact: Array) -> Array:
        """Agreement with the exact output row by row (n,), from the numbers of both; see `outputs`."""
        compact = [self.output.compact(self.values(numbers)) for numbers in (predicted, exact)]
        assert compact[0] is not None and compact[1] is not None, "no target is compared one by one"
        return self.output.agreements(compact[0], compact[1])


def target_form(output: OutputSpec) -> Form:
    """The form of an output that is to be predicted.

    Raises:
        InvalidInput: its kind can't be.
    """
    if output.kind not in TARGETS:
        raise InvalidInput(
            f"kind: a link across domains predicts {', '.join(TARGETS)}, not {output.kind!r}; choose another target"
        )
    return Form(output)


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def sigmoid(logits: Array) -> Array:
    """Probabilities of log-odds; does not overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))

"""Agreement of many token sequences with many others at once."""

from collections.abc import Sequence

import numpy as np

from ...outputs import Array


def sequence_agreements(a: Sequence[Array], b: Sequence[Array]) -> Array:
    """1 - edit distance / longer length of each pair, as `OutputSpec.agreement` has it: float64 (n,)."""
    first, second = _padded(a, -1), _padded(b, -2)
    lengths_a = np.asarray([len(each) for each in a], np.int64)
    lengths_b = np.asarray([len(each) for each in b], np.int64)
    steps = np.arange(second.shape[1] + 1)
    row = np.repeat(steps[None], len(a), axis=0)
    distances = lengths_b.copy()
    for i in range(first.shape[1]):
        replaced = row[:, :-1] + (second != first[:, i, None])
        best = np.minimum(row + 1, np.concatenate([np.full((len(a), 1), i + 1), replaced], axis=1))
        # An insertion extends the best cell to the left by one each: a running minimum of cost minus column.
        row = np.minimum.accumulate(best - steps, axis=1) + steps
        here = lengths_a == i + 1
        distances[here] = row[here, lengths_b[here]]
    return np.asarray(1.0 - distances / np.maximum(np.maximum(lengths_a, lengths_b), 1))


def _padded(values: Sequence[Array], filler: int) -> Array:
    padded = np.full((len(values), max([0, *(len(each) for each in values)])), filler, np.int64)
    for row, each in zip(padded, values, strict=True):
        row[: len(each)] = each
    return padded

"""Arrays over every set of models: bit i of an index says whether model i is in that set."""

from collections.abc import Iterable

import numpy as np

from ...outputs import Array


def subset_sums(values: Iterable[float]) -> Array:
    """The sum over each set: float (2 ** models,) from one value per model."""
    found = np.zeros(1)
    for value in values:
        found = np.concatenate([found, found + value])
    return found


def subset_maxima(best: Array) -> Array:
    """The best over all subsets of each set, in place: (2 ** models, ...) from what each set has of its own."""
    rest = best.shape[1:]
    for bit in range(len(best).bit_length() - 1):
        halves = best.reshape(-1, 2, 1 << bit, *rest)
        np.maximum(halves[:, 1], halves[:, 0], out=halves[:, 1])
    return best

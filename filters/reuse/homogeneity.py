"""Whether near neighbours say the same: homogenised K nearest neighbours (H-KNN of InFi's Algorithm 1)."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array

# The mean of equal distances may be a rounding below each of them.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Vote:
    """What near neighbours say.

    Attributes:
        place: the nearest neighbour that says what most say: its place among those that were asked.
        theta: from 0 (as mixed as can be) to 1 (all say the same).
        share: of the neighbours that were counted, those that say it, from 0 to 1.
    """

    place: int
    theta: float
    share: float


def homogeneity(counts: Array, classes: int) -> float:
    """How much results agree, from 0 to 1, whatever the number of classes.

    The paper's max(N) / ||N||2 is at least 1 / sqrt(C), so that a fixed threshold can't fail where there are few
    classes. C is here the number of different results that there could be among these neighbours: as many as are
    known, but no more than neighbours and, as a result can always be new, no less than 2. So an even vote among all
    that could differ is 0, also between two classes, and a unanimous one is 1, also when one class is known.

    Args:
        counts: how many neighbours say each result: int (results,), at least one above 0.
        classes: how many results the model or the cache knows.
    """
    most = float(np.max(counts))
    theta = most / float(np.sqrt(np.square(counts, dtype=np.float64).sum()))
    least = 1.0 / np.sqrt(max(2, min(classes, int(np.sum(counts)))))
    return float(np.clip((theta - least) / (1.0 - least), 0.0, 1.0))


def vote(distances: Array, keys: Array, classes: int) -> Vote:
    """What the nearest say, without those that are farther away than their mean.

    Where some are at distance 0, they alone are asked: an exact repeat is answered by what it repeats. Of results that
    equally many say, the one with the nearest neighbour wins.

    Args:
        distances: of the K nearest, float (n,), rising, at least one.
        keys: the results' numbers, int (n,).
        classes: how many results the model or the cache knows.
    """
    exact = distances[0] <= 0.0
    reach = 0.0 if exact else float(np.mean(distances, dtype=np.float64)) * (1.0 + _ROUNDING)
    near = keys[distances <= reach]
    results, first, counts = np.unique(near, return_index=True, return_counts=True)
    best = min(range(len(results)), key=lambda i: (-counts[i], first[i]))
    return Vote(int(first[best]), homogeneity(counts, classes), float(counts[best] / len(near)))

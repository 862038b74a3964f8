"""Which inputs come into one batch, so that its pairs teach something: partners, and what is mistaken for one."""

import numpy as np

from ...outputs import Array

_ANCHORS = 24
_CANDIDATES = 16


def draw_batches(embeddings: Array, keys: Array, random: np.random.Generator) -> list[Array]:
    """All inputs in batches; each with another input of the same result and a near one of another result.

    An input is in a batch once, so that no pair in it is of an input with itself.

    Args:
        embeddings: of all inputs as the network is now, float32 (n, dims).
        keys: int (n,): the same number for the same result.
        random: where the order, the partners and the candidates for near ones come from.

    Returns:
        Inputs, int64 (at most 72,), in rising order.
    """
    order = random.permutation(len(keys))
    partners, hard = draw_partners(keys, random), draw_hard(embeddings, keys, random)
    found = []
    for anchors in np.array_split(order, -(-len(order) // _ANCHORS)):
        rows = np.unique(np.concatenate([anchors, partners[anchors], hard[anchors]]))
        found.append(rows[rows >= 0])
    return found


def draw_partners(keys: Array, random: np.random.Generator) -> Array:
    """Per input another one with the same result, each as likely: int64 (n,); -1 where there is none."""
    order = np.argsort(keys, kind="stable")
    _, starts, group, sizes = np.unique(keys[order], return_index=True, return_inverse=True, return_counts=True)
    start, size = starts[group], sizes[group]
    place = np.arange(len(keys)) - start
    other = (place + 1 + (random.random(len(keys)) * (size - 1)).astype(np.int64)) % size
    found = np.empty(len(keys), np.int64)
    found[order] = np.where(size > 1, order[start + other], -1)
    return found


def draw_hard(embeddings: Array, keys: Array, random: np.random.Generator) -> Array:
    """Per input the nearest of some candidates with another result: int64 (n,); -1 where none has."""
    candidates = random.integers(0, len(keys), (len(keys), _CANDIDATES))
    distances = np.stack([np.abs(embeddings - embeddings[drawn]).sum(axis=1) for drawn in candidates.T], axis=1)
    distances[keys[candidates] == keys[:, None]] = np.inf
    nearest = distances.argmin(axis=1)
    rows = np.arange(len(keys))
    return np.where(np.isfinite(distances[rows, nearest]), candidates[rows, nearest], -1)

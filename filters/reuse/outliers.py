"""Inputs like none that were recorded, made up, so that the network learns to hold them far from all that was."""

import numpy as np

from ...outputs import Array

_SCALES = (0.3, 30.0)


def draw_outliers(batch: Array, count: int, random: np.random.Generator) -> Array:
    """Half noise, half recorded inputs out of order; of words all noise, as their order says little.

    Noise is of floats of any size, from a third to thirty times as large as what was recorded; of whole numbers (words,
    pixels) any that occur here.

    Args:
        batch: prepared inputs, (n, ...).
        count: how many to make.
        random: where they come from.

    Returns:
        (count, ...), of the batch's dtype.
    """
    words = batch.dtype.kind == "i"
    noisy = count if words else count // 2
    shape = (noisy, *batch.shape[1:])
    if batch.dtype.kind == "f":
        least, most = _SCALES
        scale = least * (most / least) ** random.random((noisy,) + (1,) * (batch.ndim - 1))
        noise = random.normal(0.0, 1.0, shape) * scale * max(float(batch.std()), 1e-6) + float(batch.mean())
        made = noise.astype(batch.dtype)
    else:
        made = random.integers(int(batch.min()), int(batch.max()) + 1, shape).astype(batch.dtype)
    if words:
        return made
    chosen = batch[random.integers(0, len(batch), count - noisy)]
    mixed = random.permuted(chosen.reshape(len(chosen), -1), axis=1).reshape(chosen.shape)
    return np.concatenate([made, mixed])

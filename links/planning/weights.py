"""How much each model's answers matter."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array


def shares(names: Sequence[str], weights: Mapping[str, float]) -> Array:
    """Each model's share of the objective: float (models,), summing to 1; a model that is not named weighs 1.

    Raises:
        InvalidInput: a weight is for no model, negative or not finite, or all are 0.
    """
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise InvalidInput(f"a weight is given for {unknown[0]!r}; the models are {', '.join(sorted(names))}")
    found = np.asarray([float(weights.get(name, 1.0)) for name in names])
    if not (np.isfinite(found).all() and (found >= 0).all() and found.sum() > 0):
        raise InvalidInput("weights must be finite, at least 0, and not all 0")
    return np.asarray(found / found.sum())


def parse_weights(texts: Sequence[str]) -> dict[str, float]:
    """Weights as a user writes them, `MODEL=2` each.

    Raises:
        InvalidInput: one is not written so, or a model is named twice.
    """
    weights: dict[str, float] = {}
    for text in texts:
        name, _, figure = text.rpartition("=")
        try:
            weight = float(figure)
        except ValueError:
            weight = float("nan")
        if not name or not 0 <= weight < float("inf"):
            raise InvalidInput(f"weight {text!r}: write a model's name and a figure from 0 up, as in person=2")
        if name in weights:
            raise InvalidInput(f"weight {text!r}: {name} has a weight already")
        weights[name] = weight
    return weights

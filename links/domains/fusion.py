"""Several predictions of one target as one: a local and a global link, or links from other tasks (TPAMI 2023)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .fit import loss_of
from .moments import Moments, Standard
from .task import Form

_STEPS = 300
_RATE = 0.2


@dataclass(frozen=True)
class Fusion:
    """A weighted mean of predictions, of labels in log-probabilities.

    Attributes:
        form: the target's.
        weights: of each prediction by its name; they are not negative and sum to 1.
        agreement: mean agreement on the block the weights were chosen on.
        best_single: that of the best prediction alone there; never above `agreement`.
    """

    form: Form
    weights: Mapping[str, float]
    agreement: float
    best_single: float

    @classmethod
    def choose(cls, form: Form, predictions: Mapping[str, Array], targets: Array) -> "Fusion":
        """The best on a validation block of: each one alone, their mean, and weights that are learnt.

        What is alone best stands among the choices, so the fused is never worse *there*; report on another block.

        Args:
            form: the target's.
            predictions: each one's numbers (n, length), on inputs that none of them was learnt from.
            targets: the target's numbers (n, length).

        Raises:
            InvalidInput: there is no prediction, or they are not of the same inputs.
        """
        if not predictions or not len(targets):
            raise InvalidInput("predictions: give at least one, of at least one input")
        for name, prediction in predictions.items():
            if prediction.shape != targets.shape:
                raise InvalidInput(f"predictions: {name!r} has shape {prediction.shape}, the targets {targets.shape}")
        stacked = np.stack([_centred(form, prediction) for prediction in predictions.values()])
        count = len(stacked)
        mixes = [*np.eye(count), np.full(count, 1.0 / count), _learnt(form, stacked, targets)]
        reached = [float(form.agreements(np.tensordot(mix, stacked, 1), targets).mean()) for mix in mixes]
        # Of equals the first, which is one alone: the cheapest to serve.
        best = int(np.argmax(reached))
        weights = dict(zip(predictions, mixes[best].tolist(), strict=True))
        return cls(form, weights, reached[best], max(reached[:count]))

    def predict(self, predictions: Mapping[str, Array]) -> Array:
        """The fused numbers (n, length).

        Raises:
            InvalidInput: a prediction that has a weight is missing.
        """
        missing = [name for name, weight in self.weights.items() if weight > 0.0 and name not in predictions]
        if missing:
            raise InvalidInput(f"predictions: {', '.join(missing)} missing; give all of {', '.join(self.weights)}")
        parts = [
            weight * _centred(self.form, predictions[name]) for name, weight in self.weights.items() if weight > 0.0
        ]
        return np.asarray(sum(parts))


def _centred(form: Form, numbers: Array) -> Array:
    """Labels as log-probabilities: logits of different heights are not to be averaged."""
    if form.output.kind != "label":
        return numbers
    return np.asarray(numbers - np.logaddexp.reduce(numbers, axis=1, keepdims=True))


def _learnt(form: Form, stacked: Array, targets: Array) -> Array:
    """Weights that make the loss small: exponentiated gradient, which keeps them on the simplex."""
    standard = Moments.of(targets).standard if form.is_number else Standard.plain(form.length)
    known, wanted = standard.apply(stacked), standard.apply(targets)
    loss = loss_of(form)
    weights = np.full(len(known), 1.0 / len(known))
    for _ in range(_STEPS):
        slope = (known * loss(np.tensordot(weights, known, 1), wanted).slope).sum(axis=(1, 2))
        weights = weights * np.exp(np.clip(-_RATE * (slope - slope.mean()), -1.0, 1.0))
        weights /= weights.sum()
    return weights

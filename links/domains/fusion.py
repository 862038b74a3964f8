"""Several predictions of one target as one: a site's own link and that of all sites, or links from other tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .fit import loss_of
from .link import DomainLink
from .moments import Moments, Standard
from .task import Form, LinkTask, Pairs

_STEPS = 300
_RATE = 0.2


@dataclass(frozen=True)
class Fusion:
    """A weighted mean of predictions, of labels in log-probabilities (MLink, TPAMI 2023, local-global fusion).

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
        stacked = np.stack([form.centred(prediction) for prediction in predictions.values()])
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
        parts = [weight * self.form.centred(predictions[name]) for name, weight in self.weights.items() if weight > 0.0]
        return np.asarray(sum(parts))


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


@dataclass(frozen=True)
class FusedLink:
    """Links of one task and the weight of each, as one link.

    Attributes:
        task: what they are for.
        parts: each link and its weight; the weights sum to 1.
    """

    task: LinkTask
    parts: tuple[tuple[DomainLink, float], ...]

    @classmethod
    def alone(cls, link: DomainLink) -> Self:
        """One link."""
        return cls(link.task, ((link, 1.0),))

    @classmethod
    def choose(cls, links: Mapping[str, DomainLink], validation: Pairs) -> tuple[Self, Fusion]:
        """What agrees best on a validation block: one of some links of one task, or a mean of them."""
        task = next(iter(links.values())).task
        predictions = {name: link.predict(validation.inputs) for name, link in links.items()}
        fusion = Fusion.choose(task.form, predictions, validation.targets)
        parts = tuple((link, fusion.weights[name]) for name, link in links.items() if fusion.weights[name] > 0.0)
        return cls(task, parts), fusion

    def predict(self, inputs: Array) -> Array:
        """The target's numbers (n, length) from the sources' (n, inputs)."""
        form = self.task.form
        return form.centred(np.asarray(sum(weight * form.centred(link.predict(inputs)) for link, weight in self.parts)))

    def agreement(self, pairs: Pairs) -> float:
        """Mean agreement with the targets."""
        return float(self.task.form.agreements(self.predict(pairs.inputs), pairs.targets).mean())

"""One way to answer for a model on one input: by which means, and how probably that agrees."""

from dataclasses import dataclass

from ..outputs import Array
from .expectation.logistic import probability
from .table import Route


@dataclass(frozen=True)
class Way(Route):
    """A route, on one input.

    Attributes:
        odds: that the answer agrees with the exact model, as log-odds.
        learnt: the same as it was learnt, before the stream showed anything: what certificates are of.
        vector: what a link predicts; None: nothing, or it was not asked yet.
        value: what the model usually says on the stream, in the place of the learnt constant; None: that.
    """

    odds: float = 0.0
    learnt: float = 0.0
    vector: Array | None = None
    value: Array | None = None

    @property
    def confidence(self) -> float:
        """How probably it agrees."""
        return float(probability(self.odds))

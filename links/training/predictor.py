"""A link that is measured on a recording: what it reads, and what it predicts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...outputs import Array
from .samples import Situations

Predict = Callable[[Array], tuple[Array, Array]]
"""From feature vectors (n, size): what a network predicts (n, length), and the probabilities that it agrees (n,)."""


class Predictor(Protocol):
    """A link that is measured on a recording."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The models that it may read, any of them at a time."""

    @property
    def telling(self) -> tuple[str, ...]:
        """Those of them whose outputs change: the others tell nothing."""

    @property
    def together(self) -> tuple[str, ...]:
        """The most of them that it reads at a time."""

    @property
    def reads_stem(self) -> bool:
        """Whether it may read the stem as well."""

    def __call__(
        self, inputs: Array, earlier: Array, sources: tuple[str, ...], *, sure: bool = True
    ) -> tuple[Array, Array]:
        """What it predicts.

        Args:
            inputs: of which inputs (n,).
            earlier: on which input the target last ran (n,); -1: never.
            sources: what ran on both.
            sure: whether the probabilities are asked for; what else they are is not said.

        Returns:
            Predicted vectors (n, length), or rows of ids, and the probabilities that they agree (n,).
        """


@dataclass(frozen=True)
class NetworkPredictor:
    """A network as such a link.

    Attributes:
        predict: the network.
        situations: make what it reads.
    """

    predict: Predict
    situations: Situations

    @property
    def sources(self) -> tuple[str, ...]:
        """The models that it may read."""
        return self.situations.sources

    @property
    def telling(self) -> tuple[str, ...]:
        """Those of them whose outputs change."""
        return tuple(name for name, length in self.situations.layout.lengths.items() if length)

    @property
    def together(self) -> tuple[str, ...]:
        """The most of them that it reads at a time: all."""
        return self.situations.sources

    @property
    def reads_stem(self) -> bool:
        """Whether it may read the stem as well: no network does."""
        return False

    def __call__(
        self, inputs: Array, earlier: Array, sources: tuple[str, ...], *, sure: bool = True
    ) -> tuple[Array, Array]:
        """What it predicts."""
        return self.predict(self.situations.features(self.situations.fixed(inputs, earlier, sources)))

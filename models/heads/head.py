"""One model's head: what the model would say, from a stem's features alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ...outputs import Array, OutputSpec
from ..encoding.encoding import Encoding
from .linear import Linear


@dataclass(frozen=True)
class Head:
    """A model's output as a linear map of features.

    Attributes:
        encoding: how the model's outputs become vectors, and back.
        linear: from features to such a vector.
    """

    encoding: Encoding
    linear: Linear

    @classmethod
    def fit(cls, features: Array, outputs: Sequence[Array], output: OutputSpec) -> Self:
        """Learns it from features (n, d) and what the model said of each of these inputs, in the order of time."""
        encoding = Encoding.fit(output, outputs)
        targets = np.stack([encoding.encode(value)[: encoding.length] for value in outputs])
        return cls(encoding, Linear.fit(features, targets))

    def predict(self, features: Array) -> list[Array]:
        """The model's outputs for features (n, d)."""
        return [self.encoding.decode(vector.astype(np.float32)) for vector in self.linear.predict(features)]

    def update(self, features: Array, value: Array, *, forget: float = 1.0) -> None:
        """Learns from one more exact output: features (d,)."""
        self.linear.update(features, self.encoding.encode(value)[: self.encoding.length], forget=forget)

    def as_arrays(self, prefix: str) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain values for JSON, and arrays by name for an .npz file."""
        return self.encoding.as_dict(), self.linear.as_arrays(prefix)

    @classmethod
    def from_arrays(cls, plain: Mapping[str, Any], arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` gave."""
        return cls(Encoding.from_dict(plain), Linear.from_arrays(arrays, prefix))

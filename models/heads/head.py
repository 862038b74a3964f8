"""One model's head: what the model would say, and how surely, from a stem's features alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ...outputs import Array, OutputSpec
from .linear import FORGET, Linear
from .readout import Readout


class Answers(NamedTuple):
    """What a head says of n inputs.

    Attributes:
        values: outputs of the model's kind.
        confidence: how far each can be expected to agree with the model's (n,).
        doubt: how unlike what was learnt each input is (n,).
    """

    values: list[Array]
    confidence: Array
    doubt: Array


@dataclass
class Head:
    """A model's output as a linear map of features.

    Attributes:
        readout: from numbers to outputs and their confidence.
        linear: from features to numbers; heads that learnt from the same inputs share it.
        columns: which of its numbers are this head's.
    """

    readout: Readout
    linear: Linear
    columns: slice

    @classmethod
    def fit(cls, features: Array, outputs: Sequence[Array], output: OutputSpec) -> Self:
        """Learns it alone.

        Args:
            features: (n, d), in the order of time.
            outputs: what the model said of each.
            output: its type.

        Raises:
            InvalidInput: the output's kind has no head, or see `Linear.fit_judged`.
        """
        return cls.fit_all(features, {"": outputs}, {"": output})[""]

    @classmethod
    def fit_all(
        cls, features: Array, outputs: dict[str, Sequence[Array]], types: dict[str, OutputSpec]
    ) -> dict[str, Self]:
        """The heads of several models that have all said something of the same inputs: one linear map.

        Raises:
            InvalidInput: an output's kind has no head, or see `Linear.fit_judged`.
        """
        readouts = {name: Readout.of(types[name], values) for name, values in outputs.items()}
        targets = [readout.targets(outputs[name]) for name, readout in readouts.items()]
        importance = np.concatenate([readout.importance for readout in readouts.values()])
        linear, left_out = Linear.fit_judged(features, np.concatenate(targets, axis=1), importance=importance)
        heads, start = {}, 0
        for name, readout in readouts.items():
            columns = slice(start, start + readout.encoding.length)
            start = columns.stop
            readout.calibrate(left_out._replace(numbers=left_out.numbers[:, columns]), outputs[name])
            heads[name] = cls(readout, linear, columns)
        return heads

    def numbers(self, features: Array) -> Array:
        """The numbers (n, length) for features (n, d)."""
        return np.asarray(self.linear.standard(features) @ self.linear.weights[:, self.columns])

    def predict(self, features: Array) -> list[Array]:
        """The model's outputs for features (n, d)."""
        return self.readout.outputs(self.numbers(features))

    def confidence(self, features: Array) -> Array:
        """How far each output can be expected to agree with the model's (n,), for features (n, d)."""
        return self.readout.confidence(self.numbers(features), self.linear.doubt(features))

    def answer(self, features: Array) -> Answers:
        """Outputs, confidence and doubt for features (n, d)."""
        numbers, doubt = self.numbers(features), self.linear.doubt(features)
        return Answers(self.readout.outputs(numbers), self.readout.confidence(numbers, doubt), doubt)

    def update(self, features: Array, value: Array, *, forget: float = FORGET) -> None:
        """Learns one more exact output: features (d,). Heads that share its map keep what they know."""
        targets = self.readout.targets([value])[0]
        self.linear.update(features, targets, columns=self.columns, forget=forget)

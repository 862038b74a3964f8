"""Where the exact output lies around an answer, at a stated risk: a set of classes, an interval, or a lower bound."""

import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from ...outputs import Array, OutputSpec
from .calibration import by_agreement

Form = Literal["set", "undecided", "interval", "counts", "agreement"]


@dataclass(frozen=True)
class Region:
    """The set of outputs that the exact one is stated to lie in.

    Attributes:
        form: how `bounds` are read:

            - "set": a label's classes (indices), one of which is the exact one; where all are named, nothing is known.
            - "undecided": a multilabel's classes (indices) that may be on either side; the others are as answered.
            - "interval": the lowest and the highest number.
            - "counts": of boxes, the lowest and highest count of the first class, of the second, and so on.
            - "agreement": the least agreement with the exact output: of a vector the cosine, of a mask the
              intersection over union, of boxes the F1, of tokens 1 - the share to edit.
        bounds: the numbers; they may be infinite.
    """

    form: Form
    bounds: tuple[float, ...]

    @classmethod
    def around(cls, output: OutputSpec, value: Array, radius: float, *, spread_of: float = 1.0) -> Self:
        """Everything within a distance of an answer, the answer included.

        Args:
            output: the type of the output.
            value: the answer.
            radius: as `Calibration.radius` gives it; infinite: everything.
            spread_of: what the answer's residual was divided by.
        """
        if by_agreement(output):
            return cls("agreement", (max(0.0, 1.0 - radius),))
        if output.kind == "label":
            # In double precision, as distances are taken: else the class that is just within falls out.
            scores = np.asarray(value, np.float64)
            return cls("set", tuple(np.flatnonzero(scores.max() - scores <= radius).tolist()))
        if output.kind == "multilabel":
            near = np.abs(np.asarray(value, np.float64) - 0.5) <= radius
            return cls("undecided", tuple(np.flatnonzero(near).tolist()))
        if output.kind == "boxes":
            pairs = [_from_zero(float(count), radius) for count in output.counts(value)]
            return cls("counts", tuple(bound for pair in pairs for bound in pair))
        number = float(value[0])
        if output.kind == "count":
            return cls("interval", _from_zero(number, radius * spread_of))
        return cls("interval", (number - radius * spread_of, number + radius * spread_of))

    def text(self, output: OutputSpec) -> str:
        """For tables: "quiet or busy", "2.4 to 4.1", ">= 0.83"."""
        if self.form == "set":
            return " or ".join(output.classes[int(index)] for index in self.bounds)
        if self.form == "undecided":
            return "undecided: " + (", ".join(output.classes[int(index)] for index in self.bounds) or "none")
        if self.form == "agreement":
            return f">= {self.bounds[0]:.2f}"
        pairs = zip(self.bounds[::2], self.bounds[1::2], strict=True)
        texts = [f"{low:.4g} to {high:.4g}" for low, high in pairs]
        if self.form == "interval":
            return texts[0]
        return ", ".join(f"{text} {name}" for text, name in zip(texts, output.classes, strict=True))


def _from_zero(number: float, radius: float) -> tuple[float, float]:
    """An interval of what can't be below 0, unless the answer itself was."""
    return (min(number, max(0.0, number - radius)) if math.isfinite(radius) else min(number, 0.0), number + radius)

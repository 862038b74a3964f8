"""A yes/no head: a calibrated probability from a stem's features, from twenty labelled inputs on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .calibration import fit_logistic, logistic
from .linear import FORGET, Folded, Linear, check_features

_LEAST_SLOPE = 0.1


@dataclass
class Binary:
    """Whether something is so, as a probability.

    A ridge regression on -1 and 1 in which both answers count the same, however rare one is, and a logistic curve from
    its score to a probability, fitted to what blocks left out say. Logistic regression itself was tried: on fourteen
    tasks of four clips it ordered the inputs no better with 20, 50 or all labels.

    Attributes:
        linear: features to a score; None: what it learnt from was always the same.
        curve: slope and constant of the logistic curve; without `linear` only the constant is looked at.
    """

    linear: Linear | None
    curve: Array

    @classmethod
    def fit(cls, features: Array, truth: Array) -> Self:
        """Learns it.

        Args:
            features: (n, d), in the order of time.
            truth: bool (n,).

        Raises:
            InvalidInput: the shapes don't fit, there is no input, or a feature is not finite.
        """
        x, yes = check_features(features), np.asarray(truth, bool)
        if yes.shape != (len(x),) or not len(x):
            raise InvalidInput(
                f"a yes/no head learns from features (n, d) and truth (n,), not {x.shape} and {yes.shape}"
            )
        share = float(yes.mean())
        if not 0.0 < share < 1.0:
            # The rule of succession: n times the same is no proof of always.
            odds = (yes.sum() + 1.0) / ((~yes).sum() + 1.0)
            return cls(None, np.asarray([0.0, np.log(odds)]))
        counts = np.where(yes, 0.5 / share, 0.5 / (1.0 - share))
        linear, left_out = Linear.fit_judged(x, np.where(yes, 1.0, -1.0)[:, None], counts=counts)
        curve = fit_logistic(left_out.numbers, yes.astype(np.float64))
        # Where the blocks speak against the score the probability is all but constant, and still orders the inputs.
        curve[0] = max(curve[0], _LEAST_SLOPE)
        return cls(linear, curve)

    def score(self, features: Array) -> Array:
        """The log-odds (n,) of yes for features (n, d)."""
        if self.linear is None:
            return np.full(len(check_features(features)), self.curve[1])
        return np.asarray(self.linear.predict(features)[:, 0] * self.curve[0] + self.curve[1])

    def predict(self, features: Array) -> Array:
        """The probability of yes (n,) for features (n, d)."""
        return logistic(self.score(features))

    def doubt(self, features: Array) -> Array:
        """How unlike what it learnt each input is (n,); 1 where it learnt nothing."""
        return np.ones(len(check_features(features))) if self.linear is None else self.linear.doubt(features)

    def update(self, features: Array, truth: bool, *, forget: float = FORGET) -> None:
        """Learns one more exact answer: features (d,). Where all was the same, that stays until it is learnt anew."""
        if self.linear is not None:
            self.linear.update(features, np.asarray([1.0 if truth else -1.0]), forget=forget)

    def folded(self) -> Folded | None:
        """The map to the log-odds, standardisation and curve folded in; None: it is constant."""
        if self.linear is None:
            return None
        folded = self.linear.folded()
        slope, constant = self.curve.astype(np.float32)
        return folded._replace(weights=folded.weights * slope, constant=folded.constant * slope + constant)

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        linear = {} if self.linear is None else self.linear.as_arrays(f"{prefix}.linear")
        return {f"{prefix}.curve": self.curve, **linear}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` gave.

        Raises:
            InvalidInput: something is missing, has another shape, or is not finite.
        """
        curve = np.asarray(arrays.get(f"{prefix}.curve", np.zeros(0)), np.float64)
        if curve.shape != (2,) or not np.isfinite(curve).all():
            raise InvalidInput(f"heads: {prefix}.curve must be two finite numbers; the file is damaged: learn it anew")
        learnt = f"{prefix}.linear.weights" in arrays
        return cls(Linear.from_arrays(arrays, f"{prefix}.linear") if learnt else None, curve)

"""A yes/no head: a calibrated probability from a stem's features and places, from twenty labelled inputs on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .best_place import BestPlace
from .calibration import fit_logistic, logistic
from .linear import FORGET, Folded, Linear, check_features

# Where blocks left out speak against a score, the probability is all but constant, and still orders the inputs.
_LEAST_SLOPE = 0.05
# How alike both slopes are held: on four clips and a rendered street 0 had a worse log loss with 50 labels.
_ALIKE = 3.0


@dataclass
class Binary:
    """Whether something is so, as a probability.

    A ridge regression on -1 and 1 in which both answers count the same, however rare one is; beside it, where the
    stem's places are given, the score of the best of them; and a logistic curve from these to a probability, fitted to
    what blocks left out say. Logistic regression itself was tried: on fourteen tasks of four clips it ordered the
    inputs no better with 20, 50 or all labels.

    Attributes:
        linear: features to a score; None: what it learnt from was always the same.
        best_place: places to their part of the log-odds, about 0; None: it learnt without.
        curve: the slope of the score and the constant (2,); without `linear` only the constant is looked at.
    """

    linear: Linear | None
    best_place: BestPlace | None
    curve: Array

    @classmethod
    def fit(cls, features: Array, truth: Array, *, places: Array | None = None, cells: Array | None = None) -> Self:
        """Learns it.

        Args:
            features: (n, d), in the order of time.
            truth: bool (n,).
            places: (n, channels, rows, columns); None: features alone.
            cells: where it is: bool (n, rows, columns); None: that is found out.

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
            return cls(None, None, np.asarray([0.0, np.log(odds)]))
        counts = np.where(yes, 0.5 / share, 0.5 / (1.0 - share))
        linear, left_out = Linear.fit_judged(x, np.where(yes, 1.0, -1.0)[:, None], counts=counts)
        cues, best_place = left_out.numbers, None
        if places is not None:
            where = None if cells is None else cells[:, None]
            best_place, score = BestPlace.fit(places, yes[:, None], where)
            cues = np.concatenate([cues, score], axis=1)
        level, spread = cues.mean(axis=0), cues.std(axis=0) + 1e-9
        fitted = fit_logistic((cues - level) / spread, yes.astype(np.float64), alike=_ALIKE)
        slopes = np.maximum(fitted[:-1], _LEAST_SLOPE) / spread
        placed = None if best_place is None else best_place.scaled(float(slopes[1]), about=float(level[1]))
        return cls(linear, placed, np.asarray([slopes[0], fitted[-1] - slopes[0] * level[0]]))

    def score(self, features: Array, places: Array | None = None) -> Array:
        """The log-odds (n,) of yes for features (n, d), with places (n, channels, rows, columns) if it learnt so.

        Raises:
            InvalidInput: the places are missing.
        """
        if self.linear is None:
            return np.full(len(check_features(features)), self.curve[1])
        odds = self.linear.predict(features)[:, 0] * self.curve[0] + self.curve[1]
        if self.best_place is not None:
            if places is None:
                raise InvalidInput("this head reads the stem's places beside its features: give both")
            odds = odds + self.best_place.score(places)[:, 0]
        return np.asarray(odds)

    def predict(self, features: Array, places: Array | None = None) -> Array:
        """The probability of yes (n,); the arguments are those of `score`."""
        return logistic(self.score(features, places))

    def doubt(self, features: Array) -> Array:
        """How unlike what it learnt each input is (n,); 1 where it learnt nothing."""
        return np.ones(len(check_features(features))) if self.linear is None else self.linear.doubt(features)

    def update(self, features: Array, truth: bool, *, forget: float = FORGET) -> None:
        """Learns one more exact answer: features (d,). Where all was the same, that stays until it is learnt anew."""
        if self.linear is not None:
            self.linear.update(features, np.asarray([1.0 if truth else -1.0]), forget=forget)

    def folded(self) -> Folded | None:
        """The map of the features to their part of the log-odds, constant included; None: it is constant."""
        if self.linear is None:
            return None
        folded = self.linear.folded()
        slope, constant = self.curve.astype(np.float32)
        return folded._replace(weights=folded.weights * slope, constant=folded.constant * slope + constant)

    def as_arrays(self, prefix: str) -> dict[str, Array]:
        """Everything in it, by name, for an .npz file."""
        linear = {} if self.linear is None else self.linear.as_arrays(f"{prefix}.linear")
        best_place = {} if self.best_place is None else self.best_place.as_arrays(f"{prefix}.best_place")
        return {f"{prefix}.curve": self.curve, **linear, **best_place}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` gave.

        Raises:
            InvalidInput: something is missing, has another shape, or is not finite.
        """
        curve = np.asarray(arrays.get(f"{prefix}.curve", np.zeros(0)), np.float64)
        if curve.shape != (2,) or not np.isfinite(curve).all():
            raise InvalidInput(f"heads: {prefix}.curve must be two finite numbers; the file is damaged: learn it anew")
        linear = Linear.from_arrays(arrays, f"{prefix}.linear") if f"{prefix}.linear.weights" in arrays else None
        best_place = None
        if f"{prefix}.best_place.weights" in arrays:
            best_place = BestPlace.from_arrays(arrays, f"{prefix}.best_place")
        return cls(linear, best_place, curve)

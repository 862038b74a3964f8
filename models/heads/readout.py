"""What a head's numbers say: outputs of the model's own kind, and how far they can be expected to agree with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from ..encoding.encoding import Encoding
from .calibration import fit_logistic, logistic
from .linear import LeftOut

_JUDGED = 400
"""So many inputs calibrate the confidence at most; spread over all of them."""
_CUES = 3
_TO_LOGISTIC = np.sqrt(3.0) / np.pi


@dataclass
class Readout:
    """From a head's numbers to outputs and their confidence.

    Attributes:
        encoding: what the numbers are.
        noise: each number's squared error on blocks left out (length,).
        curve: slopes of a logistic curve over the cues, and its constant: the confidence.
    """

    encoding: Encoding
    noise: Array
    curve: Array

    @classmethod
    def of(cls, output: OutputSpec, values: Sequence[Array]) -> Self:
        """One for these outputs of a model; `calibrate` it before its confidence is asked for.

        Raises:
            InvalidInput: the outputs are tokens.
        """
        if output.kind == "tokens":
            raise InvalidInput(
                "a model whose output is tokens has no head: a sequence is no linear map of a picture; link it from "
                "models that run (`infilink train links`)"
            )
        # As its file gives it back, so that what was loaded says the same to the last bit.
        encoding = Encoding.from_dict(Encoding.fit(output, values).as_dict())
        return cls(encoding, np.zeros(encoding.length), np.zeros(_CUES + 1))

    def targets(self, values: Sequence[Array]) -> Array:
        """What the numbers should have been (n, length)."""
        return np.stack([self.encoding.encode(value) for value in values]).astype(np.float64)

    @property
    def importance(self) -> Array:
        """How much each number counts where a head's strength is chosen: all together 1 (length,)."""
        output, columns = self.encoding.output, self.encoding.columns
        counts = np.ones(len(columns))
        if output.kind == "boxes" and (columns < len(output.classes)).any():
            # Where boxes lie follows the same strength well enough.
            counts = (columns < len(output.classes)).astype(np.float64)
        return counts / max(float(counts.sum()), 1.0)

    def calibrate(self, left_out: LeftOut, values: Sequence[Array]) -> None:
        """Fits the confidence to how far what blocks left out say agrees with the outputs."""
        targets = self.targets(values)
        self.noise = ((left_out.numbers - targets) ** 2).mean(axis=0)
        chosen = np.unique(np.linspace(0, len(values) - 1, _JUDGED).astype(int))
        numbers, doubt = left_out.numbers[chosen], left_out.doubt[chosen]
        exact = [values[at] for at in chosen]
        self.curve = fit_logistic(self._cues(numbers, doubt), self.agreements(numbers, exact), ridge=1.0)

    def outputs(self, numbers: Array) -> list[Array]:
        """The model's outputs for numbers (n, length)."""
        vectors = numbers.astype(np.float32)
        if self.encoding.output.kind == "boxes":
            return [self.encoding.decode(vector) for vector in vectors]
        return list(self.encoding.decode_many(vectors))

    def agreements(self, numbers: Array, values: Sequence[Array]) -> Array:
        """How far what the numbers say agrees with exact outputs (n,)."""
        output = self.encoding.output
        exact = output.compact(values)
        if exact is None:
            said = self.outputs(numbers)
            return np.asarray([output.agreement(a, b) for a, b in zip(said, values, strict=True)])
        if output.kind == "boxes":
            return output.agreements(self.encoding.counts(numbers), exact)
        told = output.compact(self.encoding.decode_many(numbers.astype(np.float32)))
        assert told is not None
        return output.agreements(told, exact)

    def confidence(self, numbers: Array, doubt: Array) -> Array:
        """How far the outputs can be expected to agree with the model's (n,).

        Args:
            numbers: (n, length).
            doubt: (n,), as the linear map gives it.
        """
        return logistic(self._cues(numbers, doubt) @ self.curve[:-1] + self.curve[-1])

    def _cues(self, numbers: Array, doubt: Array) -> Array:
        """What rises with the agreement (n, 3): how far another answer is, how like what was seen, whether it is none.

        That no box is there is right or wrong, whereas boxes are also to be placed.
        """
        cues = np.zeros((len(numbers), _CUES))
        kind, varies = self.encoding.output.kind, self.encoding.length > 0
        spread = np.sqrt(self.noise * (1.0 + doubt[:, None]))
        if kind in ("count", "boxes"):
            margin, told = self._of_counts(numbers, spread)
            cues[:, 0] = margin if varies else 0.0
            cues[:, 2] = told == 0.0 if kind == "boxes" else 0.0
        elif varies:
            cues[:, 0] = self._margin(numbers, spread)
        cues[:, 1] = -np.log(doubt + 1e-3)
        return cues

    @cached_property
    def _counted(self) -> tuple[slice, Array, Array, float]:
        """Of boxes and counts: where the numbers lie that say how many, their mean and scale, and what never varies."""
        encoding = self.encoding
        first = max(1, len(encoding.output.classes))
        kept = slice(int(np.searchsorted(encoding.columns, first)))
        still = np.delete(encoding.fill[:first], encoding.columns[kept])
        told = float(np.rint(np.maximum(still, 0.0)).sum())
        return kept, encoding.mean[kept].astype(np.float64), encoding.std[kept].astype(np.float64), told

    def _of_counts(self, numbers: Array, spread: Array) -> tuple[Array, Array]:
        """How far another number is (n,), and how many there are in all (n,); of boxes, where they are is left out.

        Single inputs are looked at on the way of every frame: as few steps as can be.
        """
        kept, mean, scale, still = self._counted
        many = np.maximum(numbers[:, kept] * scale + mean, 0.0)
        one = np.maximum(spread[:, kept] * scale, 1e-6) * _TO_LOGISTIC
        told = np.rint(many)
        off = many - told
        # Chances of more than half above what is told, and of more than half below it, which none has nothing below.
        more = 1.0 / (1.0 + np.exp(np.minimum((0.5 - off) / one, 30.0)))
        less = np.where(told > 0.0, 1.0 / (1.0 + np.exp(np.minimum((0.5 + off) / one, 30.0))), 0.0)
        total = told.sum(axis=1) + still
        return _log_odds(1.0 - (more + less).sum(axis=1) / np.maximum(total, 1.0)), total

    def _margin(self, numbers: Array, spread: Array) -> Array:
        encoding, output = self.encoding, self.encoding.output
        raw = np.asarray(encoding.raw(numbers), np.float64)
        deviation = np.full(raw.shape, 1e-6)
        deviation[:, encoding.columns] = np.maximum(spread * encoding.std, 1e-6)
        if output.kind == "label":
            order = np.argpartition(raw, -2, axis=1)[:, -2:] if raw.shape[1] > 1 else np.zeros((len(raw), 2), int)
            best, second = (np.take_along_axis(raw, order, axis=1)[:, side] for side in (1, 0))
            return np.asarray((best - second) / np.linalg.norm(np.take_along_axis(deviation, order, axis=1), axis=1))
        if output.kind == "multilabel":
            return _log_odds(logistic(np.abs(raw) / (deviation * _TO_LOGISTIC)).mean(axis=1))
        if output.kind == "mask":
            on = np.clip(raw, 0.0, 1.0)
            hit = np.where(on >= 0.5, on, 0.0).sum(axis=1)
            return _log_odds(hit / np.maximum(np.where(on >= 0.5, 1.0, on).sum(axis=1), 1e-6))
        # A vector's signal over its noise; a single number has no margin, only its doubt.
        size = np.linalg.norm(raw, axis=1) / np.linalg.norm(deviation, axis=1)
        return np.log(size + 1e-3) if output.kind == "vector" else np.zeros(len(raw))

    def as_arrays(self, prefix: str) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain values for JSON, and arrays by name for an .npz file."""
        return self.encoding.as_dict(), {f"{prefix}.noise": self.noise, f"{prefix}.curve": self.curve}

    @classmethod
    def from_arrays(cls, plain: Mapping[str, Any], arrays: Mapping[str, Array], prefix: str) -> Self:
        """Reads what `as_arrays` gave.

        Raises:
            InvalidInput: something is missing, has another shape, or is not finite.
        """
        try:
            encoding = Encoding.from_dict(plain)
            noise, curve = (np.array(arrays[f"{prefix}.{name}"], np.float64) for name in ("noise", "curve"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"heads: {prefix} is damaged ({error}); learn them anew") from error
        if noise.shape != (encoding.length,) or curve.shape != (_CUES + 1,):
            raise InvalidInput(f"heads: {prefix} is damaged (its arrays don't fit its encoding); learn them anew")
        if not (np.isfinite(noise).all() and np.isfinite(curve).all()):
            raise InvalidInput(f"heads: {prefix} is damaged (its numbers are not finite); learn them anew")
        return cls(encoding, noise, curve)


def _log_odds(p: Array) -> Array:
    clipped = np.minimum(np.maximum(p, 0.02), 0.98)
    return np.asarray(np.log(clipped / (1.0 - clipped)))

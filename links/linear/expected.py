"""How far a predicted vector may be expected to agree: tried against errors made where nothing was learnt."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ...models.encoding.encoding import Encoding
from ...outputs import Array

_NEWTON_STEPS = 25
_PULL = 0.3
_SUREST = 0.998
_AT_ONCE = 2_000_000


def expected_agreement(encoding: Encoding, vectors: Array, errors: Array, spreads: Array) -> Array:
    """The mean agreement of predictions with what they may turn out to be: float64 (n,).

    Args:
        encoding: of the target.
        vectors: the predictions (n, length).
        errors: of other predictions from the same sources (s, length).
        spreads: what those are multiplied by, for each prediction (n,): less than 1 where its last output tells more.
    """
    found = np.zeros(len(vectors))
    step = max(1, _AT_ONCE // max(1, errors.size))
    said = _compared(encoding, vectors)
    for start in range(0, len(vectors), step):
        part = slice(start, start + step)
        may = vectors[part, None] + spreads[part, None, None] * errors[None]
        turned = _compared(encoding, may.reshape(-1, vectors.shape[1])).reshape(may.shape[0], len(errors), -1)
        found[part] = _agreements(encoding, said[part, None], turned).mean(axis=1)
    return found


def expected_agreements(encoding: Encoding, said: Array, predicted: Array, errors: Array, spreads: Array) -> Array:
    """The mean agreement of answers with what a prediction may turn out to be: float64 (n, answers).

    Args:
        encoding: of the target.
        said: the answers, as vectors (n, answers, length): the last output, the prediction itself, a constant.
        predicted: the predictions (n, length).
        errors: of other predictions from the same sources (s, length).
        spreads: what those are multiplied by, for each prediction (n,).
    """
    found = np.zeros(said.shape[:2])
    step = max(1, _AT_ONCE // max(1, errors.size))
    for start in range(0, len(said), step):
        part = slice(start, start + step)
        may = predicted[part, None] + spreads[part, None, None] * errors[None]
        turned = _compared(encoding, may.reshape(-1, errors.shape[1])).reshape(len(may), len(errors), -1)
        for answer in range(said.shape[1]):
            found[part, answer] = _agreements(encoding, _compared(encoding, said[part, answer])[:, None], turned).mean(
                axis=1
            )
    return found


@dataclass(frozen=True)
class Sureness:
    """How probably an answer agrees, from its expected agreement and the age of the last output: Platt's scaling.

    Attributes:
        weights: of the log-odds of the expected agreement, of how much is left of the last output's error, and 1.
    """

    weights: tuple[float, float, float]

    @classmethod
    def fit(cls, expected: Array, fades: Array, agreements: Array) -> Self:
        """Learns it of predictions whose agreement is known, (n,) each; drawn to the expected agreement itself."""
        read, prior = _read(expected, fades), np.asarray([1.0, 0.0, 0.0])
        weights, pull = prior.copy(), np.diag([_PULL, _PULL, 1e-3])
        for _ in range(_NEWTON_STEPS):
            p = 1.0 / (1.0 + np.exp(-(read @ weights)))
            gradient = read.T @ (p - agreements) / len(read) + pull @ (weights - prior) / 10.0
            curve = (read * (p * (1.0 - p) + 1e-6)[:, None]).T @ read / len(read) + pull / 10.0
            weights = weights - np.clip(np.linalg.solve(curve, gradient), -1.0, 1.0)
        # What is surer and agrees less is chance.
        return cls((max(float(weights[0]), 0.0), float(weights[1]), float(weights[2])))

    def drawn(self, other: "Sureness", times: float) -> "Sureness":
        """The same, drawn to another that counts as one, to so many times of this."""
        mine, theirs = np.asarray(self.weights), np.asarray(other.weights)
        first, second, third = ((times * mine + theirs) / (times + 1.0)).tolist()
        return Sureness((first, second, third))

    def of(self, expected: Array, fades: Array) -> Array:
        """The probabilities (n,)."""
        return np.asarray(1.0 / (1.0 + np.exp(-(_read(expected, fades) @ np.asarray(self.weights)))))


def _read(expected: Array, fades: Array) -> Array:
    inside = np.clip(expected, 1.0 - _SUREST, _SUREST)
    return np.stack([np.log(inside / (1.0 - inside)), fades, np.ones(len(expected))], axis=1)


def _compared(encoding: Encoding, vectors: Array) -> Array:
    """What is compared of predictions (n, length): a few numbers of each, much cheaper than to decode it."""
    kind, output = encoding.output.kind, encoding.output
    values = vectors * encoding.std + encoding.mean
    if kind == "label":
        return np.asarray(values.argmax(axis=1)[:, None])
    if kind == "multilabel":
        return np.asarray(values >= 0.0)
    if kind == "boxes":
        # Boxes that are compared by where they are agree less than their number does; `Sureness` sets that right.
        return np.asarray(np.rint(np.maximum(values[:, encoding.columns < len(output.classes)], 0.0)))
    if kind == "mask":
        return np.asarray(values >= 0.5)
    if kind == "vector":
        rest = np.linalg.norm(np.delete(encoding.fill, encoding.columns))
        whole = np.concatenate([values, np.full((len(values), 1), rest)], axis=1)
        return np.asarray(whole / np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), 1e-9))
    return np.asarray(values)


def _agreements(encoding: Encoding, said: Array, turned: Array) -> Array:
    """Of what `_compared` gave: (n, 1, ...) with (n, s, ...) to (n, s)."""
    kind, output = encoding.output.kind, encoding.output
    if kind == "label":
        return np.asarray((said == turned)[..., 0], np.float64)
    if kind == "multilabel":
        wrong = (said != turned).sum(axis=2)
        return np.asarray(1.0 - wrong / len(output.classes))
    if kind == "count":
        return np.asarray((np.abs(said - turned) < 0.5)[..., 0], np.float64)
    if kind == "scalar":
        return np.asarray(np.maximum(0.0, 1.0 - np.abs(said - turned)[..., 0] / output.tolerance))
    if kind == "vector":
        return np.asarray(np.clip((said * turned).sum(axis=2), 0.0, 1.0))
    most = np.maximum(said, turned).sum(axis=2, dtype=np.float64)
    return np.asarray(np.where(most > 0, np.minimum(said, turned).sum(axis=2) / np.maximum(most, 1.0), 1.0))

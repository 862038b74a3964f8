"""How well heads on some features would do: learnt on the first part of each recording, judged on what comes later."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array, OutputSpec
from ..encoding.encoding import Encoding

_FOLDS = ((0.5, 0.75), (0.75, 1.0))
"""Learnt up to the first share of a recording, judged from there to the second."""
_STRENGTHS = np.asarray((30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0))
_LEAST_STD = 1e-4
_FURTHEST = 4.0


@dataclass(frozen=True)
class Stream:
    """What one recording offers to choose a stem by.

    Attributes:
        name: of the recording.
        frames: gives its pictures (uint8, BGR), in the order of time; may be called several times.
        outputs: what each model said of each of them.
        kinds: the type of these outputs, by model.
    """

    name: str
    frames: Callable[[], Iterable[Array]]
    outputs: Mapping[str, Sequence[Array]]
    kinds: Mapping[str, OutputSpec]


@dataclass(frozen=True)
class Marks:
    """How well heads do on inputs later than those they learnt from.

    Attributes:
        agreement: of the heads' answers with the models', on average over models and recordings.
        told_apart: how often an input with something of a class gets more of it than one with nothing, on average
            over the classes and recordings where both come; 0.5 where there is no such class.
    """

    agreement: float
    told_apart: float

    @property
    def score(self) -> float:
        """What stems are compared by."""
        return (self.agreement + self.told_apart) / 2


class Judge:
    """Marks features of the pictures of some recordings.

    Args:
        streams: the recordings.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._targets = [
            [_Targets(stream.kinds[name], values, fold) for name, values in stream.outputs.items()]
            for stream in streams
            for fold in _FOLDS
        ]

    def marks(self, features: Sequence[Array]) -> Marks:
        """The marks of some features.

        Args:
            features: of each recording (n, d), in the order in which they were given.
        """
        agreements, apart = [], []
        for i, targets in enumerate(self._targets):
            of = np.asarray(features[i // len(_FOLDS)], np.float32)
            learnt, checked = targets[0].learnt, targets[0].checked
            y = np.concatenate([each.vectors for each in targets], axis=1)
            predicted = _later(of[learnt], y, of[checked])
            at = 0
            for each in targets:
                of_model = predicted[:, at : at + each.vectors.shape[1]]
                at += each.vectors.shape[1]
                agreements.append(each.agreement(of_model))
                apart += each.told_apart(of_model)
        return Marks(float(np.mean(agreements)), float(np.mean(apart)) if apart else 0.5)


class _Targets:
    """One model's outputs in one recording, as numbers that a head learns."""

    def __init__(self, output: OutputSpec, values: Sequence[Array], fold: tuple[float, float]) -> None:
        split, stop = (int(len(values) * share) for share in fold)
        self.learnt, self.checked = slice(0, split), slice(split, stop)
        self._output, self._values = output, list(values[split:stop])
        self._encoding = Encoding.fit(output, values[:split])
        self.vectors = np.stack([self._encoding.encode(value)[: self._encoding.length] for value in values[:split]])

    def agreement(self, predicted: Array) -> float:
        """The mean agreement of predicted vectors (n, k) with what the model said."""
        vectors = predicted.astype(np.float32)
        if self._output.kind == "tokens":
            return 0.0
        if self._output.kind == "boxes":
            said = [self._encoding.decode(vector) for vector in vectors]
        else:
            said = list(self._encoding.decode_many(vectors))
        return float(np.mean([self._output.agreement(a, b) for a, b in zip(said, self._values, strict=True)]))

    def told_apart(self, predicted: Array) -> list[float]:
        """For each class that is there on some inputs and not on others: the area under the curve."""
        if self._output.kind not in ("boxes", "count"):
            return []
        encoded = np.stack([self._encoding.encode(value)[: self._encoding.length] for value in self._values])
        raw, truth = self._encoding.raw(predicted), self._encoding.raw(encoded)
        classes = max(1, len(self._output.classes))
        found = []
        for k in range(min(classes, raw.shape[1])):
            there = truth[:, k] > 0.5
            if there.any() and not there.all() and k in self._encoding.columns:
                more = raw[there, k][:, None] - raw[~there, k][None]
                found.append(float(((more > 0) + (more == 0) / 2).mean()))
        return found


def _later(learnt: Array, targets: Array, checked: Array) -> Array:
    """What ridge regression on `learnt` (n, d) and its `targets` (n, k) says of `checked` (m, d)."""
    mean, std = learnt.mean(axis=0, dtype=np.float64), learnt.std(axis=0, dtype=np.float64)
    scale = np.where(std > _LEAST_STD, 1 / np.maximum(std, _LEAST_STD), 0.0)
    z, later = (np.clip((each - mean) * scale, -_FURTHEST, _FURTHEST) for each in (learnt, checked))
    part = 2 * len(z) // 3
    errors = ((_ridge(z[:part], targets[:part], z[part:]) - targets[part:]) ** 2).mean(axis=(1, 2))
    return np.asarray(_ridge(z, targets, later)[int(errors.argmin())])


def _ridge(z: Array, y: Array, later: Array) -> Array:
    """Predictions (strengths, m, k), by the inputs' products, as there are fewer inputs than features."""
    middle, mean = z.mean(axis=0), y.mean(axis=0)
    z, later = z - middle, later - middle
    values, vectors = np.linalg.eigh(z @ z.T)
    turned = vectors.T @ (y - mean)
    way = (later @ z.T) @ vectors
    return np.stack([way @ (turned / (np.maximum(values, 0) + s)[:, None]) + mean for s in _STRENGTHS])

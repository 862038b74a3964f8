"""How well heads on some features would do: learnt on the first part of each recording, judged on what comes later."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array, OutputSpec
from ..encoding.encoding import Encoding

_FOLDS = ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
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
class _Fold:
    """A recording cut in two, and what each model said as numbers (n, k): those before `split` are learnt from."""

    stream: int
    split: int
    stop: int
    said: tuple[Array, ...]


class Judge:
    """Marks features of the pictures of some recordings.

    The mark is the correlation of what heads say with what the models say, on inputs later than those learnt from: on
    average over the numbers that a model's output is made of, the models and the recordings. It tells stems apart on a
    few hundred inputs, where the agreement of rounded answers does not (docs/STEM.md).

    Args:
        streams: the recordings.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._folds = []
        for i, stream in enumerate(streams):
            for until, end in _FOLDS:
                counts = {len(values) for values in stream.outputs.values()}
                split, stop = round(until * min(counts)), round(end * min(counts))
                said = (_encoded(stream.kinds[name], values[:stop], split) for name, values in stream.outputs.items())
                self._folds.append(_Fold(i, split, stop, tuple(said)))

    def mark(self, features: Sequence[Array]) -> float:
        """The mark of some features, at most 1.

        Args:
            features: of each recording (n, d), in the order in which they were given.
        """
        found = []
        for fold in self._folds:
            of = np.asarray(features[fold.stream], np.float32)
            said = np.concatenate(fold.said, axis=1)
            if not said.shape[1]:
                continue
            predicted = _predicted(of[: fold.split], said[: fold.split], of[fold.split : fold.stop])
            alike = (_standard(predicted) * _standard(said[fold.split :])).mean(axis=0)
            changes = said[fold.split :].std(axis=0) > _LEAST_STD
            ends = np.cumsum([each.shape[1] for each in fold.said])[:-1]
            of_models = zip(np.split(alike, ends), np.split(changes, ends), strict=True)
            found += [float(each[which].mean()) for each, which in of_models if which.any()]
        return float(np.mean(found)) if found else 0.0

    def telling(self, features: Sequence[Array], *, learnt_only: bool = False) -> Array:
        """How much each feature tells of what the models say (d,).

        Args:
            features: of each recording (n, d).
            learnt_only: by those inputs alone that are learnt from in every fold.
        """
        told = np.zeros(features[0].shape[1])
        for fold in self._folds[0 if learnt_only else len(_FOLDS) - 1 :: len(_FOLDS)]:
            stop = fold.split if learnt_only else fold.stop
            z = _standard(features[fold.stream][:stop])
            for said in fold.said:
                if said.shape[1]:
                    told += ((z.T @ _standard(said[:stop]) / len(z)) ** 2).max(axis=1)
        return told


def _encoded(kind: OutputSpec, values: Sequence[Array], split: int) -> Array:
    """What a model said as numbers, as a head would learn them from the first `split`: float32 (n, k)."""
    encoding = Encoding.fit(kind, values[:split])
    return np.stack([encoding.encode(value)[: encoding.length] for value in values])


def _standard(values: Array) -> Array:
    """Columns with mean 0 and deviation 1; 0 where they never change."""
    away = values - values.mean(axis=0, dtype=np.float64)
    std = away.std(axis=0)
    return np.asarray(away * np.where(std > _LEAST_STD, 1 / np.maximum(std, _LEAST_STD), 0.0))


def _predicted(learnt: Array, said: Array, later: Array) -> Array:
    """What ridge regression on `learnt` (n, d) and what was `said` of it (n, k) says of `later` (m, d)."""
    mean, std = learnt.mean(axis=0, dtype=np.float64), learnt.std(axis=0, dtype=np.float64)
    scale = np.where(std > _LEAST_STD, 1 / np.maximum(std, _LEAST_STD), 0.0)
    z, later = (np.clip((each - mean) * scale, -_FURTHEST, _FURTHEST) for each in (learnt, later))
    part = 2 * len(z) // 3
    errors = ((_ridge(z[:part], said[:part], z[part:]) - said[part:]) ** 2).mean(axis=(1, 2))
    return np.asarray(_ridge(z, said, later)[int(errors.argmin())])


def _ridge(z: Array, y: Array, later: Array) -> Array:
    """Predictions (strengths, m, k), by the inputs' products, as there are fewer inputs than features."""
    middle, mean = z.mean(axis=0), y.mean(axis=0)
    z, later = z - middle, later - middle
    values, vectors = np.linalg.eigh(z @ z.T)
    turned = vectors.T @ (y - mean)
    way = (later @ z.T) @ vectors
    return np.stack([way @ (turned / (np.maximum(values, 0) + s)[:, None]) + mean for s in _STRENGTHS])

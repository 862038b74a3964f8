"""All sources of a recording as the numbers that regressions read, and the stretches that are left out in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ...outputs import Array
from ..linear.basis import Basis
from ..table import STEM
from .samples import Samples

_FOLDS = 5
_MOST = 4000
# Of many cameras each is looked at so often all the same.
_OF_A_CAMERA = 400


@dataclass(frozen=True)
class Design:
    """All sources of a recording as the numbers that ridges read, and their moments: made once for all targets.

    Attributes:
        samples: the recording.
        learnt: the inputs that are learnt from and chosen on: all before the report block; of very many a part.
        bases: how each source enters, the stem among them if there is one.
        numbers: float64 (inputs, numbers + 1), the last one is 1.
        places: which of those are each source's.
        folds: where each fold of `learnt` begins and ends. Of three cameras or more each is one: links that serve a new
            camera are judged by cameras that they did not learn from.
        judged: the inputs that each fold is judged by, what was learnt from the others: its own; of a camera all.
        cameras: which of the folds are each camera's; empty: all are one's.
    """

    samples: Samples
    learnt: Array
    bases: dict[str, Basis]
    numbers: Array
    places: dict[str, Array]
    folds: tuple[tuple[int, int], ...]
    judged: tuple[Array, ...]
    cameras: dict[str, slice]

    @classmethod
    def of(cls, samples: Samples, bases: dict[str, Basis] | None = None) -> "Design":
        """The design of a recording, or of several cameras' together.

        Args:
            samples: the recording.
            bases: how sources enter, as it is known already; None: as this recording shows it.
        """
        learnt, parts = _learnt_from(samples)
        vectors = {name: samples.standard(name) for name in samples.models}
        if samples.features is not None:
            vectors[STEM] = samples.features
        if bases is None:
            bases = {
                name: Basis.of_output(samples.encodings[name], vectors[name][learnt])
                for name in samples.models
                if vectors[name].shape[1]
            }
            if samples.features is not None:
                within = [slice(*part) for part in parts.values()]
                bases[STEM] = Basis.of_features(samples.features[learnt], within)
        numbers = [basis.numbers(vectors[name]) for name, basis in bases.items()]
        ends = np.cumsum([0, *(each.shape[1] for each in numbers)]).tolist()
        places = {name: np.arange(*ends_of) for name, ends_of in zip(bases, pairwise(ends), strict=True)}
        ones = np.ones((len(samples), 1))
        folds, cameras = _folds(parts or {"": (0, len(learnt))})
        read = np.concatenate([*numbers, ones], axis=1)
        judged = tuple(learnt[start:stop] for start, stop in folds)
        if len(folds) == len(samples.cameras):
            judged = tuple(np.arange(part.start, part.stop) for part in samples.cameras.values())
        return cls(samples, learnt, bases, read, places, folds, judged, cameras if parts else {})

    @cached_property
    def moments(self) -> Array:
        """Of the numbers with each other, by fold: (folds, numbers + 1, numbers + 1)."""
        read = self.numbers[self.learnt]
        return np.stack([read[start:stop].T @ read[start:stop] for start, stop in self.folds])

    @cached_property
    def rows(self) -> Array:
        """Which of all that is `judged` each input is; -1: none."""
        rows, judged = np.full(len(self.samples), -1), np.concatenate(self.judged)
        rows[judged] = np.arange(len(judged))
        return rows

    def columns(self, sources: Sequence[str]) -> Array:
        """Which numbers these sources have, and the 1."""
        parts = [self.places[name] for name in self.bases if name in sources]
        return np.concatenate([np.zeros(0, np.int64), *parts, [self.numbers.shape[1] - 1]])


def _learnt_from(samples: Samples) -> tuple[Array, dict[str, tuple[int, int]]]:
    """The inputs that are learnt from, and where in them each camera's begin and end."""
    learnt = samples.blocks.learnt
    rows = [learnt[(learnt >= part.start) & (learnt < part.stop)] for part in samples.cameras.values()] or [learnt]
    most = max(_MOST // len(rows), _OF_A_CAMERA)
    rows = [each[np.linspace(0, len(each) - 1, min(len(each), most)).astype(np.int64)] for each in rows]
    ends = np.cumsum([0, *map(len, rows)]).tolist()
    parts = dict(zip(samples.cameras, pairwise(ends), strict=False))
    return np.concatenate(rows), parts


def _folds(parts: Mapping[str, tuple[int, int]]) -> tuple[tuple[tuple[int, int], ...], dict[str, slice]]:
    """Stretches that are left out one after the other, and which are each camera's."""
    each = 1 if len(parts) > 2 else _FOLDS if len(parts) == 1 else (_FOLDS + 1) // 2
    folds: list[tuple[int, int]] = []
    cameras = {}
    for name, (start, stop) in parts.items():
        cameras[name] = slice(len(folds), len(folds) + each)
        folds += pairwise(np.linspace(start, stop, each + 1).astype(int).tolist())
    return tuple(folds), cameras

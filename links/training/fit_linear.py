"""Learns a target's links in closed form: a ridge for every set of sources, judged on blocks that it left out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise

import numpy as np

from ...outputs import Array
from ..linear.basis import Basis
from ..linear.expected import Sureness, expected_agreement
from ..linear.link import LinearLink
from ..linear.regression import KNOTS_S, Regression
from ..link import LinkSpec
from ..table import STEM
from .judge import Judge
from .samples import OLDEST_S, Samples

_FOLDS = 5
_MOST = 4000
_FREE = 1e-6
"""The ridge of the constant."""
_ALL_UP_TO = 4
# An error is taken to fade as exp(-(age / 3 s) ** 1.5), until as many independent looks at that age say otherwise.
_FADES_IN_S = 3.0
_FADES_AS = 1.5
_ASSUMED_LOOKS = 30.0
_ERRORS = 32
_SURE_CASES = 160
_SURE_SETS = 12


@dataclass(frozen=True)
class Design:
    """All sources of a recording as the numbers that ridges read, and their moments: made once for all targets.

    Attributes:
        samples: the recording.
        learnt: the inputs that are learnt from and chosen on: all before the report block; of very many a part.
        bases: how each source enters, the stem among them if there is one.
        numbers: float64 (inputs, numbers + 1), the last one is 1.
        places: which of those are each source's.
        folds: where each fold of `learnt` begins and ends.
    """

    samples: Samples
    learnt: Array
    bases: dict[str, Basis]
    numbers: Array
    places: dict[str, Array]
    folds: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, samples: Samples) -> "Design":
        """The design of a recording."""
        learnt = samples.blocks.learnt
        if len(learnt) > _MOST:
            learnt = learnt[np.linspace(0, len(learnt) - 1, _MOST).astype(np.int64)]
        vectors = {name: samples.standard(name) for name in samples.models}
        bases = {
            name: Basis.of_output(samples.encodings[name], values[learnt])
            for name, values in vectors.items()
            if values.shape[1]
        }
        if samples.features is not None:
            vectors[STEM] = samples.features
            bases[STEM] = Basis.of_features(samples.features[learnt])
        numbers = [basis.numbers(vectors[name]) for name, basis in bases.items()]
        ends = np.cumsum([0, *(each.shape[1] for each in numbers)]).tolist()
        places = {name: np.arange(*ends_of) for name, ends_of in zip(bases, pairwise(ends), strict=True)}
        ones = np.ones((len(samples), 1))
        edges = np.linspace(0, len(learnt), _FOLDS + 1).astype(int).tolist()
        return cls(samples, learnt, bases, np.concatenate([*numbers, ones], axis=1), places, tuple(pairwise(edges)))

    @cached_property
    def moments(self) -> Array:
        """Of the numbers with each other, by fold: (folds, numbers + 1, numbers + 1)."""
        read = self.numbers[self.learnt]
        return np.stack([read[start:stop].T @ read[start:stop] for start, stop in self.folds])

    @cached_property
    def rows(self) -> Array:
        """Which of `learnt` each input is; -1: none."""
        rows = np.full(len(self.samples), -1)
        rows[self.learnt] = np.arange(len(self.learnt))
        return rows

    def columns(self, sources: Sequence[str]) -> Array:
        """Which numbers these sources have, and the 1."""
        parts = [self.places[name] for name in self.bases if name in sources]
        return np.concatenate([np.zeros(0, np.int64), *parts, [self.numbers.shape[1] - 1]])

    def sets(self, target: str) -> list[tuple[str, ...]]:
        """The sets of sources a target is predicted from, with and without the stem: of many only the small and all."""
        models = tuple(name for name in self.bases if name not in (target, STEM))
        sizes = range(len(models) + 1) if len(models) <= _ALL_UP_TO else (0, 1, 2, len(models))
        found = [chosen for size in sizes for chosen in combinations(models, size)]
        return found + ([(*chosen, STEM) for chosen in found] if STEM in self.bases else [])


@dataclass
class FittedLinear:
    """A target's links while they are measured: on what was learnt from, each predicts by what it learnt elsewhere.

    Attributes:
        design: of the recording.
        judge: compares the target's outputs.
        regressions: by sources.
        sureness: how probably a prediction agrees.
    """

    design: Design
    judge: Judge
    regressions: dict[tuple[str, ...], Regression] = field(default_factory=dict)
    sureness: Sureness = field(default_factory=lambda: Sureness((1.0, 0.0, 0.0)))
    _left_out: dict[tuple[str, ...], Array] = field(default_factory=dict)

    @classmethod
    def fit(cls, design: Design, judge: Judge, *, seed: int) -> "FittedLinear":
        """Learns the links of the judge's target; `seed` is of the draws that their sureness is learnt from."""
        fitted = cls(design, judge)
        vectors = design.samples.standard(judge.target)
        wanted = vectors[design.learnt].astype(np.float64)
        read = design.numbers[design.learnt]
        products = np.stack([read[start:stop].T @ wanted[start:stop] for start, stop in design.folds])
        for sources in design.sets(judge.target):
            columns = design.columns(sources)
            weights, left_out = _ridges(design, columns, products[:, columns], read[:, columns])
            errors = wanted - left_out
            few = errors[np.linspace(0, len(errors) - 1, min(len(errors), _ERRORS)).astype(np.int64)]
            fades = _fades(design, errors[:, _counted(judge)])
            found = Regression(weights.astype(np.float32), fades, few.astype(np.float32))
            fitted.give(sources, found, left_out)
        fitted._learn_sureness(seed)
        return fitted

    def give(self, sources: tuple[str, ...], regression: Regression, left_out: Array | None = None) -> None:
        """Takes a regression over.

        Args:
            sources: what it reads.
            regression: the regression.
            left_out: what those say of each learnt input that did not learn from it (learnt, length); None: the same.
        """
        self.regressions[sources] = regression
        if left_out is not None:
            self._left_out[sources] = left_out.astype(np.float32)

    @property
    def sources(self) -> tuple[str, ...]:
        """The models a target may be predicted from, whether their outputs ever change or not."""
        return self.design.samples.sources(self.judge.target)

    @property
    def reads_stem(self) -> bool:
        """Whether it may read the stem as well."""
        return STEM in self.design.bases

    def __call__(
        self, inputs: Array, earlier: Array, sources: tuple[str, ...], *, sure: bool = True
    ) -> tuple[Array, Array]:
        """Predicted vectors (n, length), and the probabilities that they agree (n,); 0 unless they are asked for."""
        vectors, fades = self._predict(inputs, earlier, self._known(sources))
        if not sure:
            return vectors, np.zeros(len(inputs))
        return vectors, self.sureness.of(self._expected(vectors, fades, self._known(sources)), fades)

    def link(self, spec: LinkSpec, sets: Sequence[tuple[str, ...]], stem: str) -> LinearLink:
        """What serves of it.

        Args:
            spec: of the link.
            sets: the sets of sources that are of use.
            stem: the digest of the stem.
        """
        kept = {self._known(each): self.regressions[self._known(each)] for each in sets}
        read = {name for each in kept for name in each}
        bases = {name: basis for name, basis in self.design.bases.items() if name in read}
        return LinearLink(spec, bases, kept, self.sureness, stem if STEM in read else "")

    def _known(self, sources: tuple[str, ...]) -> tuple[str, ...]:
        """Those whose outputs change in the recording: the others tell nothing."""
        return tuple(name for name in self.design.bases if name in sources)

    def _predict(self, inputs: Array, earlier: Array, sources: tuple[str, ...]) -> tuple[Array, Array]:
        """Predicted vectors (n, length), and how much of the last output's error is left (n,)."""
        samples, regression = self.design.samples, self.regressions[sources]
        fades = regression.fade(samples.ages(inputs, earlier))
        before = np.maximum(earlier, 0)
        last = samples.standard(self.judge.target)[before]
        said = self._say(sources, inputs)
        vectors = (said + fades[:, None] * (last - self._say(sources, before))).astype(np.float32)
        return vectors, fades

    def _expected(self, vectors: Array, fades: Array, sources: tuple[str, ...]) -> Array:
        regression = self.regressions[sources]
        return expected_agreement(self.judge.encoding, vectors, regression.errors, regression.spread(fades))

    def _say(self, sources: tuple[str, ...], inputs: Array) -> Array:
        """What the regression says of inputs, whatever the target last said: (n, length)."""
        said = self.regressions[sources].say(self.design.numbers[inputs][:, self.design.columns(sources)[:-1]])
        rows = self.design.rows[inputs]
        if sources in self._left_out:
            said[rows >= 0] = self._left_out[sources][rows[rows >= 0]]
        return said

    def _learn_sureness(self, seed: int) -> None:
        """From what was learnt from alone, where the predictions are of what was learnt elsewhere."""
        rng, samples = np.random.default_rng(seed), self.design.samples
        sets = list(self.regressions)
        count = _SURE_CASES // (3 if self.judge.slow else 1)
        found = []
        for sources in sets[:: max(1, len(sets) // _SURE_SETS)]:
            inputs = rng.choice(self.design.learnt, count)
            earlier = samples.earlier(inputs, samples.draw_ages(rng, count, low_s=0.0, high_s=OLDEST_S))
            vectors, fades = self._predict(inputs, earlier, sources)
            expected = self._expected(vectors, fades, sources)
            found.append((expected, fades, self.judge.linked(vectors, inputs, earlier, [sources] * count)))
        self.sureness = Sureness.fit(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _ridges(design: Design, columns: Array, products: Array, read: Array) -> tuple[Array, Array]:
    """The weights from all that is learnt from, and what those of the other folds say of each fold."""
    moments = design.moments[:, columns[:, None], columns]
    ridge = np.eye(len(columns))
    ridge[-1, -1] = _FREE
    whole, product = moments.sum(axis=0) + ridge, products.sum(axis=0)
    said = [
        read[start:stop] @ np.linalg.solve(whole - moments[fold], product - products[fold])
        for fold, (start, stop) in enumerate(design.folds)
    ]
    return np.linalg.solve(whole, product), np.concatenate(said)


def _counted(judge: Judge) -> Array:
    """The columns that agreement looks at."""
    columns, output = judge.encoding.columns, judge.output
    if output.kind == "boxes" and (columns < len(output.classes)).any():
        return np.asarray(columns < len(output.classes))
    return np.ones(len(columns), np.bool_)


def _fades(design: Design, errors: Array) -> Array:
    """How much of an error is left at each of `KNOTS_S`."""
    samples, learnt = design.samples, design.learnt
    span_s = float(samples.captured_s[learnt[-1]] - samples.captured_s[learnt[0]])
    fades = []
    for age_s in KNOTS_S:
        earlier = samples.earlier(learnt, np.full(len(learnt), age_s))
        at = design.rows[np.maximum(earlier, 0)]
        known = (earlier >= 0) & (at >= 0)
        assumed = float(np.exp(-((age_s / _FADES_IN_S) ** _FADES_AS)))
        size = float((errors[at[known]] ** 2).sum())
        if not known.any() or size < 1e-12:
            fades.append(assumed)
            continue
        measured = float((errors[known] * errors[at[known]]).sum()) / size
        looks = span_s / max(age_s, _FADES_IN_S)
        weight = looks / (looks + _ASSUMED_LOOKS)
        fades.append(weight * min(max(measured, 0.0), 1.0) + (1.0 - weight) * assumed)
    return np.asarray(fades, np.float32)

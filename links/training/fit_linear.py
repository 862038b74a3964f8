"""Learns a target's links in closed form: a ridge for any set of sources, judged on blocks that it left out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...outputs import Array
from ..expectation.expectation import Expectation
from ..expectation.logistic import log_odds, probability
from ..linear.expected import Compared
from ..linear.link import LinearLink
from ..linear.regression import KNOTS_S, Regression
from ..link import LinkSpec
from ..table import STEM
from .design import Design
from .judge import Judge, best_constant
from .sets import ALL_UP_TO, TOGETHER, all_sets

_FREE = 1e-6
"""The ridge of the constant."""
# An error is taken to fade as exp(-(age / 3 s) ** 1.5), until as many independent looks at that age say otherwise.
_FADES_IN_S = 3.0
_FADES_AS = 1.5
_ASSUMED_LOOKS = 30.0
_ASSUMED_FADES = np.exp(-((np.asarray(KNOTS_S) / _FADES_IN_S) ** _FADES_AS))
_TRIED_SETS = 5
_ERRORS = 32


@dataclass(frozen=True)
class Pull:
    """What a camera's regressions are drawn to: what all other cameras of a site taught, and never itself.

    Attributes:
        others: what all cameras taught.
        camera: the camera that is left out of it.
        strength: how strongly each weight is drawn, in times the ridge.
    """

    others: "FittedLinear"
    camera: str
    strength: float

    def to(self, columns: Array) -> tuple[Array, Array]:
        """The weights of some of the numbers, and how strongly each is drawn there: their constant not at all."""
        design = self.others.design
        kept = np.ones(len(design.folds), bool)
        kept[design.cameras[self.camera]] = False
        weights = _of_cameras(design, columns, self.others.products[:, columns], kept, alike=self.others.alike)
        strength = np.full(len(columns), self.strength)
        strength[-1] = _FREE
        return weights, strength


@dataclass
class FittedLinear:
    """A target's links while they are measured: on what was learnt from, each predicts by what it learnt elsewhere.

    From a set of sources it is learnt when that is first asked for.

    Attributes:
        design: of the recording.
        judge: compares the target's outputs.
        pull: what they are drawn to; None: to nothing.
        regressions: those that were learnt, by sources.
        expectation: how probably each way to answer does; None: not learnt yet.
        alike: of several cameras: whether what holds at one does at the others, as those that were left out show.
    """

    design: Design
    judge: Judge
    pull: "Pull | None" = None
    regressions: dict[tuple[str, ...], Regression] = field(default_factory=dict)
    expectation: Expectation | None = None
    alike: bool = False
    _left_out: dict[tuple[str, ...], Array] = field(default_factory=dict)

    @classmethod
    def fit(cls, design: Design, judge: Judge) -> "FittedLinear":
        """The links of the judge's target, drawn to nothing."""
        fitted = cls(design, judge)
        if design.cameras:
            fitted.alike = cls(design, judge, alike=True).left_out_error() < fitted.left_out_error()
        return fitted

    def regression(self, sources: tuple[str, ...]) -> Regression:
        """From these sources, in the order of the bases."""
        if sources not in self.regressions:
            design, pull = self.design, self.pull
            weights = self._learn(sources)
            errors = self.left_out_errors(sources)
            few = errors[np.linspace(0, len(errors) - 1, min(len(errors), _ERRORS)).astype(np.int64)]
            few = few[:, Compared.of(self.judge.encoding).columns]
            assumed = _ASSUMED_FADES if pull is None else pull.others.regression(sources).fades
            fades = _fades(design, errors[:, self.judge.counted], assumed)
            self.give(sources, Regression(weights.astype(np.float32), fades, few.astype(np.float32)))
        return self.regressions[sources]

    def left_out_error(self) -> float:
        """How far links would be off where they did not learn, from a few sets: mean square."""
        sets = self._few_sets()
        some = [sets[at] for at in np.unique(np.linspace(0, len(sets) - 1, _TRIED_SETS).astype(int)).tolist()]
        for sources in some:
            self._learn(sources)
        counted = self.judge.counted
        return float(np.mean([(self.left_out_errors(sources)[:, counted] ** 2).mean() for sources in some]))

    def _few_sets(self) -> list[tuple[str, ...]]:
        """All sets of few sources; of many none, each, and some of them together."""
        names = self.telling
        if len(names) <= ALL_UP_TO:
            sets = all_sets(names)
        else:
            some = np.unique(np.linspace(0, len(names) - 1, TOGETHER).astype(int)).tolist()
            sets = [(), *((name,) for name in names), tuple(names[at] for at in some)]
        return sets + ([(*each, STEM) for each in sets] if self.reads_stem else [])

    def _learn(self, sources: tuple[str, ...]) -> Array:
        """A set's weights from all that is learnt from; what those of the other folds say of each is kept."""
        design, columns = self.design, self.design.columns(sources)
        products = self.products[:, columns]
        folds = np.arange(len(design.folds))
        towards = None if self.pull is None else self.pull.to(columns)
        if design.cameras:
            weights, *others = (
                _of_cameras(design, columns, products, folds != left, alike=self.alike) for left in (-1, *folds)
            )
        else:
            weights, *others = (_of_one(design, columns, products, folds != left, towards) for left in (-1, *folds))
        said = [design.numbers[rows][:, columns] @ each for rows, each in zip(design.judged, others, strict=True)]
        self._left_out[sources] = np.concatenate(said).astype(np.float32)
        return weights

    @property
    def _wanted(self) -> Array:
        """The target's vectors on the learnt inputs."""
        return self.design.samples.standard(self.judge.target)[self.design.learnt].astype(np.float64)

    @cached_property
    def products(self) -> Array:
        """Of the numbers with the target's vectors, by fold: (folds, numbers + 1, length)."""
        read, wanted = self.design.numbers[self.design.learnt], self._wanted
        return np.stack([read[start:stop].T @ wanted[start:stop] for start, stop in self.design.folds])

    @cached_property
    def _constant(self) -> Array:
        """The target's best constant as a vector."""
        return self.judge.encoding.encode(best_constant(self.judge))[: self.judge.encoding.length]

    def left_out_errors(self, sources: tuple[str, ...]) -> Array:
        """How far regressions that did not learn from it were off on each learnt input: (learnt, length)."""
        return self._wanted - self._left_out[sources][self.design.rows[self.design.learnt]]

    def give(self, sources: tuple[str, ...], regression: Regression) -> None:
        """Takes a regression over."""
        self.regressions[sources] = regression

    @property
    def sources(self) -> tuple[str, ...]:
        """The models a target may be predicted from, whether their outputs ever change or not."""
        return self.design.samples.sources(self.judge.target)

    @property
    def telling(self) -> tuple[str, ...]:
        """Those of them whose outputs change."""
        return tuple(name for name in self.design.bases if name not in (self.judge.target, STEM))

    @property
    def together(self) -> tuple[str, ...]:
        """The most of them that were read at a time."""
        return max((each for each in self.regressions if STEM not in each), key=len, default=())

    @property
    def reads_stem(self) -> bool:
        """Whether it may read the stem as well."""
        return STEM in self.design.bases

    def __call__(
        self, inputs: Array, earlier: Array, sources: tuple[str, ...], *, sure: bool = True
    ) -> tuple[Array, Array]:
        """Predicted vectors (n, length), and the probabilities that they agree (n,); 0 unless they are asked for."""
        if not sure:
            return self.said(inputs, earlier, self.known(sources))[0], np.zeros(len(inputs))
        vectors, odds = self.odds(inputs, earlier, sources)
        return vectors, probability(odds[:, 1])

    def odds(self, inputs: Array, earlier: Array, sources: tuple[str, ...]) -> tuple[Array, Array]:
        """Predicted vectors (n, length), and the log-odds that each of `WAYS` agrees (n, ways)."""
        constants = np.repeat(self._constant[None], len(inputs), axis=0)
        vectors, expected, moved = self.expected(inputs, earlier, sources, constants)
        if self.expectation is None:
            return vectors, log_odds(expected)
        ages_s = self.design.samples.ages(inputs, earlier)
        return vectors, self.expectation.log_odds(ages_s, expected, moved, told=bool(self.known(sources)))

    def expected(
        self, inputs: Array, earlier: Array, sources: tuple[str, ...], constants: Array
    ) -> tuple[Array, Array, Array]:
        """What is known of each way to answer, before it is calibrated.

        Args:
            inputs: of which inputs (n,).
            earlier: on which input the target last ran (n,); -1: never.
            sources: what is predicted from.
            constants: the constant that competes, as vectors (n, length).

        Returns:
            Predicted vectors (n, length), the agreement expected of each of `WAYS` (n, ways), and how far the stem's
            features moved since the target last ran (n,); NaN: not known.
        """
        samples, known, never = self.design.samples, self.known(sources), earlier < 0
        before, regression = np.maximum(earlier, 0), self.regression(known)
        vectors, fades = self.said(inputs, earlier, known)
        last = np.where(never[:, None], constants, samples.standard(self.judge.target)[before])
        said = np.stack([last, vectors, constants], axis=1)
        compared = Compared.of(self.judge.encoding)
        expected = compared.expected(said, vectors, regression.errors, regression.spread(fades))
        moved = np.full(len(inputs), np.nan)
        if samples.features is not None:
            now, then = (self.design.bases[STEM].standardised(samples.features[at]) for at in (inputs, before))
            moved = np.where(never, np.nan, np.abs(now - then).mean(axis=1))
        return vectors, expected, moved

    def link(self, spec: LinkSpec, sets: Sequence[tuple[str, ...]], stem: str) -> LinearLink:
        """What serves of it.

        Args:
            spec: of the link.
            sets: the sets of sources that are of use.
            stem: the digest of the stem.
        """
        kept = {self.known(each): self.regression(self.known(each)) for each in sets}
        read = {name for each in kept for name in each}
        bases = {name: basis for name, basis in self.design.bases.items() if name in read}
        return LinearLink(spec, bases, kept, self.expectation, stem if STEM in read else "")

    def known(self, sources: tuple[str, ...]) -> tuple[str, ...]:
        """Those whose outputs change in the recording: the others tell nothing."""
        return tuple(name for name in self.design.bases if name in sources)

    def can_say(self, sources: tuple[str, ...]) -> bool:
        """Whether it can read all of these."""
        return STEM not in sources or self.reads_stem

    def said(self, inputs: Array, earlier: Array, sources: tuple[str, ...]) -> tuple[Array, Array]:
        """Predicted vectors (n, length), and how much of the last output's error is left (n,)."""
        samples, regression = self.design.samples, self.regression(sources)
        fades = regression.fade(samples.ages(inputs, earlier))
        before = np.maximum(earlier, 0)
        last = samples.standard(self.judge.target)[before]
        said = self._say(sources, inputs)
        vectors = (said + fades[:, None] * (last - self._say(sources, before))).astype(np.float32)
        return vectors, fades

    def _say(self, sources: tuple[str, ...], inputs: Array) -> Array:
        """What the regression says of inputs, whatever the target last said: (n, length)."""
        said = self.regression(sources).say(self.design.numbers[inputs][:, self.design.columns(sources)[:-1]])
        rows = self.design.rows[inputs]
        if sources in self._left_out:
            said[rows >= 0] = self._left_out[sources][rows[rows >= 0]]
        return said


def _of_one(design: Design, columns: Array, products: Array, kept: Array, towards: tuple[Array, Array] | None) -> Array:
    """The weights of some numbers from the folds of one recording that are kept: a ridge.

    Args:
        design: of the recording.
        columns: the numbers that are read.
        products: of those with the target's vectors, by fold.
        kept: which folds are, bool (folds,).
        towards: the weights that they are drawn to, and how strongly each is; None: to nothing, with the ridge.
    """
    ridge = np.ones(len(columns))
    ridge[-1] = _FREE
    weights, strength = (0.0, ridge) if towards is None else towards
    moments = design.moments[:, columns[:, None], columns][kept].sum(axis=0)
    return np.asarray(
        np.linalg.solve(moments + np.diag(strength), products[kept].sum(axis=0) + strength[:, None] * weights)
    )


def _of_cameras(design: Design, columns: Array, products: Array, kept: Array, *, alike: bool) -> Array:
    """The same from the folds of several cameras that are kept: what holds within cameras, at the mean of their levels.

    From one camera to the next levels differ for reasons that no source tells: learnt from, they spoil what holds in
    each (on cameras that were left out .02 to .07 of agreement at any age). Unless they are `alike` the mean of the
    cameras' moments stands in for the sum: many cameras that differ are no more sure of another than one is.
    """
    moments = design.moments[:, columns[:, None], columns]
    within, crossed, means, levels = 0.0, 0.0, [], []
    for folds in design.cameras.values():
        use = np.arange(len(kept))[folds][kept[folds]]
        moment, product = moments[use].sum(axis=0), products[use].sum(axis=0)
        if not len(use) or not moment[-1, -1]:
            continue
        mean, level = moment[-1] / moment[-1, -1], product[-1] / moment[-1, -1]
        within = within + moment - np.outer(moment[-1], mean)
        crossed = crossed + product - np.outer(moment[-1], level)
        means.append(mean)
        levels.append(level)
    # The constant's own moment is nothing within cameras: it gets nothing here.
    share = 1.0 if alike else 1.0 / len(means)
    weights: Array = np.linalg.solve(share * within + np.eye(len(columns)), share * crossed)
    weights[-1] = np.mean(levels, axis=0) - np.mean(means, axis=0) @ weights
    return weights


def _fades(design: Design, errors: Array, assumed: Array) -> Array:
    """How much of an error is left at each of `KNOTS_S`, drawn to what is assumed there."""
    samples, learnt = design.samples, design.learnt
    rows = np.full(len(samples), -1)
    rows[learnt] = np.arange(len(learnt))
    span_s = samples.span_s(learnt)
    fades = []
    for age_s, usual in zip(KNOTS_S, assumed.tolist(), strict=True):
        earlier = samples.earlier(learnt, np.full(len(learnt), age_s))
        at = rows[np.maximum(earlier, 0)]
        known = (earlier >= 0) & (at >= 0)
        size = float((errors[at[known]] ** 2).sum())
        if not known.any() or size < 1e-12:
            fades.append(usual)
            continue
        measured = float((errors[known] * errors[at[known]]).sum()) / size
        looks = span_s / max(age_s, _FADES_IN_S)
        weight = looks / (looks + _ASSUMED_LOOKS)
        fades.append(weight * min(max(measured, 0.0), 1.0) + (1.0 - weight) * usual)
    return np.asarray(fades, np.float32)

"""Measures how well every way to answer for a target agrees: the table that plans and predictions choose by."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Self

import numpy as np

from ...outputs import Array
from ..table import ASSUMED_HELD, BUCKETS, NEVER, Measured, Table, bucket_bounds_s
from ..trust.calibration import Calibration, by_agreement, distances, forms, spread
from ..trust.certificate import certified, certify_threshold, independent_share
from .judge import Judge, best_constant
from .samples import OLDEST_S, Samples, Situations

Predict = Callable[[Array], tuple[Array, Array]]
"""From feature vectors (n, size): what a link predicts (n, length), and the probabilities that it agrees (n,)."""

_ALL_UP_TO = 6
_MOST_INPUTS = 160
# A short block in which nothing changes makes holding look perfect at any age, and a block of a single situation makes
# links look perfect. A prior counts as so many independent looks at an age, and as so many situations: outputs age as
# they usually do, and links gain nothing.
_ASSUMED_TIMES = 10.0
_ASSUMED_SITUATIONS = 3.0
# An output that agrees less than this with the one before is another situation.
_SAME = 0.95


class Cases:
    """The inputs of one block, once for each age bucket of a last output that they can have.

    Args:
        samples: the recording.
        judge: compares the target's outputs.
        block: the inputs.
        seed: of the draws of ages; the same for every way to answer, so that they meet the same cases.
    """

    def __init__(self, samples: Samples, judge: Judge, block: Array, *, seed: int) -> None:
        rng = np.random.default_rng(seed)
        if len(block) > _MOST_INPUTS:
            block = block[np.linspace(0, len(block) - 1, _MOST_INPUTS).astype(np.int64)]
        inputs, earlier, ages = [], [], []
        for index in range(BUCKETS):
            low, high = bucket_bounds_s(index) if index != NEVER else (0.0, 1.0)
            before = samples.earlier(block, samples.draw_ages(rng, len(block), low_s=low, high_s=min(high, OLDEST_S)))
            chosen = judge.thin(np.flatnonzero(samples.in_bucket(block, before, index)))
            if index == NEVER:
                chosen, before = judge.thin(np.arange(len(block))), np.full(len(block), -1)
            inputs.append(block[chosen])
            earlier.append(before[chosen])
            ages.append(np.full(len(chosen), index))
        self.span_s = float(samples.captured_s[block[-1]] - samples.captured_s[block[0]])
        self.situations = 1 + int((judge.held(block[1:], block[:-1]) < _SAME).sum())
        self.inputs = np.concatenate(inputs)
        self.earlier = np.concatenate(earlier)
        self.ages = np.concatenate(ages)

    def of(self, index: int) -> Array:
        """Which rows have a last output of that age: bool (n,)."""
        return np.asarray(self.ages == index)

    def trust_held(self, index: int) -> float:
        """The weight, from 0 to 1, of what was measured of holding at an age, against what is assumed of it.

        How an output ages over some time is seen once in that time, however many inputs there were.
        """
        low, _ = bucket_bounds_s(index)
        seen = min(float(self.of(index).sum()), self.span_s / max(low, 1e-3))
        return seen / (seen + _ASSUMED_TIMES)

    def trust_linked(self) -> float:
        """The weight of a link's measured gain, from 0 to 1: a situation that lasts is seen once."""
        return self.situations / (self.situations + _ASSUMED_SITUATIONS)


@dataclass(frozen=True)
class TargetCases:
    """What every way to answer for one target is measured on, and what is reached there without links.

    Attributes:
        judge: compares the target's outputs.
        constant: its best constant output.
        validation: the cases that choices are made on.
        report: those of the last block.
        free: the table of the constant and of holding.
    """

    judge: Judge
    constant: Array
    validation: Cases
    report: Cases
    free: Table

    @classmethod
    def of(cls, samples: Samples, target: str, *, seed: int) -> Self:
        """The cases of a recording; `seed` is of the draws of ages."""
        judge = Judge(samples, target)
        constant = best_constant(judge)
        validation = Cases(samples, judge, samples.blocks.validation, seed=seed + 3)
        report = Cases(samples, judge, samples.blocks.report, seed=seed + 4)
        # Holding and the constant learn next to nothing: they are measured on all that comes before the report block.
        before = Cases(samples, judge, np.arange(samples.blocks.report[0]), seed=seed + 5)
        return cls(judge, constant, validation, report, measure_free(judge, constant, before, report))


def measure_links(
    predict: Predict, situations: Situations, cases: TargetCases, sets: Iterable[tuple[str, ...]] | None = None
) -> Table:
    """The table with every link that is, at some age, clearly better than holding and the constant.

    Args:
        predict: the link.
        situations: make what it reads.
        cases: of the same target.
        sets: the sets of sources that it can predict from; None: any (`subsets`).
    """
    free, blocks = cases.free, (cases.validation, cases.report)
    replayed = {
        sources: [_replay(predict, situations, cases.judge, sources, block) for block in blocks]
        for sources in (subsets(situations.sources) if sets is None else sets)
    }
    never = cases.validation.of(NEVER)
    share = independent_share([first.agreements[never] for first, _ in replayed.values()])
    base = _free_agreements(cases.judge, free, cases.constant, cases.validation)
    linked = {}
    for sources, (first, second) in replayed.items():
        row = _link_cells(first, second, base, free, cases.validation, cases.report, share)
        table = Table(free.constant, free.held, {sources: row})
        if any(table.choose(frozenset(sources), index).origin == "linked" for index in range(BUCKETS)):
            linked[sources] = row
    return Table(free.constant, free.held, linked)


def measure_free(judge: Judge, constant: Array, validation: Cases, report: Cases) -> Table:
    """The table of the constant and of holding."""
    rows = [[cases.of(index) for index in range(BUCKETS)] for cases in (validation, report)]
    constants, held = [], []
    for cases, of in zip((validation, report), rows, strict=True):
        constants.append(judge.constant(constant, cases.inputs[of[NEVER]]))
        held.append([judge.held(cases.inputs[row], cases.earlier[row]) for row in of[:NEVER]])
    share = independent_share([constants[0], *(agreements for agreements in held[0] if len(agreements))])
    compared = Compared(judge)
    distances = compared.constant(constant, validation.inputs[rows[0][NEVER]], constants[0])
    base = _free_cell(constants[0], constants[1], distances, share)
    cells: list[Measured | None] = []
    for index, (first, second) in enumerate(zip(held[0], held[1], strict=True)):
        row = rows[0][index]
        distances = compared.held(validation.inputs[row], validation.earlier[row], first)
        cell = _free_cell(first, second, distances, share) if len(first) else None
        trust = validation.trust_held(index)
        assumed = (1.0 - trust) * ASSUMED_HELD[index]
        cells.append(cell and replace(cell, validation=trust * cell.validation + assumed))
    return Table(base, _filled(cells, base))


def subsets(sources: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The sets of sources a link is measured with: all of them, or with many sources none, one, two, and all."""
    sizes = range(len(sources) + 1) if len(sources) <= _ALL_UP_TO else (0, 1, 2, len(sources))
    return [chosen for size in sizes for chosen in combinations(sources, size)]


def _free_agreements(judge: Judge, free: Table, constant: Array, cases: Cases) -> Array:
    """What holding or the constant, whichever is the better at that age, reaches in each case."""
    held = np.asarray([free.free(index).origin == "held" for index in range(BUCKETS)])[cases.ages]
    agreements = judge.constant(constant, cases.inputs)
    agreements[held] = judge.held(cases.inputs[held], cases.earlier[held])
    return agreements


@dataclass(frozen=True)
class _Replayed:
    """What a link from some sources predicted in each case of a block, compared with the exact outputs."""

    agreements: Array
    confidences: Array
    distances: Array


def _replay(
    predict: Predict, situations: Situations, judge: Judge, sources: tuple[str, ...], cases: Cases
) -> _Replayed:
    draws = situations.fixed(cases.inputs, cases.earlier, sources)
    vectors, confidences = predict(situations.features(draws))
    agreements = judge.linked(vectors, cases.inputs, cases.earlier, [sources] * len(vectors))
    distances = Compared(judge).linked(vectors, cases.inputs, agreements, confidences)
    return _Replayed(agreements, confidences, distances)


def _link_cells(
    first: _Replayed,
    second: _Replayed,
    base: Array,
    free: Table,
    validation: Cases,
    report: Cases,
    share: float,
) -> tuple[Measured, ...]:
    cells: list[Measured | None] = []
    for index in range(BUCKETS):
        chosen, other = validation.of(index), report.of(index)
        agreements = first.agreements[chosen]
        if not len(agreements):
            cells.append(None)
            continue
        threshold = certify_threshold(first.confidences[chosen], agreements, share=share)
        reported = second.agreements[other] if other.any() else agreements
        # The best of many links measured on few inputs is mostly the luckiest: each counts with its gain over holding
        # or the constant, less one standard error of that gain.
        gains = agreements - base[chosen]
        # Those are known from more inputs than these. Where they do worse here than there, a link gains more than it
        # would elsewhere: it counts with no more than it reached here.
        level = free.free(index).measured.validation
        expected = min(level + validation.trust_linked() * float(gains.mean()), max(level, _expected(agreements)))
        doubt = float(gains.std() / np.sqrt(len(gains)))
        calibration = Calibration.of(first.distances[chosen], share=share)
        cells.append(Measured(expected - doubt, float(reported.mean()), threshold, calibration))
    never = cells[NEVER]
    assert never is not None, "a block is never empty"
    return (*_filled(cells[:NEVER], never), never)


def _free_cell(validation: Array, report: Array, distances: Array, share: float) -> Measured:
    reported = report if len(report) else validation
    threshold = 0.0 if certified(validation, share=share) else None
    calibration = Calibration.of(distances, share=share)
    return Measured(_expected(validation), float(reported.mean()), threshold, calibration)


def _expected(agreements: Array) -> float:
    """The posterior mean: outputs that all agreed promise a little less than running the model does."""
    return float((agreements.sum() + 0.5) / (len(agreements) + 1))


def _filled(cells: list[Measured | None], never: Measured) -> tuple[Measured, ...]:
    """Ages below one step get the youngest cell; ages never seen count as if there were no last output."""
    known = next((cell for cell in cells if cell is not None), never)
    filled: list[Measured] = []
    for index, cell in enumerate(cells):
        seen_before = any(other is not None for other in cells[:index])
        filled.append(cell if cell is not None else (never if seen_before else known))
    return tuple(filled)


class Compared:
    """Measures how far a target's held, constant and predicted outputs were from its exact ones.

    Args:
        judge: knows the target's outputs.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.output = judge.output

    def held(self, inputs: Array, earlier: Array, agreements: Array) -> Array:
        """The distances of the outputs of `earlier` from those of `inputs`, with their agreements: float64 (n,)."""
        return self._distances(self._forms(earlier), inputs, agreements, np.ones(len(inputs)))

    def constant(self, value: Array, inputs: Array, agreements: Array) -> Array:
        """The distances of one value from the outputs of `inputs`: float64 (n,)."""
        answers = np.repeat(forms(self.output, [value]), len(inputs), axis=0)
        return self._distances(answers, inputs, agreements, np.ones(len(inputs)))

    def linked(self, vectors: Array, inputs: Array, agreements: Array, confidences: Array) -> Array:
        """The distances of the outputs that predicted vectors stand for from those of `inputs`: float64 (n,)."""
        if by_agreement(self.output):
            answers = np.zeros((len(vectors), 0))
        elif self.output.kind == "boxes":
            answers = np.asarray(self.judge.encoding.counts(vectors), np.float64)
        else:
            answers = forms(self.output, self.judge.encoding.decode_many(vectors))
        return self._distances(answers, inputs, agreements, spread(confidences))

    def _forms(self, inputs: Sequence[int] | Array) -> Array:
        if by_agreement(self.output):
            return np.zeros((len(inputs), 0))
        if not len(inputs):
            return np.zeros((0, 1))
        return forms(self.output, [self.judge.values[index] for index in inputs])

    def _distances(self, answers: Array, inputs: Array, agreements: Array, spreads: Array) -> Array:
        if not len(inputs):
            return np.zeros(0)
        return distances(self.output, answers, self._forms(inputs), agreements, spreads)

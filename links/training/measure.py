"""Measures how well every way to answer for a target agrees: the table that plans and predictions choose by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ...outputs import Array
from ..table import ASSUMED_HELD, BUCKETS, NEVER, Measured, Table, bucket_bounds_s
from .judge import Judge, best_constant
from .predictor import Predictor
from .samples import OLDEST_S, Samples
from .sets import candidates

_STRETCHES = 5
_MOST_INPUTS = 160
_MOST_CERTIFYING = 1000
_SLOWER = 3
# The one correction of what is measured: a short block in which nothing changes makes holding look perfect at any age,
# and a block of a single situation makes links look so. Both are drawn to what is assumed, which counts as so many
# independent looks at an age, or situations: outputs age as they usually do, links gain nothing. (On the
# 38th to 60th per cent of eight clips, learnt on the first 36, a site's schedule so obtains .734 and .823 with 3 and
# 10 % of the compute, by tables alone .735 and .790; with margins and a standard error .722 and .807, .700 and .756.)
_ASSUMED = 10.0
# What a link gains at one age is drawn to what it gains at all of them, which counts as so many inputs.
_DRAWN = 60.0
# An output that agrees less than this with the one before is another situation.
_SAME = 0.95


def _spread(inputs: Array, most: int) -> Array:
    """The inputs, or so many of them evenly spread."""
    if len(inputs) <= most:
        return inputs
    return inputs[np.linspace(0, len(inputs) - 1, most).astype(np.int64)]


class Cases:
    """The inputs of one block, once for each age bucket of a last output that they can have.

    Args:
        samples: the recording.
        judge: compares the target's outputs.
        block: the inputs.
        seed: of the draws of ages; the same for every way to answer, so that they meet the same cases.
        most: of more inputs than that a part is taken, evenly spread; of a third where each comparison is slow.

    Attributes:
        block: the inputs that were taken.
        inputs: one a row: of which input it is.
        earlier: of which input the target's last output is; -1: it never ran.
        ages: the age bucket of that.
        places: which of `block` the input is.
    """

    def __init__(self, samples: Samples, judge: Judge, block: Array, *, seed: int, most: int = _MOST_INPUTS) -> None:
        rng = np.random.default_rng(seed)
        block = _spread(block, most // _SLOWER if judge.slow else most)
        inputs, earlier, ages, places = [], [], [], []
        for index in range(BUCKETS):
            low, high = bucket_bounds_s(index) if index != NEVER else (0.0, 1.0)
            before = samples.earlier(block, samples.draw_ages(rng, len(block), low_s=low, high_s=min(high, OLDEST_S)))
            chosen = np.flatnonzero(samples.in_bucket(block, before, index))
            if index == NEVER:
                chosen, before = np.arange(len(block)), np.full(len(block), -1)
            inputs.append(block[chosen])
            earlier.append(before[chosen])
            ages.append(np.full(len(chosen), index))
            places.append(chosen)
        self.span_s = samples.span_s(block)
        self.block = block
        self.inputs = np.concatenate(inputs)
        self.earlier = np.concatenate(earlier)
        self.ages = np.concatenate(ages)
        self.places = np.concatenate(places)

    def of(self, index: int) -> Array:
        """Which rows have a last output of that age: bool (n,)."""
        return np.asarray(self.ages == index)

    def trust_held(self, index: int) -> float:
        """The weight, from 0 to 1, of what was measured of holding at an age, against what is assumed of it.

        How an output ages over some time is seen once in that time, however many inputs there were.
        """
        low, _ = bucket_bounds_s(index)
        seen = min(float(self.of(index).sum()), self.span_s / max(low, 1e-3))
        return seen / (seen + _ASSUMED)

    def trust(self, judge: Judge) -> float:
        """The weight, from 0 to 1, of what was measured of a link: a situation that lasts is seen once.

        So is a camera, where links are judged by cameras that were left out.
        """
        seen = 1 + int((judge.held(self.block[1:], self.block[:-1]) < _SAME).sum())
        if judge.samples.leaves_out:
            seen = min(seen, len(judge.samples.cameras))
        return seen / (seen + _ASSUMED)


@dataclass(frozen=True)
class TargetCases:
    """What every way to answer for one target is measured on, and what is reached there without links.

    Attributes:
        judge: compares the target's outputs.
        constant: its best constant output.
        validation: the cases that choices are made on.
        report: those of the last block.
        free: the table of the constant and of holding.
        certify: the inputs that links are certified on: all of the last block.
        certify_free: those that the constant is certified on, which was chosen on the first block alone, and holding,
            which was chosen on none.
        beside: of one camera of several: the table of all; None: there are no others.
    """

    judge: Judge
    constant: Array
    validation: Cases
    report: Cases
    free: Table
    certify: Cases
    certify_free: tuple[Cases, Cases]
    beside: Table | None = None

    @classmethod
    def of(
        cls,
        samples: Samples,
        target: str,
        *,
        seed: int,
        chosen_on: Array | None = None,
        beside: Table | None = None,
    ) -> Self:
        """The cases of a recording.

        Args:
            samples: the recording.
            target: the model that is answered for.
            seed: of the draws of ages.
            chosen_on: the inputs that links are chosen on; None: the validation block.
            beside: of one camera of several: the table of all; None: there are no others.
        """
        judge, blocks = Judge(samples, target), samples.blocks
        constant = best_constant(judge)
        block = blocks.validation if chosen_on is None else chosen_on
        validation = Cases(samples, judge, block, seed=seed + 3, most=_MOST_INPUTS * (1 if chosen_on is None else 2))
        report = Cases(samples, judge, blocks.report, seed=seed + 4)
        # Holding and the constant learn next to nothing: they are measured on all that comes before the report block.
        before = Cases(samples, judge, blocks.before, seed=seed + 5)
        linked, later, whole = (
            Cases(samples, judge, block, seed=seed + 6, most=_MOST_CERTIFYING)
            for block in (blocks.report, blocks.later, np.arange(len(samples)))
        )
        free = measure_free(judge, constant, before, report, beside)
        return cls(judge, constant, validation, report, free, linked, (later, whole), beside)


def measure_links(predictor: Predictor, cases: TargetCases, sets: Iterable[tuple[str, ...]] | None = None) -> Table:
    """The table with every link that is, at some age, better than holding and the constant; not certified yet.

    Args:
        predictor: the link.
        cases: of the same target.
        sets: the sets of sources that it can predict from; None: any (`candidates`).
    """
    measured = _Links(predictor, cases)
    if sets is None:
        sets = candidates(predictor.telling, measured.said, measured.wanted, stem=predictor.reads_stem)
    free, linked = cases.free, {}
    for sources in sets:
        row = measured.row(sources)
        table = Table(free.constant, free.held, {sources: row})
        if any(table.choose(frozenset(sources), index).origin == "linked" for index in range(BUCKETS)):
            linked[sources] = row
    return Table(free.constant, free.held, linked)


class _Links:
    """What a link reaches from each set of sources, measured once.

    Args:
        predictor: the link.
        cases: of the same target.
    """

    def __init__(self, predictor: Predictor, cases: TargetCases) -> None:
        self._predictor = predictor
        self._cases = cases
        self._base = _free_agreements(cases.judge, cases.free, cases.constant, cases.validation)
        self._trust = cases.validation.trust(cases.judge)

    @property
    def wanted(self) -> Array:
        """What is to be predicted where choices are made, whatever the target last said: (n,)."""
        judge, block = self._cases.judge, self._cases.validation.block
        if judge.encoding.tokens is not None:
            return np.ones(len(block))
        return judge.samples.standard(judge.target)[block][:, judge.counted].ravel()

    def said(self, sources: tuple[str, ...]) -> Array:
        """What is predicted from a set there; of tokens, how far it agrees: (n,)."""
        judge, block = self._cases.judge, self._cases.validation.block
        never = np.full(len(block), -1)
        vectors, _ = self._predictor(block, never, sources, sure=False)
        if judge.encoding.tokens is not None:
            return judge.linked(vectors, block, never, [sources] * len(block))
        return vectors[:, judge.counted].ravel()

    def row(self, sources: tuple[str, ...]) -> tuple[Measured, ...]:
        """Its row of the table."""
        cases = self._cases
        blocks = (cases.validation, cases.report)
        first, second = (
            replay(self._predictor, cases.judge, sources, block, sure=False).agreements for block in blocks
        )
        return _link_cells(first, second, self._base, cases, self._trust, _usual_gains(cases.beside, sources))


def measure_free(judge: Judge, constant: Array, validation: Cases, report: Cases, beside: Table | None = None) -> Table:
    """The table of the constant and of holding; not certified yet.

    How outputs age is drawn to what is assumed: what they do at all cameras (`beside`), else what is usual.
    """
    held = []
    for cases in (validation, report):
        rows = [cases.of(index) for index in range(NEVER)]
        held.append([judge.held(cases.inputs[row], cases.earlier[row]) for row in rows])
    base = _free_cell(_unchosen(judge), judge.constant(constant, report.block))
    usual = usual_held(base.validation, ASSUMED_HELD if beside is None else [cell.validation for cell in beside.held])
    cells: list[Measured | None] = []
    for index, (first, second) in enumerate(zip(*held, strict=True)):
        cell = _free_cell(first, second) if len(first) else None
        seen = validation.trust_held(index)
        assumed = (1.0 - seen) * usual[index]
        cells.append(cell and replace(cell, validation=seen * cell.validation + assumed))
    return Table(base, _filled(cells, base))


def usual_held(constant: float, held: Sequence[float]) -> list[float]:
    """What holding is taken to reach, where it reaches `held` in general and the best constant `constant` here.

    Where the constant agrees then and now, so does what is held: what never changes holds at any age.
    """
    return [max(each, 2.0 * constant - 1.0) for each in held]


def _unchosen(judge: Judge) -> Array:
    """What a constant reaches where it was not chosen: of several cameras, where those left out chose none of it."""
    samples, blocks = judge.samples, judge.samples.blocks
    found = []
    if not samples.leaves_out:
        # One short block may be of one state alone: each stretch is judged by what the others choose.
        learnt = np.concatenate([blocks.train, blocks.validation])
        for stretch in np.array_split(learnt, _STRETCHES):
            others = best_constant(judge, np.setdiff1d(learnt, stretch))
            found.append(judge.constant(others, stretch))
        return np.concatenate(found)
    for part in samples.cameras.values():
        learnt, judged = ((block >= part.start) & (block < part.stop) for block in (blocks.train, blocks.validation))
        others = best_constant(judge, blocks.train[~learnt])
        found.append(judge.constant(others, blocks.validation[judged]))
    return np.concatenate(found)


def _free_agreements(judge: Judge, free: Table, constant: Array, cases: Cases) -> Array:
    """What holding or the constant, whichever is the better at that age, reaches in each case."""
    held = np.asarray([free.free(index).origin == "held" for index in range(BUCKETS)])[cases.ages]
    agreements = judge.constant(constant, cases.inputs)
    agreements[held] = judge.held(cases.inputs[held], cases.earlier[held])
    return agreements


@dataclass(frozen=True)
class Replayed:
    """What a link from some sources predicted in each case of a block, compared with the exact outputs.

    Attributes:
        vectors: what it predicted.
        agreements: of those with the exact outputs.
        confidences: the probabilities that they agree.
    """

    vectors: Array
    agreements: Array
    confidences: Array


def replay(
    predictor: Predictor,
    judge: Judge,
    sources: tuple[str, ...],
    cases: Cases,
    rows: Array | slice = slice(None),
    *,
    sure: bool = True,
) -> Replayed:
    """Predicts in the cases of a block, or in some `rows`, from some sources; `sure`: also how probably it is right."""
    inputs, earlier = cases.inputs[rows], cases.earlier[rows]
    vectors, confidences = predictor(inputs, earlier, sources, sure=sure)
    agreements = judge.linked(vectors, inputs, earlier, [sources] * len(vectors))
    return Replayed(vectors, agreements, confidences)


def _usual_gains(beside: Table | None, sources: tuple[str, ...]) -> list[float]:
    """What a link from these sources gains over what is free at all cameras, by age; nothing where it serves none."""
    row = None if beside is None else beside.linked.get(sources)
    if beside is None or row is None:
        return [0.0] * BUCKETS
    return [max(0.0, row[index].validation - beside.free(index).measured.validation) for index in range(BUCKETS)]


def _link_cells(
    first: Array, second: Array, base: Array, cases: TargetCases, trust: float, usual: Sequence[float]
) -> tuple[Measured, ...]:
    cells: list[Measured | None] = []
    overall = float((first - base).mean())
    for index in range(BUCKETS):
        chosen, other = cases.validation.of(index), cases.report.of(index)
        agreements = first[chosen]
        if not len(agreements):
            cells.append(None)
            continue
        reported = second[other] if other.any() else agreements
        # What is free may be known from more inputs than these: a link counts with what it gains over that here.
        gains = agreements - base[chosen]
        gain = float((gains.sum() + _DRAWN * overall) / (len(gains) + _DRAWN))
        level = cases.free.free(index).measured.validation
        expected = level + trust * gain + (1.0 - trust) * usual[index]
        cells.append(Measured(min(expected, _expected(np.ones(len(agreements)))), float(reported.mean())))
    never = cells[NEVER]
    assert never is not None, "a block is never empty"
    return (*_filled(cells[:NEVER], never), never)


def _free_cell(validation: Array, report: Array) -> Measured:
    return Measured(_expected(validation), float((report if len(report) else validation).mean()))


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

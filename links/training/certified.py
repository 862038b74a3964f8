"""Certifies the ways to answer that serve, on inputs that none was chosen on, and measures how far off they are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...outputs import Array
from ..table import BUCKETS, NEVER, Measured, Table
from ..trust.calibration import Calibration, by_agreement, distances, forms, spread
from ..trust.certificate import GRID, RISK, Certificate, certify, certify_in_turn, first_level
from .judge import Judge
from .measure import Cases, Replayed, TargetCases, replay
from .predictor import Predictor
from .served import Served

_TESTS = 4
"""Certificates of a target: of held answers, of the constant, of linked ones with and without a last output."""


def certified(table: Table, cases: TargetCases, link: Predictor | None = None) -> Table:
    """The table with a certificate for every way to answer, and a calibration for each of its cells that serves.

    A certificate is of what is served: for each input the way that most probably agrees, with ages and what else ran
    drawn at random, from a confidence on. All of a target together are wrong with a probability of at most `RISK`. They
    are of the last block, as how probably an answer agrees was learnt from all before it.

    Args:
        table: what was chosen.
        cases: of the same target.
        link: the link; None: the table has none.
    """
    serves = [
        (sources, age)
        for sources in table.linked
        for age in range(BUCKETS)
        if (route := table.choose(frozenset(sources), age)).origin == "linked" and route.sources == sources
    ]
    linked = {sources: list(row) for sources, row in table.linked.items()}
    if link is not None:
        for sources, age in serves:
            linked[sources][age] = _linked_cell(linked[sources][age], cases, link, sources, age)

    def draw(never: bool, alone: float) -> list[Served]:
        blocks = (cases.validation, cases.certify)
        return [Served.draw(table, cases, each, link, never=never, alone=alone, seed=int(never)) for each in blocks]

    known, never = draw(False, 0.5), draw(True, 0.5)
    held = _certificate("held", known, cases)
    together = [Served.together(each) for each in zip(known, never, strict=True)]
    constant = _certificate("constant", together, cases)
    old, new = (_certificate("linked", draw(each, 0.0), cases) for each in (False, True))
    young = cases.certify
    rows = {
        sources: (*_younger([_certify(cell, old) for cell in row[:NEVER]], young), _certify(row[NEVER], new))
        for sources, row in linked.items()
    }
    return Table(
        _certify(_constant_cell(table.constant, cases), constant),
        tuple(_certify(cell, held) for cell in _held_row(table.held, cases)),
        rows,
    )


def _certificate(way: str, served: Sequence[Served], cases: TargetCases) -> Certificate:
    """Of what is served in a way on the last block; where to begin is chosen on what was chosen on."""
    seen, found = (each.by(way) for each in served)
    unsaid, unknown = (1.0 - cases.judge.constant(cases.constant, each.inputs) for each in (seen, found))
    if not len(found.inputs):
        return Certificate(None, 0, 0)
    risk, first = RISK / _TESTS, 0
    if len(seen.inputs):
        first = first_level(seen.confidences, seen.agreements, inputs=len(found.inputs), risk=risk, unknown=unsaid)
    # What a constant gets wrong shows how often inputs change, unless it is the constant itself that is tested.
    return certify(
        found.confidences,
        found.agreements,
        grid=GRID[first:],
        risk=risk,
        unknown=None if way == "constant" else unknown,
    )


def _certify(cell: Measured, found: Certificate) -> Measured:
    return replace(cell, threshold=found.threshold, runs=found.runs)


def _constant_cell(cell: Measured, cases: TargetCases) -> Measured:
    block = cases.certify_free[0]
    inputs = block.inputs[block.of(NEVER)]
    agreements = cases.judge.constant(cases.constant, inputs)
    found = certify(np.ones(len(inputs)), agreements, grid=GRID[-1:])
    far = _Distances(cases.judge).constant(cases.constant, inputs, agreements)
    return _marked(cell, found, far, block.span_s)


def _held_row(row: Sequence[Measured], cases: TargetCases) -> tuple[Measured, ...]:
    """All ages in one test, of the inputs on which there is a last output of that age."""
    block, judge, cells = cases.certify_free[1], cases.judge, list(row)
    ages = [age for age in range(NEVER) if block.of(age).any()]
    agreements, where = np.ones((len(ages), len(block.block))), np.zeros((len(ages), len(block.block)), bool)
    for at, age in enumerate(ages):
        of = block.of(age)
        agreements[at, block.places[of]] = judge.held(block.inputs[of], block.earlier[of])
        where[at, block.places[of]] = True
    unknown = 1.0 - judge.constant(cases.constant, block.block)
    found = certify_in_turn(agreements, where, unknown=unknown) if ages else []
    for at, (age, certificate) in enumerate(zip(ages, found, strict=True)):
        of = block.of(age)
        far = _Distances(judge).held(block.inputs[of], block.earlier[of], agreements[at, block.places[of]])
        cells[age] = _marked(cells[age], certificate, far, block.span_s)
    return _younger(cells, block)


def _linked_cell(cell: Measured, cases: TargetCases, link: Predictor, sources: tuple[str, ...], age: int) -> Measured:
    judge, of = cases.judge, cases.certify.of(age)
    if not of.any():
        return cell
    found, inputs = replay(link, judge, sources, cases.certify, of), cases.certify.inputs[of]
    unknown = 1.0 - judge.constant(cases.constant, inputs)
    runs = certify(found.confidences, found.agreements, grid=GRID[-1:], unknown=unknown)
    return _marked(cell, runs, _Distances(judge).linked(found, inputs), cases.certify.span_s)


def _marked(cell: Measured, found: Certificate, far: Array, span_s: float) -> Measured:
    """The cell with how far such answers were from the exact outputs."""
    calibration = Calibration.of(far, runs=found.all_runs, run_s=span_s / max(1, found.all_runs))
    return replace(cell, calibration=calibration)


def _younger(row: Sequence[Measured], cases: Cases) -> tuple[Measured, ...]:
    """What is younger than anything that came up has the calibration of the youngest that did."""
    seen = [age for age in range(NEVER) if cases.of(age).any()]
    if not seen:
        return tuple(row)
    of = row[seen[0]]
    marked = [replace(cell, calibration=of.calibration) for cell in row]
    return (*marked[: seen[0]], *row[seen[0] :])


class _Distances:
    """How far a target's held, constant and predicted outputs were from its exact ones: float64 (n,).

    Args:
        judge: knows the target's outputs.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.output = judge.output

    def held(self, inputs: Array, earlier: Array, agreements: Array) -> Array:
        """Of the outputs of `earlier` from those of `inputs`, with their agreements."""
        return self._of(self._forms(earlier), inputs, agreements, np.ones(len(inputs)))

    def constant(self, value: Array, inputs: Array, agreements: Array) -> Array:
        """Of one value from the outputs of `inputs`."""
        answers = np.repeat(forms(self.output, [value]), len(inputs), axis=0)
        return self._of(answers, inputs, agreements, np.ones(len(inputs)))

    def linked(self, found: Replayed, inputs: Array) -> Array:
        """Of the outputs that predicted vectors stand for from those of `inputs`."""
        if by_agreement(self.output):
            answers = np.zeros((len(found.vectors), 0))
        elif self.output.kind == "boxes":
            answers = np.asarray(self.judge.encoding.counts(found.vectors), np.float64)
        else:
            answers = forms(self.output, self.judge.encoding.decode_many(found.vectors))
        return self._of(answers, inputs, found.agreements, spread(found.confidences))

    def _forms(self, inputs: Sequence[int] | Array) -> Array:
        if by_agreement(self.output):
            return np.zeros((len(inputs), 0))
        return forms(self.output, [self.judge.values[index] for index in inputs])

    def _of(self, answers: Array, inputs: Array, agreements: Array, spreads: Array) -> Array:
        return distances(self.output, answers, self._forms(inputs), agreements, spreads)

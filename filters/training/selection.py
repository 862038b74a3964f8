"""Chooses among the candidates, and their thresholds, by what the calibration part proves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import NotCertified
from ...evidence import CONFIDENCE, Tested, fixed_sequence, runs_needed, share_interval
from ...outputs import Array
from ..spec import CandidateResult, Certificate, FloorResult, Level
from .floors import Mask
from .sweep import Sweep

_TABLE_ROWS = 25
# A threshold that has dropped inputs in fewer runs tells nothing of what it will drop.
_DROPPED_RUNS = 3
# Without a certificate the error must be below the target by so many standard deviations (90 %, if it were normal).
_MARGIN = 1.28
_SMOOTHED = 25
# Rates on a calibration part of some hundred inputs are not known better.
EQUAL = 0.05


@dataclass(frozen=True)
class Choice:
    """The winner.

    Attributes:
        name: the candidate's.
        threshold: an input is kept if its score is above.
        certificate: what is proven of it.
        table: what the winner's other thresholds would bring and cost.
        candidates: the best that every candidate reached, those that can't win among them.
        floors: what it reaches where a least accuracy was asked for.
    """

    name: str
    threshold: float
    certificate: Certificate
    table: tuple[Level, ...]
    candidates: dict[str, CandidateResult]
    floors: tuple[FloorResult, ...] = ()


@dataclass(frozen=True)
class _Judged:
    """A candidate's sweep with the bounds on its errors, and the threshold it would use."""

    sweep: Sweep
    tested: Tested
    floors: tuple[Tested, ...]
    best: int
    certified: bool
    refused: str = ""
    cost: float = 0.0

    @property
    def rate(self) -> float:
        return float(self.sweep.rates[self.best])

    @property
    def worth(self) -> float:
        """The share of the models' time that it saves, its own taken off."""
        return self.rate - self.cost


def choose(
    sweeps: Sequence[Sweep],
    *,
    accuracy: float,
    floors: Sequence[Mask] = (),
    references: Sequence[Sweep] = (),
    costs: Sequence[float] = (),
) -> Choice:
    """The candidate that saves the most with a certificate; without any, the most with a margin.

    The confidence is shared among the candidates (Bonferroni), so that the winner's certificate holds although it was
    picked on the same inputs. Floors are tested at the same confidence: all of them must hold, so that none is picked.
    What saves no more than a free gate of the references that is certified too is not certified: anybody can have that.

    Args:
        sweeps: the candidates', in the order of preference.
        accuracy: the least mean agreement.
        floors: the least accuracy on parts of the inputs, each over the inputs of the sweeps.
        references: of free gates that stand in the table but are no filter.
        costs: what a decision of each candidate takes, as a share of the models' time for an input; none: nothing.
            They count in steps of `EQUAL`: rates are not known more exactly.

    Raises:
        NotCertified: no candidate meets the accuracy at any threshold that filters something.
    """
    target = 1.0 - accuracy
    confidence = 1.0 - (1.0 - CONFIDENCE) / len(sweeps)
    judged = [
        replace(_judge(sweep, target=target, confidence=confidence, floors=floors), cost=EQUAL * (cost // EQUAL))
        for sweep, cost in zip(sweeps, costs or [0.0] * len(sweeps), strict=True)
    ]
    shown = [_judge(sweep, target=target, confidence=confidence, floors=floors) for sweep in references]
    judged = [_weighed(found, shown) for found in judged]
    eligible = [found for found in judged if found.certified] or judged
    # The first of equals wins: the order of the candidates is the order of preference.
    useful = [found for found in eligible if found.rate > 0.0]
    if not useful:
        raise NotCertified(_hopeless(judged, accuracy))
    best = max(found.worth for found in useful)
    winner = next(found for found in useful if found.worth >= best - EQUAL)
    return Choice(
        winner.sweep.name,
        float(winner.sweep.thresholds[winner.best]),
        _certificate(winner, floors, target=target, confidence=confidence),
        _table(winner),
        {
            found.sweep.name: CandidateResult(
                rate=found.rate,
                error=float(found.sweep.errors[found.best]),
                threshold=float(found.sweep.thresholds[found.best]),
                certified=found.certified,
            )
            for found in [*judged, *shown]
        },
        tuple(_floor(winner, floor, tested) for floor, tested in zip(floors, winner.floors, strict=True)),
    )


@dataclass(frozen=True)
class CameraChoice:
    """What the winner does at one of several cameras.

    Attributes:
        threshold: an input is kept if its score is above.
        certificate: what the camera's own inputs prove of it.
        table: what other thresholds would bring and cost there.
    """

    threshold: float
    certificate: Certificate
    table: tuple[Level, ...]


def choose_for_cameras(
    winner: Sweep,
    cameras: Mapping[str, slice],
    *,
    accuracy: float,
    competed: int,
    floors: Sequence[Mask] = (),
    references: Sequence[Sweep] = (),
) -> dict[str, CameraChoice]:
    """A threshold of the winner for each camera: the one that its own inputs certify.

    Where they certify none, the errors at each threshold are drawn to the mean of all cameras, the more the less the
    camera shows and the more alike cameras are (empirical Bayes: the variance between cameras beyond that within);
    then it is the one that keeps the accuracy with a margin, and it is not certified.

    Args:
        winner: over all cameras' calibration parts, one after the other.
        cameras: where in them each camera's is.
        accuracy: the least mean agreement.
        competed: among how many candidates it was chosen on these inputs; their confidence is shared.
        floors: the least accuracy on parts of the inputs; where a camera has none of those it can't break them.
        references: of free gates: what saves no more than one of them that is certified too is not certified.
    """
    target, confidence = 1.0 - accuracy, 1.0 - (1.0 - CONFIDENCE) / competed
    masks = {name: [mask.within(part) for mask in floors if mask.where[part].any()] for name, part in cameras.items()}
    judged = {
        name: _judge(winner.within(part), target=target, confidence=confidence, floors=masks[name])
        for name, part in cameras.items()
    }
    errors = np.stack([found.sweep.errors for found in judged.values()])
    runs = np.maximum(1.0, np.stack([found.tested.runs for found in judged.values()]))
    drawn = dict(zip(judged, zip(*pulled(errors, runs), strict=True), strict=True))
    chosen = {}
    for name, found in judged.items():
        shown = [
            _judge(sweep.within(cameras[name]), target=target, confidence=confidence, floors=masks[name])
            for sweep in references
        ]
        best = found.best
        if not found.certified and not found.refused:
            likely = _likely(found.sweep, *drawn[name], target=target, floors=masks[name])
            best = int(np.argmax(np.where(likely, found.sweep.rates, -1.0)))
        weighed = _weighed(replace(found, best=best), shown)
        certificate = _certificate(weighed, masks[name], target=target, confidence=confidence)
        if not weighed.certified and not weighed.refused:
            # What is yet to come is told by all cameras, too.
            needed = runs_needed(float(drawn[name][0][best]), target=target, confidence=confidence) or 0
            more = max(certificate.more_runs, math.ceil(needed - float(found.tested.runs[best])))
            certificate = certificate.model_copy(update={"more_runs": max(0, more)})
        threshold = float(weighed.sweep.thresholds[best])
        chosen[name] = CameraChoice(threshold, certificate, _table(weighed))
    return chosen


def pulled(errors: Array, runs: Array) -> tuple[Array, Array]:
    """Each camera's errors, drawn to the mean of all, and how many runs that is worth.

    Args:
        errors: at each threshold (cameras, thresholds).
        runs: how many independent runs each stands on.
    """
    whole = runs.sum(axis=0)
    mean = (runs * errors).sum(axis=0) / whole
    within = mean * (1.0 - mean)
    # DerSimonian and Laird, Controlled Clinical Trials 1986: a camera that shows little tells little of the variance.
    spread = (runs * (errors - mean) ** 2).sum(axis=0) - (len(runs) - 1) * within
    between = np.maximum(spread / (whole - (runs**2).sum(axis=0) / whole), 0.0)
    weights = 1.0 / (between + within / runs + 1e-12)
    mean = (weights * errors).sum(axis=0) / weights.sum(axis=0)
    # How many runs of its own a camera needs until it says as much as the others do; no more than all have.
    worth = np.minimum(within / np.maximum(between, 1e-12), whole)
    own = runs / (runs + worth)
    return own * errors + (1.0 - own) * mean, runs + worth


def _likely(sweep: Sweep, errors: Array, runs: Array, *, target: float, floors: Sequence[Mask]) -> Array:
    """Up to which threshold errors meet the target with a margin, and floors are met: bool (thresholds,)."""
    deviations = np.sqrt(errors * (1.0 - errors) / np.maximum(1.0, runs))
    missed = np.zeros(len(errors), bool)
    for floor in floors:
        missed |= sweep.losses[:, floor.where].mean(axis=1) > 1.0 - floor.least
    return _before_first((_smooth(errors + _MARGIN * deviations) > target) | missed)


def _judge(sweep: Sweep, *, target: float, confidence: float, floors: Sequence[Mask]) -> _Judged:
    """Tests the thresholds in turn, from the most careful on, and stops at the first one that fails.

    Without a certificate: the threshold up to which the errors met the target with a margin.
    """
    errors, rates = sweep.errors, sweep.rates
    tested = _tested(sweep, target=target, confidence=confidence)
    parts = tuple(
        _tested(sweep, target=1.0 - floor.least, confidence=confidence, where=floor.where) for floor in floors
    )
    valid = tested.passed & np.all([part.passed for part in parts], axis=0) & (rates > 0)
    if valid.any():
        best = int(np.argmax(np.where(valid, rates, -1.0)))
        _, runs = share_interval(~sweep.kept[best])
        few = rates[best] < 0.5 and rates[best] * runs < _DROPPED_RUNS
        refused = f"it dropped in fewer than {_DROPPED_RUNS} runs" if few else ""
        return _Judged(sweep, tested, parts, best, certified=not refused, refused=refused)
    likely = _likely(sweep, errors, tested.runs, target=target, floors=floors)
    return _Judged(sweep, tested, parts, int(np.argmax(np.where(likely, rates, -1.0))), certified=False)


def _tested(sweep: Sweep, *, target: float, confidence: float, where: Array | None = None) -> Tested:
    whole = sweep.losses[-1] if sweep.dropped is None else sweep.dropped
    return fixed_sequence(sweep.losses, target=target, confidence=confidence, where=where, whole=whole)


def _weighed(found: _Judged, references: Sequence[_Judged]) -> _Judged:
    """The same, but not certified if something free is certified to save as much."""
    free = max((each for each in references if each.certified), key=lambda each: each.rate, default=None)
    if free is None or not found.certified or found.rate > free.rate:
        return found
    refused = f"it drops no more than {free.sweep.name}, which drops {free.rate:.3f} for nothing"
    return replace(found, certified=False, refused=refused)


def _floor(winner: _Judged, floor: Mask, tested: Tested) -> FloorResult:
    lost = winner.sweep.losses[winner.best][floor.where]
    return FloorResult(
        name=floor.name,
        least=floor.least,
        inputs=len(lost),
        runs=round(float(tested.runs[winner.best]), 1),
        accuracy=1.0 - float(lost.mean()),
        lower_bound=1.0 - float(tested.uppers[winner.best]),
    )


def _smooth(values: Array) -> Array:
    """The mean of each value and its near neighbours: in closed loop, near thresholds differ by luck as well."""
    near = len(values) // _SMOOTHED
    return np.convolve(np.pad(values, near, mode="edge"), np.ones(2 * near + 1) / (2 * near + 1), mode="valid")


def _before_first(failed: Array) -> Array:
    return np.asarray(np.cumsum(failed) == 0)


def _certificate(winner: _Judged, floors: Sequence[Mask], *, target: float, confidence: float) -> Certificate:
    sweep, tested, best = winner.sweep, winner.tested, winner.best
    interval, _ = share_interval(~sweep.kept[best])
    more = 0
    if not winner.certified and not winner.refused:
        tests = [
            (target, tested),
            *((1.0 - floor.least, part) for floor, part in zip(floors, winner.floors, strict=True)),
        ]
        more = max(_more_runs(each, best, target=least, confidence=confidence) for least, each in tests)
    return Certificate(
        certified=winner.certified,
        confidence=CONFIDENCE,
        inputs=sweep.losses.shape[1],
        runs=round(float(tested.runs[best]), 1),
        lost=round(float(tested.lost[best]), 2),
        error=float(sweep.errors[best]),
        upper_bound=float(tested.uppers[best]),
        method=f"none: {winner.refused}" if winner.refused else tested.method,
        rate=winner.rate,
        rate_interval=interval,
        more_runs=more,
    )


def _more_runs(tested: Tested, best: int, *, target: float, confidence: float) -> int:
    """How many more runs a proof at a threshold would take; 0: none, or none would do."""
    runs = float(tested.runs[best])
    error = float(tested.lost[best]) / runs if runs else 0.0
    needed = runs_needed(error, target=target, confidence=confidence)
    return 0 if needed is None else max(0, math.ceil(needed - runs))


def _table(winner: _Judged) -> tuple[Level, ...]:
    rows = np.unique(np.linspace(0, len(winner.tested.uppers) - 1, _TABLE_ROWS).round().astype(int))
    return tuple(
        Level(
            threshold=float(winner.sweep.thresholds[row]),
            rate=float(winner.sweep.rates[row]),
            error=float(winner.sweep.errors[row]),
            upper_bound=float(winner.tested.uppers[row]),
        )
        for row in np.unique(np.append(rows, winner.best))
    )


def _hopeless(judged: Sequence[_Judged], accuracy: float) -> str:
    least = ", ".join(
        f"{found.sweep.name} {1 - float(found.sweep.errors[found.sweep.rates > 0].min(initial=1.0)):.3f}"
        for found in judged
    )
    return (
        f"no filter keeps an accuracy of {accuracy:g} with a margin for chance on the "
        f"{judged[0].sweep.losses.shape[1]} calibration inputs; without a margin the best that each candidate reaches "
        f"while filtering anything is: {least}; "
        "ask for less (--accuracy), record more inputs, or give a rule that fires more often"
    )

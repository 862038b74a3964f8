"""Chooses among the candidates, and their thresholds, by what the calibration part proves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import NotCertified
from ...evidence import CONFIDENCE, Bound, autocorrelation_time, inputs_needed, upper_bound
from ...outputs import Array
from ..spec import CandidateResult, Certificate, FloorResult, Level
from .floors import Mask
from .sweep import Sweep

_TABLE_ROWS = 25
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
    tau: float
    uppers: Array
    best: int
    certified: bool
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
    taus = _autocorrelation_times(sweeps, target)
    judged = [
        replace(_judge(sweep, tau, target=target, confidence=confidence, floors=floors), cost=EQUAL * (cost // EQUAL))
        for sweep, tau, cost in zip(sweeps, taus, costs or [0.0] * len(sweeps), strict=True)
    ]
    shown = [_judge(sweep, max(taus), target=target, confidence=confidence, floors=floors) for sweep in references]
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
        _certificate(winner, target=target, confidence=confidence),
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
        tuple(_floor(winner, floor, confidence=confidence) for floor in floors),
    )


def _autocorrelation_times(sweeps: Sequence[Sweep], target: float) -> list[float]:
    """One per candidate: that of its losses at the threshold whose error is nearest the target.

    There the question is decided, so it serves all its thresholds. A candidate whose error stays far below the target
    has too few errors to tell from: it gets the longest time of all candidates.
    """
    found, clear = [], []
    for sweep in sweeps:
        errors = sweep.errors
        nearest = int(np.argmin(np.abs(errors - target)))
        found.append(autocorrelation_time(sweep.losses[nearest]))
        clear.append(errors[nearest] >= target / 2)
    return [tau if own else max(found) for tau, own in zip(found, clear, strict=True)]


def _judge(sweep: Sweep, tau: float, *, target: float, confidence: float, floors: Sequence[Mask]) -> _Judged:
    """Tests the thresholds in turn, from the most careful on, and stops at the first one that fails.

    Testing in a fixed order needs no correction for the number of thresholds.
    Without a certificate: the threshold up to which the errors met the target with a margin.
    """
    errors, rates = sweep.errors, sweep.rates
    uppers = np.asarray([upper_bound(losses, tau=tau, confidence=confidence).upper for losses in sweep.losses])
    broken = np.zeros(len(uppers), bool)
    for floor in floors:
        least = [_bound_on(losses, floor, tau, confidence).upper for losses in sweep.losses]
        broken |= np.asarray(least) > 1.0 - floor.least
    valid = _before_first((uppers > target) | broken) & (rates > 0)
    if valid.any():
        return _Judged(sweep, tau, uppers, int(np.argmax(np.where(valid, rates, -1.0))), certified=True)
    deviations = sweep.losses.std(axis=1) * np.sqrt(tau / sweep.losses.shape[1])
    missed = np.zeros(len(uppers), bool)
    for floor in floors:
        missed |= sweep.losses[:, floor.where].mean(axis=1) > 1.0 - floor.least
    likely = _before_first((_smooth(errors + _MARGIN * deviations) > target) | missed)
    return _Judged(sweep, tau, uppers, int(np.argmax(np.where(likely, rates, -1.0))), certified=False)


def _bound_on(losses: Array, floor: Mask, tau: float, confidence: float) -> Bound:
    """On the mean loss in a part of the inputs; runs of errors are taken to be as long there as everywhere."""
    share = float(floor.where.mean())
    return upper_bound(losses[floor.where], tau=max(1.0, tau * share), confidence=confidence)


def _floor(winner: _Judged, floor: Mask, *, confidence: float) -> FloorResult:
    losses = winner.sweep.losses[winner.best]
    lost = losses[floor.where]
    return FloorResult(
        name=floor.name,
        least=floor.least,
        inputs=len(lost),
        accuracy=1.0 - float(lost.mean()),
        lower_bound=1.0 - _bound_on(losses, floor, winner.tau, confidence).upper,
    )


def _smooth(values: Array) -> Array:
    """The mean of each value and its near neighbours: in closed loop, near thresholds differ by luck as well."""
    near = len(values) // _SMOOTHED
    return np.convolve(np.pad(values, near, mode="edge"), np.ones(2 * near + 1) / (2 * near + 1), mode="valid")


def _before_first(failed: Array) -> Array:
    return np.asarray(np.cumsum(failed) == 0)


def _certificate(winner: _Judged, *, target: float, confidence: float) -> Certificate:
    losses = winner.sweep.losses[winner.best]
    bound = upper_bound(losses, tau=winner.tau, confidence=confidence)
    needed = 0 if winner.certified else inputs_needed(losses, tau=winner.tau, target=target, confidence=confidence)
    return Certificate(
        certified=winner.certified,
        confidence=CONFIDENCE,
        inputs=len(losses),
        effective_inputs=round(bound.effective_inputs, 1),
        errors=round(float(losses.sum()), 4),
        error=float(losses.mean()),
        upper_bound=bound.upper,
        method=bound.method,
        rate=winner.rate,
        more_inputs=max(0, needed - len(losses)),
    )


def _table(winner: _Judged) -> tuple[Level, ...]:
    rows = np.unique(np.linspace(0, len(winner.uppers) - 1, _TABLE_ROWS).round().astype(int))
    return tuple(
        Level(
            threshold=float(winner.sweep.thresholds[row]),
            rate=float(winner.sweep.rates[row]),
            error=float(winner.sweep.errors[row]),
            upper_bound=float(winner.uppers[row]),
        )
        for row in np.unique(np.append(rows, winner.best))
    )


def _hopeless(judged: Sequence[_Judged], accuracy: float) -> str:
    least = ", ".join(
        f"{found.sweep.name} {1 - float(found.sweep.errors[found.sweep.rates > 0].min(initial=1.0)):.3f}"
        for found in judged
    )
    return (
        f"no filter keeps an accuracy of {accuracy:g} on the {judged[0].sweep.losses.shape[1]} calibration inputs; "
        f"the best accuracy each candidate reaches while filtering anything: {least}; "
        "ask for less (--accuracy), record more inputs, or give a rule that fires more often"
    )

"""Whether what was promised was kept, and on how many runs or events that rests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...evidence import CONFIDENCE, clopper_pearson, fixed_sequence, interval
from ...outputs import Array
from ...traces.trace import Trace
from ..learnt_from import LearntFrom
from ..spec import Certificate

Verdict = Literal["kept", "not proven", "undecided", "broken"]
"""Kept: the whole interval lies above what was promised; broken: the whole of it lies below. In between what was found
is above (not proven) or below (undecided), and there are too few runs to tell from luck."""

Contract = Literal["kept", "not proven", "undecided", "broken", "none"]
"""The worst verdict of all promises; none: nothing is promised."""

_WORST: tuple[Verdict, ...] = ("broken", "undecided", "not proven", "kept")
# A share that was dropped is far from the calibrated interval if it lies outside by more than the interval is wide, and
# by more than this.
_FAR = 0.1
# One-sided bounds that make a two-sided interval.
_SIDE = (1.0 + CONFIDENCE) / 2.0


@dataclass(frozen=True)
class Promise:
    """One thing that was promised, and what came of it.

    Attributes:
        name: of what: "accuracy", "recall of car", "hour 3", "events within 2 s".
        asked: the least share.
        found: what it was here; None: there is nothing of it here.
        interval: where it lies with 95 % confidence.
        worth: on how many independent runs or events that rests.
        unit: which of the two.
        verdict: whether it was kept.
    """

    name: str
    asked: float
    found: float | None
    interval: tuple[float, float]
    worth: float
    unit: Literal["runs", "events"]
    verdict: Verdict

    @property
    def text(self) -> str:
        """The verdict in words."""
        if self.found is None:
            return f"{self.name}, at least {self.asked:g}: nothing of it here, undecided"
        low, high = self.interval
        number = f"{self.worth:.0f} {self.unit if round(self.worth) != 1 else self.unit[:-1]}"
        said = {
            "kept": f"kept, on {number}",
            "not proven": f"kept, on {number} only: not proven",
            "undecided": f"missed, on {number} only: undecided",
            "broken": f"BROKEN, on {number}",
        }[self.verdict]
        return f"{self.name}, at least {self.asked:g}: {self.found:.3f} ({low:.3f} to {high:.3f}), {said}"


def judge_losses(
    name: str, asked: float, losses: Array, *, dropped: Array | None = None, where: Array | None = None
) -> Promise:
    """Whether the mean of losses in the order of time, one per input, stays at or below 1 - `asked`.

    Args:
        name: of what.
        asked: the least share that is right.
        losses: from 0 to 1.
        dropped: what would be lost if nothing was kept: it shows how losses come together where few are lost.
        where: bool (inputs,): the mean is over these alone.
    """
    part = losses if where is None else losses[where]
    if not len(part):
        return Promise(name, asked, None, (0.0, 1.0), 0.0, "runs", "undecided")
    runs = float(fixed_sequence(losses[None], target=1.0 - asked, confidence=_SIDE, where=where, whole=dropped).runs[0])
    # Where all is lost or nothing can be, losses don't show how they come together, but the places of the inputs do.
    runs = runs or float(_stretches(where))
    found = float(1.0 - part.mean())
    least = 1.0 - clopper_pearson((1.0 - found) * runs, runs, confidence=_SIDE)
    bounds = (min(found, least), max(found, clopper_pearson(found * runs, runs, confidence=_SIDE)))
    return Promise(name, asked, found, bounds, runs, "runs", _verdict(asked, found, bounds))


def judge_events(name: str, asked: float, hits: int, events: int, independent: float) -> Promise:
    """Whether enough events were found.

    Args:
        name: of what.
        asked: the least share of the events.
        hits: how many were found (in time).
        events: how many there are.
        independent: how many independent ones they are worth.
    """
    if not events:
        return Promise(name, asked, None, (0.0, 1.0), 0.0, "events", "undecided")
    found = hits / events
    # Of clusters as many are taken as found as their events are, rounded to the wider side.
    count = max(1, int(np.floor(independent + 1e-9)))
    low, high = interval(int(np.floor(found * count + 1e-9)), count)[0], interval(int(np.ceil(found * count)), count)[1]
    return Promise(name, asked, found, (low, high), float(count), "events", _verdict(asked, found, (low, high)))


def trace_warnings(
    learnt_from: LearntFrom | None, certificate: Certificate, trace: Trace, rate: float
) -> tuple[str, ...]:
    """Why a trace may say little of what was learnt: it is the very one, or other inputs than it was calibrated for.

    Args:
        learnt_from: the trace that it was learnt from; None: not known.
        certificate: what was calibrated.
        trace: that it is judged on.
        rate: the share of its inputs that was dropped.
    """
    found = [] if learnt_from is None else learnt_from.differences(trace)
    low, high = certificate.rate_interval
    if max(low - rate, rate - high) > max(_FAR, high - low):
        found.append(
            f"it dropped {rate:.0%} here, and {low:.0%} to {high:.0%} when it was calibrated: what was proven there "
            "says little of this"
        )
    if trace.unproven:
        found.append(f"{trace.unproven}; delays and runs are told by these times, too")
    return tuple(found)


def worst_of(promises: Sequence[Promise]) -> Contract:
    """What is to be said of all of them together."""
    verdicts = {promise.verdict for promise in promises}
    return next((verdict for verdict in _WORST if verdict in verdicts), "none")


def _stretches(where: Array | None) -> int:
    """In how many stretches some inputs come, those being one with less between them than the longest is long."""
    if where is None:
        return 1
    edges = np.diff(np.concatenate(([0], where, [0])).astype(int))
    first, after = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return 1 + int((first[1:] - after[:-1] >= (after - first).max()).sum())


def _verdict(asked: float, found: float, bounds: tuple[float, float]) -> Verdict:
    if found >= asked - 1e-9:
        return "kept" if bounds[0] >= asked - 1e-9 else "not proven"
    return "broken" if bounds[1] < asked else "undecided"

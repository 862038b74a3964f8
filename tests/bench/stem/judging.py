"""What a stem's benchmarks judge by, written from the definitions alone: nothing here is shared with what learns.

Truth is what the models themselves said. Splits are in time: what is judged was never learnt from, and a gap lies
between the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from infilink.outputs import Array, OutputSpec

LEARNT = 0.6
GAP = 0.02
"""Shares of a recording: what is learnt from, and what lies between that and what is judged."""
EVENT_GAP_S = 1.0
EVENT_LEAST_S = 0.5
WITHIN_S = 2.0
_DAY_MINUTES = 24 * 60.0
_SLACK_S = 1e-6


def boxes_of(outputs: Sequence[Array], spec: OutputSpec, classes: Sequence[str]) -> Array:
    """How many boxes of some classes each output has: int64 (inputs,)."""
    wanted = [i for i, name in enumerate(spec.classes) if name in classes]
    return np.asarray([int(np.isin(rows[:, 5].astype(int), wanted).sum()) for rows in outputs])


def agreement(spec: OutputSpec, said: Array, true: Array) -> float:
    """How far an output agrees with the true one, from 0 to 1.

    Boxes by their counts (the smaller over the larger of each class, summed), labels by the first place; others by the
    output's own measure.
    """
    if spec.kind == "label":
        return float(int(np.argmax(said)) == int(np.argmax(true)))
    if spec.kind == "boxes" and spec.measure == "counts":
        counts = [np.bincount(rows[:, 5].astype(int), minlength=len(spec.classes)) for rows in (said, true)]
        most = int(np.maximum(*counts).sum())
        return float(np.minimum(*counts).sum() / most) if most else 1.0
    return spec.agreement(said, true)


def auc(scores: Array, needed: Array) -> float:
    """The chance that an input that is needed scores above one that is not; equal scores count half."""
    order = np.argsort(scores, kind="stable")
    sorted_scores = scores[order]
    _, first, count = np.unique(sorted_scores, return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (count + 1) / 2, count)
    yes = int(needed.sum())
    no = len(needed) - yes
    return float((ranks[needed].sum() - yes * (yes + 1) / 2) / (yes * no)) if yes and no else float("nan")


@dataclass(frozen=True)
class Skill:
    """What a choice of inputs by a rule on one input is worth.

    Attributes:
        rate: the share that was not sent.
        accuracy: the share of inputs that were sent or not needed.
        skill: 0 is dropping at random at that accuracy, 1 knowing what is needed.
    """

    rate: float
    accuracy: float
    skill: float


def skill_of(kept: Array, needed: Array) -> Skill:
    """The skill of what was sent, at the accuracy that it had."""
    rate, accuracy = float(1.0 - kept.mean()), float(1.0 - (needed & ~kept).mean())
    return Skill(rate, accuracy, _skill(rate, accuracy, float(needed.mean())))


def best_skill(scores: Array, needed: Array, accuracy: float) -> Skill:
    """The skill of the best threshold on the judged part itself: what the scores' order is worth."""
    order = np.argsort(scores, kind="stable")
    lost = np.cumsum(needed[order])
    # A threshold drops all inputs of one score, or none of them.
    ends = np.append(scores[order][1:] != scores[order][:-1], True)
    fits = np.flatnonzero(ends & (lost <= (1.0 - accuracy) * len(needed) + 1e-9))
    dropped = int(fits[-1]) + 1 if len(fits) else 0
    rate = dropped / len(needed)
    return Skill(rate, accuracy, _skill(rate, accuracy, float(needed.mean())))


def _skill(rate: float, accuracy: float, needed: float) -> float:
    random = min(1.0, (1.0 - accuracy) / max(needed, 1e-12))
    optimal = min(1.0, 2.0 - needed - accuracy)
    return max(-1.0, (rate - random) / (optimal - random)) if optimal - random > 0.01 else float("nan")


def events_of(there: Array, captured_s: Array) -> list[tuple[int, int]]:
    """First and last input of each event: runs with gaps of up to 1 s joined, those under .5 s left out."""
    found: list[list[int]] = []
    for i in np.flatnonzero(there).tolist():
        if found and captured_s[i] - captured_s[found[-1][1]] <= EVENT_GAP_S + _SLACK_S:
            found[-1][1] = i
        else:
            found.append([i, i])
    return [(a, b) for a, b in found if captured_s[b] - captured_s[a] >= EVENT_LEAST_S - _SLACK_S]


@dataclass(frozen=True)
class Found:
    """What of the events was found by what was sent.

    Attributes:
        sent: the share of the inputs that was really sent.
        events: how many there were.
        recall: the share of them of which an input was sent while they lasted.
        within: the same within 2 s of their start.
        delay_s: the median time to the first input sent; infinite for a miss.
        false_minutes: minutes a day in which the last answer, held, states what is not there.
    """

    sent: float
    events: int
    recall: float
    within: float
    delay_s: float
    false_minutes: float


def found_by(kept: Array, there: Mapping[str, Array], captured_s: Array) -> Found:
    """Judges what was sent by the events of each thing that a rule tells apart; in between the last answer is held."""
    late, last = [], np.maximum.accumulate(np.where(kept, np.arange(len(kept)), 0))
    false = np.zeros(len(kept), bool)
    for each in there.values():
        true = each.copy()
        for first, end in events_of(each, captured_s):
            sent = np.flatnonzero(kept[first : end + 1] & each[first : end + 1])
            late.append(captured_s[first + sent[0]] - captured_s[first] if len(sent) else np.inf)
            true[first : end + 1] = True
        false |= each[last] & ~true
    late_s = np.asarray(late)
    steps_s = np.minimum(np.diff(captured_s, append=captured_s[-1]), EVENT_GAP_S)
    return Found(
        float(kept.mean()),
        len(late),
        float(np.isfinite(late_s).mean()) if late else float("nan"),
        float((late_s <= WITHIN_S + _SLACK_S).mean()) if late else float("nan"),
        float(np.quantile(late_s, 0.5, method="inverted_cdf")) if late else float("nan"),
        _DAY_MINUTES * float(steps_s[false].sum() / max(steps_s.sum(), 1e-9)),
    )


def mean(values: Sequence[float]) -> float:
    """The mean of those that are there; NaN of none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def shown(value: float, digits: int = 3) -> str:
    """A share as tables show it: .98, -.20, and a dash where there is none."""
    if np.isnan(value):
        return "-"
    if np.isinf(value):
        return "never"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text

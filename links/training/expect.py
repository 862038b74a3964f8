"""Learns how probably each way to answer for a target agrees on one input, from predictions of what others taught."""

from collections.abc import Sequence

import numpy as np

from ...outputs import Array
from ..expectation.expectation import KNOTS_S, WAYS, Cases, Expectation
from ..table import ASSUMED_HELD, STEM, assumed_held
from .fit_linear import FittedLinear
from .judge import Judge, best_constant
from .samples import OLDEST_S

_CASES = 600
_SLOWER = 3
_NEVER_SHARE = 0.1
# How an output ages over some time is seen once in that time; what is assumed counts as so many looks.
_ASSUMED_LOOKS = 10.0


def learn_expectation(
    fitted: FittedLinear,
    sets: Sequence[tuple[str, ...]],
    *,
    constant: float,
    seed: int,
    prior: Expectation | None = None,
) -> Expectation:
    """The expectation of a target, from the inputs that its links learnt from.

    Every case is predicted by what the other folds taught, the constant among it.

    Args:
        fitted: the target's links.
        sets: the sets of sources that will serve.
        constant: what the best constant reaches where it was not chosen.
        seed: of the draws.
        prior: what it is drawn to: of all cameras, for one; None: what is common.
    """
    judge, design = fitted.judge, fitted.design
    constants = [best_constant(judge, _rest(design.learnt, fold)) for fold in design.folds]
    cases = {}
    rng = np.random.default_rng(seed)
    count = _CASES // (_SLOWER if judge.slow else 1)
    for told in (False, True):
        chosen = [each for each in sets if bool(each) == told and fitted.can_say(each)]
        # What looks at every input is asked the most.
        chosen += [(STEM,)] * len(chosen) if (STEM,) in chosen else []
        if chosen:
            each = [_cases(fitted, sources, constants, rng, max(1, count // len(chosen))) for sources in chosen]
            cases[told] = Cases(*(np.concatenate(parts) for parts in zip(*each, strict=True)))
    held = held_by_age(judge, design.learnt, constant)
    return Expectation.fit(held, constant, cases, inputs=len(design.learnt), prior=prior)


def held_by_age(judge: Judge, inputs: Array, constant: float) -> Array:
    """The agreement of holding at `KNOTS_S`, drawn to what is assumed where an age was seen only a few times.

    Outputs are taken to age as they usually do, from right to what the best `constant` reaches.
    """
    samples, found = judge.samples, []
    for age_s in KNOTS_S:
        earlier = samples.earlier(inputs, np.full(len(inputs), age_s))
        known = earlier >= 0
        looks = min(float(known.sum()), samples.span_s(inputs) / age_s)
        mean = float(judge.held(inputs[known], earlier[known]).mean()) if known.any() else 0.0
        left = (assumed_held(age_s) - ASSUMED_HELD[-1]) / (1.0 - ASSUMED_HELD[-1])
        usual = constant + (1.0 - constant) * left
        found.append((mean * looks + usual * _ASSUMED_LOOKS) / (looks + _ASSUMED_LOOKS))
    return np.asarray(found)


def _rest(learnt: Array, fold: tuple[int, int]) -> Array:
    return np.concatenate([learnt[: fold[0]], learnt[fold[1] :]])


def _cases(
    fitted: FittedLinear,
    sources: tuple[str, ...],
    constants: Sequence[Array],
    rng: np.random.Generator,
    count: int,
) -> tuple[Array, Array, Array, Array]:
    """Ages, expected agreements, moves and agreements of draws of inputs and ages."""
    judge, design = fitted.judge, fitted.design
    samples, encoding = design.samples, judge.encoding
    inputs = rng.choice(design.learnt, count)
    earlier = samples.earlier(inputs, samples.draw_ages(rng, count, low_s=0.0, high_s=OLDEST_S))
    earlier[rng.random(count) < _NEVER_SHARE] = -1
    ends = np.cumsum([len(each) for each in design.judged])
    fold = np.searchsorted(ends, design.rows[inputs], side="right")
    encoded = np.stack([encoding.encode(value)[: encoding.length] for value in constants])[fold]
    vectors, expected, moved = fitted.expected(inputs, earlier, sources, encoded)
    agreements = np.full((count, len(WAYS)), np.nan)
    agreements[:, 0] = np.where(earlier < 0, np.nan, judge.held(inputs, earlier))
    agreements[:, 1] = judge.linked(vectors, inputs, earlier, [sources] * count)
    for at, value in enumerate(constants):
        agreements[fold == at, 2] = judge.constant(value, inputs[fold == at])
    return samples.ages(inputs, earlier), expected, moved, agreements

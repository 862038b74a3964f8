"""Is a workload filterable? Asked before a filter is trained for good: theory, costs, a probe (InFi, section 3.3)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...evidence import CONFIDENCE, autocorrelation_time, clopper_pearson
from ...reporting import Progress, part_of
from ...traces.trace import Trace
from ..modalities.stream import Channels
from ..rules.parser import Rule
from ..training.contest import Contest
from ..training.fit_loop import one_thread
from ..training.losses import Losses
from ..training.replay import Replay, Singles
from ..training.sweep import Bounds, calibrate, rate_at
from ..training.workload import LEAST_INPUTS, Workload, check_accuracy, read_inputs, split_of

Verdict = Literal["FILTERABLE", "TRIVIAL", "NOT WORTH IT", "MORE DATA"]

FRACTIONS = (0.25, 0.5, 1.0)
_THEORY = {
    True: "{case}: filterable",
    False: "{case}: not filterable, its filter is no simpler than the model",
    None: "{case} by theory",
}
_PROBED = ("network",)
_PROBED_UNCHANGED = ("network", "pace")
_LEAST_SKILL = 0.2
_RISING = 0.1
_TIMED = 64


@dataclass(frozen=True)
class Probe:
    """What a small filter reached that was trained on a part of the inputs.

    Attributes:
        inputs: how many it was trained on.
        rate: the greatest filtering rate that keeps the accuracy on the later part.
        skill: 0 is dropping at random, 1 a filter that knows the outputs; below 0 it is worse than random.
    """

    inputs: int
    rate: float
    skill: float


@dataclass(frozen=True)
class Assessment:
    """Whether it is worth to learn a filter, and the numbers that say so. Rates are at the accuracy that was asked for.

    Attributes:
        verdict: FILTERABLE, TRIVIAL (something that costs nothing does it), NOT WORTH IT, or MORE DATA.
        why: the reason in words, with its numbers, and what to do.
        rule: what is redundant.
        models: whose outputs count.
        accuracy: the least mean agreement that is asked for.
        inputs: how many the trace has.
        redundant: share of the inputs that are; for `unchanged`: that repeat the answer for the one before.
        redundant_interval: where that share lies, with 95 % confidence, errors coming in runs.
        theory: which case of the theory the rule is, and what that says.
        prior: the share of the optimal rate that the paper's filters reached with such a rule; None: it says nothing.
        constant_accuracy: what it would be right for to drop everything but the first input.
        optimal_rate: of a filter that knows the outputs.
        random_rate: of dropping inputs at random.
        every_rate: `unchanged`: of keeping every K-th input, the best K; 0 for other rules.
        expected_rate: prior times optimal.
        break_even_rate: below it, deciding costs more than it saves; measured.
        filter_s: seconds of one decision, measured.
        models_s: seconds of the models' inferences on one input, as recorded.
        speed_up: at most so many times as many inputs per second.
        probes: the learning curve.
    """

    verdict: Verdict
    why: str
    rule: str
    models: tuple[str, ...]
    accuracy: float
    inputs: int
    redundant: float
    redundant_interval: tuple[float, float]
    theory: str
    prior: float | None
    constant_accuracy: float
    optimal_rate: float
    random_rate: float
    every_rate: float
    expected_rate: float | None
    break_even_rate: float
    filter_s: float
    models_s: float
    speed_up: float
    probes: tuple[Probe, ...] = ()


def assess(
    trace: Trace,
    *,
    models: Sequence[str] = (),
    rule: Rule,
    accuracy: float = 0.9,
    modality: str = "",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    filter_s: float | None = None,
    progress: Progress | None = None,
) -> Assessment:
    """Judges a workload, from its theory to a probe; it stops at the first thing that settles the matter.

    Args:
        trace: what a filter would be learnt from.
        models: whose outputs count.
        rule: what is redundant.
        accuracy: the least mean agreement with the models.
        modality: of inputs that are no pictures.
        fractions: the growing parts of the inputs that probes are trained on, at least two.
        seed: of everything that is drawn.
        filter_s: what a decision takes, in seconds; None: it is measured here.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the accuracy makes no sense, or the rule does not fit the models.
        UnknownModel: the trace has no such model.
    """
    check_accuracy(accuracy)
    losses = Losses(trace, tuple(dict.fromkeys(models)) or tuple(trace.models), rule)
    replay = read_inputs(trace, losses, modality, inputs=len(trace), progress=part_of(progress, 0.0, 0.2))
    if filter_s is None:
        filter_s = _preparing_s(trace, replay)
    found = _without_training(trace, losses, replay, accuracy, filter_s)
    settled = _before_probing(found)
    if settled is not None:
        verdict, why = settled
        return replace(found, verdict=verdict, why=why)
    work = Workload(trace, losses, split_of(trace), replay, modality, seed)
    later = Bounds.of(losses, replay, work.split.calibrated, work.split.stop, accuracy)
    probes = _probe(work, accuracy, fractions, later, part_of(progress, 0.2, 1.0))
    verdict, why = _after_probing(found, probes, later)
    return replace(found, verdict=verdict, why=why, probes=probes)


def _without_training(
    trace: Trace, losses: Losses, replay: Replay | Singles, accuracy: float, filter_s: float
) -> Assessment:
    """The numbers that need no training, with the verdict that stands while nothing else is known."""
    bounds = Bounds.of(losses, replay, 0, len(trace), accuracy)
    redundant, interval = _redundancy(losses, len(trace))
    costs = trace.info.costs
    models_s = sum(costs[name].infer_s for name in losses.models if name in costs)
    theory = losses.rule.theory
    return Assessment(
        verdict="MORE DATA",
        why="",
        rule=losses.rule.text,
        models=losses.models,
        accuracy=accuracy,
        inputs=len(trace),
        redundant=redundant,
        redundant_interval=interval,
        theory=_THEORY[theory.filterable].format(case=theory.case),
        prior=theory.prior,
        constant_accuracy=bounds.constant,
        optimal_rate=bounds.optimal,
        random_rate=bounds.random,
        every_rate=bounds.every,
        expected_rate=None if theory.prior is None else theory.prior * bounds.optimal,
        break_even_rate=min(1.0, filter_s / models_s) if models_s else 1.0,
        filter_s=filter_s,
        models_s=models_s,
        speed_up=models_s / (filter_s + (1.0 - bounds.optimal) * models_s) if models_s else 1.0,
    )


def _redundancy(losses: Losses, inputs: int) -> tuple[float, tuple[float, float]]:
    """The share of redundant inputs and its interval, for as many independent inputs as they are worth."""
    if losses.pairwise:
        current = np.arange(1, inputs)
        lost = losses.of(current - 1, current) if inputs > 1 else np.ones(1)
    else:
        lost = losses.needed.mean(axis=0)
    effective = max(1.0, len(lost) / autocorrelation_time(lost))
    needed = float(lost.mean())
    side = 1.0 - (1.0 - CONFIDENCE) / 2.0
    most = clopper_pearson(needed * effective, effective, confidence=side)
    least = 1.0 - clopper_pearson((1.0 - needed) * effective, effective, confidence=side)
    return 1.0 - needed, (1.0 - most, 1.0 - least)


def _preparing_s(trace: Trace, replay: Replay | Singles) -> float:
    """The time that preparing an input takes, which is most of a decision; median over some inputs."""
    channels = Channels(pairwise=replay.pairwise, step_s=0.0)
    times = []
    for value, captured_s in zip(trace.part(0, min(_TIMED, len(trace))).inputs(), trace.captured_s, strict=False):
        started = time.perf_counter()
        if isinstance(replay, Singles):
            replay.modality.prepare(value)
        else:
            channels.see(value, float(captured_s))
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def _probe(
    work: Workload, accuracy: float, fractions: Sequence[float], later: Bounds, progress: Progress | None
) -> tuple[Probe, ...]:
    """Trains on the newest part of the inputs to learn from, a growing one, and tries it on the later ones."""
    names = _PROBED_UNCHANGED if work.losses.pairwise else _PROBED
    contest = Contest(work)
    probes = []
    for index, fraction in enumerate(fractions):
        if progress is not None:
            progress(index / len(fractions), f"training on {fraction:.0%} of the inputs")
        start = work.split.trained - round(fraction * work.split.trained)
        with one_thread():
            runs = [calibrate(each.candidate, work) for each in contest.enter(names, start=start)]
        rate = max(rate_at(run, accuracy) for run in runs)
        skill = (rate - later.random) / max(later.optimal - later.random, 1e-9)
        probes.append(Probe(work.split.trained - start, rate, skill))
    return tuple(probes)


def _before_probing(found: Assessment) -> tuple[Verdict, str] | None:
    """What is settled without any training."""
    if found.constant_accuracy >= found.accuracy:
        advice = "ask for more accuracy than that" if found.constant_accuracy < 1.0 else "record other scenes"
        return "TRIVIAL", f"to drop everything is right for {found.constant_accuracy:.3f} of the inputs: {advice}"
    if found.every_rate > found.break_even_rate and found.every_rate >= found.optimal_rate - 0.02:
        return "TRIVIAL", (
            f"keeping every K-th input drops {found.every_rate:.2f} of them, as many as knowing the outputs would "
            f"({found.optimal_rate:.2f}): use the gate every:K"
        )
    if found.optimal_rate <= found.break_even_rate:
        return "NOT WORTH IT", (
            f"even a filter that knew the outputs could drop {found.optimal_rate:.2f} of the inputs; deciding pays "
            f"from {found.break_even_rate:.2f} on"
        )
    if found.redundant_interval[1] <= 0.01 and not found.every_rate:
        return "NOT WORTH IT", f"at most {found.redundant_interval[1]:.3f} of the inputs are redundant by this rule"
    if found.inputs < LEAST_INPUTS:
        return "MORE DATA", f"{found.inputs} inputs are too few to try a filter on: record at least {LEAST_INPUTS}"
    return None


def _after_probing(found: Assessment, probes: Sequence[Probe], later: Bounds) -> tuple[Verdict, str]:
    last, before = probes[-1], probes[-2]
    curve = ", ".join(f"{probe.rate:.2f} of {probe.inputs}" for probe in probes)
    reached = f"filters trained on more and more inputs drop: {curve} (random {later.random:.2f}, optimal "
    reached += f"{later.optimal:.2f})"
    free = max(later.random, later.every)
    if last.skill >= _LEAST_SKILL and last.rate > max(free, found.break_even_rate):
        return "FILTERABLE", f"{reached}; with it, up to {found.speed_up:.1f} times as many inputs per second"
    if last.skill - before.skill > _RISING:
        return "MORE DATA", f"{reached}: still rising; record twice as much and ask again"
    span = found.redundant_interval[1] - found.redundant_interval[0]
    if span > 0.5:
        return "MORE DATA", (
            f"{reached}, but the {found.inputs} inputs come in so few runs that their redundancy could be anything "
            f"from {found.redundant_interval[0]:.2f} to {found.redundant_interval[1]:.2f}; record longer"
        )
    if last.rate <= free and later.every > later.random:
        return "NOT WORTH IT", f"{reached}: no better than keeping every K-th input ({later.every:.2f})"
    return "NOT WORTH IT", f"{reached}: what is redundant can't be seen in the inputs"

"""Is a workload filterable? Asked before a filter is trained for good: theory, costs, a probe (InFi, section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...models.stem.stem import Stem
from ...reporting import Progress, part_of
from ...traces.trace import Trace
from ..rules.parser import Rule
from ..training.contest import Contest
from ..training.costs import counted_s, prepared_s
from ..training.fit_loop import one_thread
from ..training.free_gates import LAST_KEPT
from ..training.losses import Losses
from ..training.replay import Replay, Singles
from ..training.selection import EQUAL
from ..training.stem_view import StemView
from ..training.sweep import Bounds
from ..training.workload import LEAST_INPUTS, Workload, check_accuracy, modality_of, read_inputs, split_of
from .baselines import Room
from .probe import FreeProbe, Probe, Trial
from .verdict import judge_losses

Verdict = Literal["FILTERABLE", "TRIVIAL", "NOT WORTH IT", "MORE DATA"]

FRACTIONS = (0.25, 0.5, 1.0)
_THEORY = {
    True: "{case}: filterable",
    False: "{case}: not filterable, its filter is no simpler than the model",
    None: "{case} by theory",
}
_HARDLY_ASKED = 0.7
"""Where dropping at random drops more than this, so little is asked for that no filter shows what it sees."""
_LEAST_SKILL = 0.2
_RISING = 0.1
# A redundancy whose interval is wider is not known.
_WIDE = 0.5


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
        redundant_interval: where that share lies, with 95 % confidence.
        runs: how many independent runs the inputs are worth, on which that rests.
        theory: which case of the theory the rule is, and what that says.
        prior: the share of the optimal rate that the paper's filters reached with such a rule; None: it says nothing.
        constant_accuracy: what it would be right for to drop everything but the first input.
        optimal_rate: of a filter that knows the outputs.
        random_rate: of dropping inputs at random.
        every_rate: `unchanged`: of keeping every K-th input, the best K; 0 for other rules.
        expected_rate: prior times optimal.
        break_even_rate: below it, deciding costs more than it saves.
        filter_s: seconds of one decision, counted: of what the last probe chose, or of preparing an input alone.
        models_s: seconds of the models' inferences on one input, as recorded.
        speed_up: at most so many times as many inputs per second.
        probes: the learning curve: thresholds chosen on one half of the later inputs, judged on the other.
        free: what free gates reach in the same way.
        probe_random: the rate of dropping at random on the inputs that the probes are judged on.
        probe_optimal: likewise that of knowing the outputs.
    """

    verdict: Verdict
    why: str
    rule: str
    models: tuple[str, ...]
    accuracy: float
    inputs: int
    redundant: float
    redundant_interval: tuple[float, float]
    runs: float
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
    free: tuple[FreeProbe, ...] = ()
    probe_random: float = 0.0
    probe_optimal: float = 0.0

    def deciding_in(self, filter_s: float) -> "Assessment":
        """The same with another time for a decision."""
        models_s = self.models_s
        return replace(
            self,
            filter_s=filter_s,
            break_even_rate=min(1.0, filter_s / models_s) if models_s else 1.0,
            speed_up=models_s / (filter_s + (1.0 - self.optimal_rate) * models_s) if models_s else 1.0,
        )


def assess(
    trace: Trace,
    *,
    models: Sequence[str] = (),
    rule: Rule,
    accuracy: float = 0.9,
    modality: str = "",
    candidates: Sequence[str] = (),
    stem: Stem | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    filter_s: float | None = None,
    progress: Progress | None = None,
) -> Assessment:
    """Judges a workload, from its theory to a probe; it stops at the first thing that settles the matter.

    No clock of this machine plays a part.

    Args:
        trace: what a filter would be learnt from.
        models: whose outputs count.
        rule: what is redundant.
        accuracy: the least mean agreement with the models.
        modality: how inputs are seen that are no pictures; "": as the trace says.
        candidates: which are tried, by name, as in `train_filter`; none: those that it enters if none is named.
        stem: whose features the candidate "stem" reads; None: it is not tried.
        fractions: the growing parts of the inputs that probes are trained on, at least two.
        seed: of everything that is drawn.
        filter_s: what a decision takes, in seconds; None: it is counted.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the accuracy makes no sense, or the rule does not fit the models.
        UnknownModel: the trace has no such model.
    """
    check_accuracy(accuracy)
    losses = Losses(trace, tuple(dict.fromkeys(models)) or tuple(trace.models), rule)
    modality = modality_of(trace, modality)
    replay = read_inputs(trace, losses, modality, inputs=len(trace), progress=part_of(progress, 0.0, 0.2))
    least_s = prepared_s(replay.modality if isinstance(replay, Singles) else None)
    found = _without_training(trace, losses, replay, accuracy, least_s if filter_s is None else filter_s)
    settled = _before_probing(found)
    if settled is not None:
        verdict, why = settled
        return replace(found, verdict=verdict, why=why)
    seen = StemView.beside(stem, trace, modality)
    work = Workload(trace, losses, split_of(trace), replay, modality, seed, seen)
    trial = Trial(work, accuracy, models_s=found.models_s)
    probes, took_s = _probe(work, trial, candidates, fractions, part_of(progress, 0.2, 1.0))
    found = replace(
        found if filter_s is not None else found.deciding_in(took_s),
        probes=probes,
        free=trial.free(),
        probe_random=trial.room.random_rate,
        probe_optimal=trial.room.oracle_rate,
    )
    verdict, why = _after_probing(found)
    return replace(found, verdict=verdict, why=f"{why}; but {trace.unproven}" if trace.unproven else why)


def _without_training(
    trace: Trace, losses: Losses, replay: Replay | Singles, accuracy: float, filter_s: float
) -> Assessment:
    """The numbers that need no training, with the verdict that stands while nothing else is known."""
    bounds = Bounds.of(losses, replay, 0, len(trace), accuracy)
    # Of `unchanged`: what is lost if each input is answered by the one before.
    current = np.arange(1, len(trace)) if losses.pairwise and len(trace) > 1 else np.arange(len(trace))
    redundant = judge_losses("redundant", 0.5, losses.of(np.maximum(current - 1, 0), current))
    costs = trace.info.costs
    theory = losses.rule.theory
    return Assessment(
        verdict="MORE DATA",
        why="",
        rule=losses.rule.text,
        models=losses.models,
        accuracy=accuracy,
        inputs=len(trace),
        redundant=redundant.found or 0.0,
        redundant_interval=redundant.interval,
        runs=redundant.worth,
        theory=_THEORY[theory.filterable].format(case=theory.case),
        prior=theory.prior,
        constant_accuracy=bounds.constant,
        optimal_rate=bounds.optimal,
        random_rate=bounds.random,
        every_rate=bounds.every,
        expected_rate=None if theory.prior is None else theory.prior * bounds.optimal,
        break_even_rate=1.0,
        filter_s=0.0,
        models_s=sum(costs[name].infer_s for name in losses.models if name in costs),
        speed_up=1.0,
    ).deciding_in(filter_s)


def _probe(
    work: Workload, trial: Trial, names: Sequence[str], fractions: Sequence[float], progress: Progress | None
) -> tuple[tuple[Probe, ...], float]:
    """Trains on the newest part of the inputs to learn from, a growing one, and tries it on the later ones.

    Returns:
        The learning curve, and the seconds of a decision of what the last one chose.
    """
    contest = Contest(work)
    probes, took_s = [], 0.0
    for index, fraction in enumerate(fractions):
        if progress is not None:
            progress(index / len(fractions), f"training on {fraction:.0%} of the inputs")
        start = work.split.trained - round(fraction * work.split.trained)
        with one_thread():
            entered = contest.enter(names, start=start)
            costs_s = [counted_s(each, work) for each in entered]
            probe, chosen = trial.of([each.candidate for each in entered], costs_s, work.split.trained - start)
        probes.append(probe)
        took_s = costs_s[chosen]
    return tuple(probes), took_s


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


def _after_probing(found: Assessment) -> tuple[Verdict, str]:
    """What the probes say, beside what costs nothing, all judged in the same way."""
    last, before = found.probes[-1], found.probes[-2]
    curve = ", ".join(f"{probe.rate:.2f} of {probe.inputs}" for probe in found.probes)
    reached = (
        f"filters trained on more and more inputs drop: {curve} (random {found.probe_random:.2f}, optimal "
        f"{found.probe_optimal:.2f}); the last, {last.name}, dropped {last.dropped:.2f} and was right on "
        f"{last.accuracy:.3f}"
    )
    random = max(found.random_rate, found.probe_random)
    room = Room(found.probe_random, found.probe_optimal)
    # Of a rule on one input, what looks at nothing is no better than dropping at random but for luck.
    able = [each for each in found.free if each.name == LAST_KEPT or (each.name != "random" and found.every_rate > 0)]
    best = max(able, key=lambda each: each.rate, default=None)
    free = best is not None and best.rate > random and (room.skill(best.rate) or 0.0) >= _LEAST_SKILL
    worth = last.rate > max(random, found.break_even_rate) and (last.skill or 0.0) >= _LEAST_SKILL
    span = found.redundant_interval[1] - found.redundant_interval[0]
    if span > _WIDE and (worth or not _is_rising(last, before)):
        return "MORE DATA", (
            f"{reached}, but the {found.inputs} inputs come in so few runs ({found.runs:.0f}) that their redundancy "
            f"could be anything from {found.redundant_interval[0]:.2f} to {found.redundant_interval[1]:.2f}; record "
            "longer"
        )
    if worth and free and best is not None and best.rate >= last.rate - EQUAL:
        return "TRIVIAL", f"{reached}; the gate {best.gate} drops {best.rate:.2f} and needs no training: use that"
    if worth:
        beside = "" if best is None else f"; the best free gate, {best.name}, drops {best.rate:.2f}"
        return "FILTERABLE", (
            f"{reached}{beside}; with a filter, up to {found.speed_up:.1f} times as many inputs per second"
        )
    if _is_rising(last, before):
        return "MORE DATA", f"{reached}: still rising; record twice as much and ask again"
    if free and best is not None and best.rate >= last.rate:
        return "NOT WORTH IT", f"{reached}: no better than the gate {best.gate} ({best.rate:.2f})"
    if (last.skill or 0.0) >= _LEAST_SKILL and last.rate > random:
        return "NOT WORTH IT", (
            f"{reached}: it works, but deciding pays from {found.break_even_rate:.2f} on, as the models are nearly as "
            "fast (what not sending them saves is not counted)"
        )
    if found.probe_random > _HARDLY_ASKED:
        return "NOT WORTH IT", (
            f"{reached}: an accuracy of {found.accuracy:g} hardly asks for anything, as dropping at random gives it; "
            "ask for more (`--accuracy`)"
        )
    return "NOT WORTH IT", f"{reached}: what is redundant can't be seen in the inputs"


def _is_rising(last: Probe, before: Probe) -> bool:
    return (last.skill or 0.0) - (before.skill or 0.0) > _RISING

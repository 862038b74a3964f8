"""Judges a gate on a trace it was not learnt from: what it saved, what that cost, and what free gates would cost."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...files import replacing
from ...outputs import Array
from ...reporting import Progress, part_of
from ...traces.events import EventScore
from ...traces.site import camera_of
from ...traces.trace import Trace
from ..gates.base import Decision, Gate, ModelOutput
from ..gates.free import DifferenceGate
from ..gates.learned import FilterRuntime
from ..gates.tasks import TasksRuntime
from ..local.gate import LocalGate
from ..open_gate import open_gate
from ..reuse.gate import ReuseGate
from ..rules.parser import Unchanged
from ..spec import FilterSpec, FloorResult
from ..training.floors import Floor, Recall, Slices
from ..training.free_gates import fit_free
from ..training.losses import Losses
from ..training.replay import Replay, Singles, Unseen
from .baselines import Baseline, measure_baselines, measure_room
from .outcome import Answers
from .verdict import Contract, Promise, judge_events, judge_losses, trace_warnings, worst_of

_COLUMNS = (
    "sequence",
    "captured_s",
    "model",
    "score",
    "threshold",
    "decision",
    "origin",
    "served",
    "true",
    "agreement",
)
_RECALL = "recall of "


@dataclass(frozen=True)
class FilterEvaluation:
    """How a gate did on a trace, in closed loop.

    Attributes:
        gate: its name.
        rule: what is redundant; for a free gate, `unchanged`.
        models: the models whose outputs are counted.
        inputs: how many inputs there are.
        rate: the filtering rate: the share that was not kept.
        accuracy: mean agreement with what the models would have said, over all inputs and models; a kept input is 1.
        accuracy_skipped: the same over the inputs that were not kept; None if all were.
        per_model: accuracy, model by model.
        skill: 0 is dropping at random, 1 a gate that knows the outputs; None where that says nothing.
        contract: whether all that the filter promises was kept; "none" for a gate that promises nothing.
        promised: the accuracy that it promises.
        certified: whether it was promised with a certificate.
        promises: everything that it promises, each with its verdict and the runs or events that rests on.
        timed: whether its inputs have times, so that there are events among them.
        events: how many events were found, and how late.
        by_thing: the same for each thing that the rule tells apart.
        baselines: free gates at the same send rate.
        ahead: those of them that did better.
        warnings: why this trace may say little of the filter.
    """

    gate: str
    rule: str
    models: tuple[str, ...]
    inputs: int
    rate: float
    accuracy: float
    accuracy_skipped: float | None
    per_model: dict[str, float]
    skill: float | None
    contract: Contract
    promised: float | None
    certified: bool
    promises: tuple[Promise, ...]
    timed: bool
    events: EventScore
    by_thing: dict[str, EventScore]
    baselines: tuple[Baseline, ...]
    ahead: tuple[str, ...]
    warnings: tuple[str, ...]


def evaluate_filter(
    gate: Gate | Path | str,
    trace: Trace,
    *,
    trained_on: Trace | None = None,
    decisions: Path | None = None,
    rule_files: Sequence[Path] = (),
    before: Trace | None = None,
    progress: Progress | None = None,
) -> FilterEvaluation:
    """Runs a gate (or the one that a text or a path names) over a trace.

    Args:
        gate: what to judge; a filter from a file is judged by its own rule, on its own models.
        trace: of the same models.
        trained_on: what the free gates' thresholds are fitted on, at the filter's own rate there; None: as the filter's
            file says.
        decisions: where to write a CSV with a row per input and model.
        rule_files: of a rule that is Python code: the files that may run, as a person has named them.
        before: what the gate saw before, as at work; it is not judged on. None: the trace is where it begins.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: no such gate, or the filter was learnt from other models than those of the trace.
    """
    if isinstance(gate, Path | str):
        gate = open_gate(gate, rule_files=rule_files, camera=camera_of(trace.path))
    if isinstance(gate, DifferenceGate) and trace.info.input != "image":
        raise InvalidInput(
            f"gate {gate.name}: compares pictures, and {trace.path} holds none: use every:K or random:RATE"
        )
    losses = losses_for(gate, trace)
    taken = _decide_all(gate, trace, progress, before)
    kept = np.asarray([decision.keep for decision in taken])
    spec = _spec_of(gate)
    answers = Answers(losses, trace.captured_s, held=losses.pairwise if spec is None else spec.held)
    reference, current = answers.references(kept), np.arange(len(trace))
    agreements = np.where(kept, 1.0, losses.agreements(reference, current))
    lost = answers.lost(kept)
    found = answers.outcome(kept)
    replay = _replay_of(trace, losses, spec)
    later = None if progress is None else lambda done, doing: progress(0.6 + 0.4 * done, doing)
    room = measure_room(replay, losses, accuracy=found.accuracy)
    learnt = _learnt_thresholds(gate, spec, trained_on)
    baselines = measure_baselines(replay, answers, kept=int(kept.sum()), learnt=learnt, progress=later)
    promises = _judge(gate, spec, trace, answers, kept, lost)
    if decisions is not None:
        _write_decisions(decisions, trace, losses, taken, reference, agreements, spec)
    return FilterEvaluation(
        gate=gate.name,
        rule=losses.rule.text,
        models=losses.models,
        inputs=len(trace),
        rate=1.0 - found.sent,
        accuracy=found.accuracy,
        accuracy_skipped=None if kept.all() else float(1.0 - lost[~kept].mean()),
        per_model=dict(zip(losses.models, agreements.mean(axis=1).tolist(), strict=True)),
        skill=None if kept.all() else room.skill(1.0 - found.sent),
        contract=worst_of(promises),
        promised=gate.accuracy,
        certified=isinstance(gate, FilterRuntime) and gate.certified,
        promises=promises,
        timed=trace.info.times != "order",
        events=found.events,
        by_thing=found.by_thing,
        baselines=baselines,
        ahead=tuple(each.name for each in baselines if not kept.all() and each.is_ahead(found)),
        warnings=() if spec is None else trace_warnings(spec.learnt_from, spec.certificate, trace, 1.0 - found.sent),
    )


def _judge(
    gate: Gate, spec: FilterSpec | None, trace: Trace, answers: Answers, kept: Array, lost: Array
) -> tuple[Promise, ...]:
    """What became of all that a gate promises: its accuracy, floors under it, and events."""
    dropped = answers.lost(np.arange(len(trace)) == 0)
    promises = [] if gate.accuracy is None else [judge_losses("accuracy", gate.accuracy, lost, dropped=dropped)]
    if spec is None:
        return tuple(promises)
    nothing = np.zeros(len(trace), bool)
    for floor in spec.floors:
        where = _where(floor, trace, answers.losses)
        where = nothing if where is None else where
        promises.append(judge_losses(floor.name, floor.least, lost, dropped=dropped, where=where))
    if spec.events is not None:
        within_s = spec.events.within_s
        name = "events sent" if within_s is None else f"events sent within {within_s:g} s"
        hits, events = answers.sent_within(kept, within_s)
        promises.append(judge_events(name, spec.events.recall, hits, events, answers.outcome(kept).events.clusters))
    return tuple(promises)


def _where(floor: FloorResult, trace: Trace, losses: Losses) -> Array | None:
    """The inputs of a trace that a floor is about: bool (inputs,); None if there are none."""
    try:
        masks = _floor_of(floor).on(trace, losses)
    except InvalidInput:  # nothing of it is here
        return None
    return next((mask.where for mask in masks if mask.name == floor.name), None)


def _floor_of(floor: FloorResult) -> Floor:
    """What was asked for, as it is told by what came of it."""
    if floor.name.startswith(_RECALL):
        return Recall(floor.name.removeprefix(_RECALL), floor.least)
    return Slices("hour" if floor.name.startswith("hour ") else "light", floor.least)


def _learnt_thresholds(gate: Gate, spec: FilterSpec | None, trained_on: Trace | None) -> dict[str, float]:
    """The free gates' thresholds on what the filter was learnt from."""
    if spec is None:
        return {}
    if trained_on is None:
        return spec.free
    kept = np.asarray([decision.keep for decision in _decide_all(gate, trained_on, None)])
    replay = _replay_of(trained_on, losses_for(gate, trained_on), spec)
    return fit_free(replay, 0, len(replay), float(1.0 - kept.mean()))


def _replay_of(trace: Trace, losses: Losses, spec: FilterSpec | None) -> Replay | Singles:
    if spec is None and trace.info.input != "image":
        return Unseen(trace.captured_s)
    if spec is None or spec.modality is None:
        return Replay(trace, pairwise=losses.pairwise)
    return Singles(trace, spec.modality)


def losses_for(gate: Gate, trace: Trace) -> Losses:
    """What a gate's decisions on a trace are judged by: its own rule on its own models, or `unchanged` on all.

    Raises:
        InvalidInput: it was learnt from other models than the trace's, or is judged in another way.
    """
    if isinstance(gate, TasksRuntime):
        tasks = ", ".join(f"{gate.path}#{model}" for model in gate.spec.models)
        raise InvalidInput(f"{gate.name} decides for several models: judge one at a time: {tasks}")
    if isinstance(gate, ReuseGate):
        raise InvalidInput(f"{gate.name} is a reuse file: judge it with `infilink evaluate reuse`")
    if isinstance(gate, LocalGate):
        raise InvalidInput(f"{gate.name} holds heads: judge it with `evaluate_heads`, or `infilink evaluate filter`")
    if not isinstance(gate, FilterRuntime):
        return Losses(trace, tuple(trace.models), Unchanged())
    spec = gate.spec
    missing = [model for model in spec.models if model not in trace.models]
    if missing:
        raise InvalidInput(
            f"{gate.name} was learnt from {', '.join(missing)}, which {trace.path} does not have "
            f"(it has {', '.join(trace.models)}): record a trace with the same models"
        )
    other = [model for model, known in spec.models.items() if trace.info.digests.get(model, "") != known]
    if other:
        raise InvalidInput(
            f"{gate.name} was learnt from other versions of {', '.join(other)} than {trace.path} was recorded with "
            "(their digests differ): train it again, or record with the models it was learnt from"
        )
    return Losses(trace, tuple(spec.models), gate.rule)


def _spec_of(gate: Gate) -> FilterSpec | None:
    return gate.spec if isinstance(gate, FilterRuntime) else None


def _decide_all(gate: Gate, trace: Trace, progress: Progress | None, before: Trace | None = None) -> list[Decision]:
    gate.reset()
    if before is not None:
        _decide(gate, before, part_of(progress, 0.0, 0.5))
        progress = part_of(progress, 0.5, 1.0)
    return _decide(gate, trace, progress)


def _decide(gate: Gate, trace: Trace, progress: Progress | None) -> list[Decision]:
    outputs = {model: trace.outputs(model) for model in trace.models}
    found = []
    for i, (frame, captured_s) in enumerate(zip(trace.inputs(), trace.captured_s, strict=True)):
        decision = gate.decide(frame, float(captured_s))
        found.append(decision)
        if decision.keep and decision.learn is not None:
            decision.learn(
                {model: ModelOutput(each[i], trace.info.digests.get(model, "")) for model, each in outputs.items()}
            )
        if progress is not None and i % 50 == 0:
            progress(0.5 * i / len(trace), "deciding")
    return found


def _write_decisions(
    path: Path,
    trace: Trace,
    losses: Losses,
    decisions: Sequence[Decision],
    reference: Array,
    agreements: Array,
    spec: FilterSpec | None,
) -> None:
    """Writes the table; the agreement of a skipped input is by the rule: 1 if it was redundant.

    Args:
        path: the CSV.
        trace: what was decided on.
        losses: whose models and rule count.
        decisions: one per input.
        reference: the last kept input, per input.
        agreements: per model and input.
        spec: the filter's; None for a free gate.
    """
    outputs = {model: trace.outputs(model) for model in losses.models}
    held = losses.pairwise if spec is None else spec.held
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for i, decision in enumerate(decisions):
            for row, model in enumerate(losses.models):
                output = trace.models[model].output
                true = served = outputs[model][i]
                if not decision.keep and held:
                    served = outputs[model][reference[i]]
                elif not decision.keep and spec is not None:
                    served = spec.answer(model, output)
                writer.writerow(
                    [
                        int(trace.sequences[i]),
                        f"{trace.captured_s[i]:.3f}",
                        model,
                        "" if decision.score is None else f"{decision.score:.6g}",
                        f"{decision.threshold:.6g}",
                        "keep" if decision.keep else "drop",
                        "executed" if decision.keep else "reused" if held else "skipped",
                        output.summary(served),
                        output.summary(true),
                        f"{agreements[row, i]:.4f}",
                    ]
                )

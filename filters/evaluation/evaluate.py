"""Judges a gate on a trace it was not learnt from: what it saved, what that cost, and what free gates would cost."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import InvalidInput
from ...files import replacing
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..gates.base import Decision, Gate
from ..gates.learned import FilterRuntime
from ..open_gate import open_gate
from ..rules.parser import Unchanged
from ..spec import FilterSpec
from ..training.losses import Losses
from ..training.replay import Replay, Singles
from .baselines import Baseline, measure_baselines

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
        contract: whether the accuracy that the filter promises was kept; "none" for a gate that promises nothing.
        promised: that accuracy.
        certified: whether it was promised with a certificate.
        baselines: free gates at the same rate.
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
    contract: Literal["kept", "broken", "none"]
    promised: float | None
    certified: bool
    baselines: tuple[Baseline, ...]


def evaluate_filter(
    gate: Gate | Path | str, trace: Trace, *, decisions: Path | None = None, progress: Progress | None = None
) -> FilterEvaluation:
    """Runs a gate (or the one that a text or a path names) over a trace.

    Args:
        gate: what to judge; a filter from a file is judged by its own rule, on its own models.
        trace: of the same models.
        decisions: where to write a CSV with a row per input and model.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: no such gate, or the filter was learnt from other models than those of the trace.
    """
    gate = open_gate(gate) if isinstance(gate, Path | str) else gate
    losses = _losses_for(gate, trace)
    gate.reset()
    taken = _decide_all(gate, trace, progress)
    kept = np.asarray([decision.keep for decision in taken])
    current = np.arange(len(trace))
    reference = np.maximum.accumulate(np.where(kept, current, 0))
    agreements = np.where(kept, 1.0, losses.agreements(reference, current))
    lost = np.where(kept, 0.0, losses.of(reference, current))
    rate, accuracy = float(1.0 - kept.mean()), float(1.0 - lost.mean())
    spec = _spec_of(gate)
    modality = None if spec is None else spec.modality
    replay = Replay(trace, pairwise=losses.pairwise) if modality is None else Singles(trace, modality)
    later = None if progress is None else lambda done, doing: progress(0.6 + 0.4 * done, doing)
    found = measure_baselines(replay, losses, rate=rate, accuracy=accuracy, progress=later)
    room = found.oracle_rate - found.random_rate
    if decisions is not None:
        _write_decisions(decisions, trace, losses, taken, reference, agreements, spec)
    return FilterEvaluation(
        gate=gate.name,
        rule=losses.rule.text,
        models=losses.models,
        inputs=len(trace),
        rate=rate,
        accuracy=accuracy,
        accuracy_skipped=None if kept.all() else float(1.0 - lost[~kept].mean()),
        per_model=dict(zip(losses.models, agreements.mean(axis=1).tolist(), strict=True)),
        skill=(rate - found.random_rate) / room if room > 0.01 and not kept.all() else None,
        contract="none" if gate.accuracy is None else "kept" if accuracy >= gate.accuracy else "broken",
        promised=gate.accuracy,
        certified=isinstance(gate, FilterRuntime) and gate.certified,
        baselines=found.at_rate,
    )


def _losses_for(gate: Gate, trace: Trace) -> Losses:
    spec = _spec_of(gate)
    if spec is None:
        return Losses(trace, tuple(trace.models), Unchanged())
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
    return Losses(trace, tuple(spec.models), spec.parsed_rule)


def _spec_of(gate: Gate) -> FilterSpec | None:
    return gate.spec if isinstance(gate, FilterRuntime) else None


def _decide_all(gate: Gate, trace: Trace, progress: Progress | None) -> list[Decision]:
    found = []
    for i, (frame, captured_s) in enumerate(zip(trace.inputs(), trace.captured_s, strict=True)):
        found.append(gate.decide(frame, float(captured_s)))
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
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for i, decision in enumerate(decisions):
            for row, model in enumerate(losses.models):
                output = trace.models[model].output
                true = served = outputs[model][i]
                if not decision.keep and losses.pairwise:
                    served = outputs[model][reference[i]]
                elif not decision.keep and spec is not None:
                    served = spec.answer(model, output)
                writer.writerow(
                    [
                        int(trace.sequences[i]),
                        f"{trace.captured_s[i]:.3f}",
                        model,
                        f"{decision.score:.6g}",
                        f"{decision.threshold:.6g}",
                        "keep" if decision.keep else "drop",
                        "executed" if decision.keep else "reused" if losses.pairwise else "skipped",
                        output.summary(served),
                        output.summary(true),
                        f"{agreements[row, i]:.4f}",
                    ]
                )

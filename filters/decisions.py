"""Every decision of a gate as a CSV, one row per input and model, for whoever wants to see for themselves."""

import csv
from collections.abc import Sequence
from pathlib import Path

from ..outputs import Array
from ..trace import Trace
from .gates import Decision
from .losses import Losses
from .spec import FilterSpec

COLUMNS = (
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


def write_decisions(
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
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    outputs = {model: trace.outputs(model) for model in losses.models}
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
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
    beside.replace(path)

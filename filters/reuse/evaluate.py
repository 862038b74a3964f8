"""Judges a reuse file on a trace it was not learnt from, live: its cache begins empty."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...trace import Trace
from .runtime import ReuseRuntime


@dataclass(frozen=True)
class ReuseEvaluation:
    """How a reuse file did.

    Attributes:
        inputs: how many there are.
        rate: the share that was answered without the model.
        accuracy: mean agreement with what the model said, over all inputs; an executed one is 1.
        accuracy_answered: the same over what was answered; None if nothing was.
        promised: the accuracy that the file promises.
        contract: whether it was kept.
        majority_accuracy: of always giving the commonest result there.
    """

    inputs: int
    rate: float
    accuracy: float
    accuracy_answered: float | None
    promised: float
    contract: Literal["kept", "broken"]
    majority_accuracy: float


def evaluate_reuse(path: Path, trace: Trace) -> ReuseEvaluation:
    """Runs it over the trace's inputs in their order; what it does not answer is executed, and learnt.

    Raises:
        InvalidInput: it was learnt from another model, or another version of it.
    """
    runtime = ReuseRuntime(path)
    spec = runtime.spec
    if spec.model not in trace.models or trace.info.digests.get(spec.model, "") != spec.digest:
        raise InvalidInput(
            f"{path}: was learnt from another version of {spec.model} than {trace.path} has: train again"
        )
    outputs, output = trace.outputs(spec.model), spec.output
    agreements = np.ones(len(trace))
    kept = np.ones(len(trace), bool)
    for i, (value, at) in enumerate(zip(trace.inputs(), trace.captured_s, strict=True)):
        decision = runtime.decide(value, float(at))
        kept[i] = decision.keep
        if decision.keep:
            runtime.learn(value if decision.ticket is None else decision.ticket, outputs[i], float(at))
        else:
            assert decision.answer is not None, "what is not kept is answered"
            agreements[i] = output.agreement(decision.answer, outputs[i])
    runtime.close()
    commonest = max((sum(output.agreement(a, b) for b in outputs) for a in _distinct(outputs)), default=0.0)
    accuracy = float(agreements.mean())
    return ReuseEvaluation(
        inputs=len(trace),
        rate=float(1.0 - kept.mean()),
        accuracy=accuracy,
        accuracy_answered=None if kept.all() else float(agreements[~kept].mean()),
        promised=spec.accuracy,
        contract="kept" if accuracy >= spec.accuracy else "broken",
        majority_accuracy=commonest / len(trace),
    )


def _distinct(outputs: list[Array], most: int = 32) -> list[Array]:
    """The commonest outputs, of at most so many different ones."""
    known: dict[bytes, list[int]] = {}
    for index, each in enumerate(outputs):
        known.setdefault(np.round(each, 2).tobytes(), []).append(index)
    return [outputs[found[0]] for found in sorted(known.values(), key=len, reverse=True)[:most]]

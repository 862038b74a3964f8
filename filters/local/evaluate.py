"""Judges light answers on a trace they were not learnt from: how many models need not run, and what that costs."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...files import replacing
from ...outputs import Array
from ...reporting import Progress
from ...traces.events import score_events
from ...traces.trace import Trace
from ..evaluation.baselines import measure_baselines, measure_room
from ..evaluation.evaluate import FilterEvaluation
from ..evaluation.outcome import Answers, Outcome
from ..evaluation.verdict import judge_losses, trace_warnings, worst_of
from ..exits.gate import ExitGate
from ..exits.spec import ExitSpec
from ..gates.base import Decision
from ..rules.parser import Unchanged
from ..training.losses import Losses
from ..training.replay import Replay
from .gate import LocalGate
from .spec import HeadSpec

_COLUMNS = ("sequence", "captured_s", "model", "decision", "origin", "confidence", "served", "true", "agreement")


def evaluate_heads(
    gate: LocalGate | ExitGate, trace: Trace, *, decisions: Path | None = None, progress: Progress | None = None
) -> FilterEvaluation:
    """Runs what answers lightly (heads, or an exit) over a trace, beside free gates with which models run as often.

    What is "sent" is the share of the inputs that a model has to look at, the mean over the models that are answered
    for. Free gates hold each model's last answer.

    Args:
        gate: the file at work.
        trace: of the same models.
        decisions: where to write a CSV with a row per input and model.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the heads were learnt from other models than those of the trace.
    """
    models = tuple(gate.answering)
    certificates = [each.certificate for each in _answering(gate)]
    _check(gate, trace)
    losses = Losses(trace, models, Unchanged())
    taken = _decide_all(gate, trace, progress)
    exact = {model: trace.outputs(model) for model in models}
    answered = np.stack([[model in decision.answers for decision in taken] for model in models])
    served = {
        model: [_served(decision, model, value) for decision, value in zip(taken, exact[model], strict=True)]
        for model in models
    }
    agreements = np.stack([_agreements(trace, model, served[model], exact[model]) for model in models])
    held = Answers(losses, trace.captured_s, held=True)
    stated = losses.states(served)
    found = Outcome(
        sent=float(1.0 - answered.mean()),
        accuracy=float(agreements.mean()),
        events=score_events(held.events, losses.truth, stated, trace.captured_s),
        by_thing={
            what: score_events({what: events}, {what: losses.truth[what]}, {what: stated[what]}, trace.captured_s)
            for what, events in held.events.items()
            if events or stated[what].any()
        },
    )
    replay = Replay(trace, pairwise=True)
    later = None if progress is None else lambda done, doing: progress(0.6 + 0.4 * done, doing)
    room = measure_room(replay, losses, accuracy=found.accuracy)
    baselines = measure_baselines(replay, held, kept=round(found.sent * len(trace)), learnt={}, progress=later)
    promises = [
        judge_losses(f"agreement with {model}", gate.spec.accuracy, 1.0 - row)
        for model, row in zip(models, agreements, strict=True)
    ]
    if decisions is not None:
        _write(decisions, trace, taken, served, agreements)
    certificate = certificates[0]
    return FilterEvaluation(
        gate=gate.name,
        rule="light answers",
        models=models,
        inputs=len(trace),
        rate=1.0 - found.sent,
        accuracy=found.accuracy,
        accuracy_skipped=float(agreements[answered].mean()) if answered.any() else None,
        per_model=dict(zip(models, agreements.mean(axis=1).tolist(), strict=True)),
        skill=room.skill(1.0 - found.sent) if answered.any() else None,
        contract=worst_of(promises),
        promised=gate.accuracy,
        certified=all(certificate.certified for certificate in certificates),
        promises=tuple(promises),
        timed=trace.info.times != "order",
        events=found.events,
        by_thing=found.by_thing,
        baselines=baselines,
        ahead=tuple(each.name for each in baselines if answered.any() and each.is_ahead(found)),
        warnings=(
            *_always_sent(gate, trace),
            *trace_warnings(gate.spec.learnt_from, certificate, trace, float(answered[0].mean())),
        ),
    )


def _answering(gate: LocalGate | ExitGate) -> list[HeadSpec | ExitSpec]:
    """Of each model that is answered for, what the file says of that."""
    return list(gate.answering.values())


def _always_sent(gate: LocalGate | ExitGate, trace: Trace) -> tuple[str, ...]:
    """That a device sends every input after all, where a model's head never answers."""
    asked = [model for model in trace.models if model not in gate.answering]
    if not asked:
        return ()
    return (
        f"nothing here answers for {', '.join(asked)}: a device that wants these models, too, sends every input for "
        "them (`models` in device.toml, or a filter for these)",
    )


def _check(gate: LocalGate | ExitGate, trace: Trace) -> None:
    known = gate.answering
    missing = [model for model in known if model not in trace.models]
    if missing:
        raise InvalidInput(
            f"{gate.name} was learnt from {', '.join(missing)}, which {trace.path} does not have "
            f"(it has {', '.join(trace.models)}): record a trace with the same models"
        )
    other = [model for model, head in known.items() if trace.info.digests.get(model, "") != head.digest]
    if other:
        raise InvalidInput(
            f"{gate.name} was learnt from other versions of {', '.join(other)} than {trace.path} was recorded with "
            "(their digests differ): train it again, or record with the models it was learnt from"
        )


def _decide_all(gate: LocalGate | ExitGate, trace: Trace, progress: Progress | None) -> list[Decision]:
    gate.reset()
    found = []
    for i, (frame, captured_s) in enumerate(zip(trace.frames(), trace.captured_s, strict=True)):
        found.append(gate.decide(frame, float(captured_s)))
        if progress is not None and i % 50 == 0:
            progress(0.5 * i / len(trace), "answering")
    return found


def _served(decision: Decision, model: str, exact: Array) -> Array:
    answer = decision.answers.get(model)
    return exact if answer is None or answer.value is None else answer.value


def _agreements(trace: Trace, model: str, served: Sequence[Array], exact: Sequence[Array]) -> Array:
    output = trace.models[model].output
    return np.asarray([output.agreement(a, b) for a, b in zip(served, exact, strict=True)])


def _write(
    path: Path, trace: Trace, taken: Sequence[Decision], served: dict[str, list[Array]], agreements: Array
) -> None:
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        exact = {model: trace.outputs(model) for model in served}
        for i, decision in enumerate(taken):
            for row, model in enumerate(served):
                output, answer = trace.models[model].output, decision.answers.get(model)
                writer.writerow(
                    [
                        int(trace.sequences[i]),
                        f"{trace.captured_s[i]:.3f}",
                        model,
                        "ask" if answer is None else "answer",
                        "executed" if answer is None else answer.origin,
                        "" if answer is None else f"{answer.confidence:.4f}",
                        output.summary(served[model][i]),
                        output.summary(exact[model][i]),
                        f"{agreements[row, i]:.4f}",
                    ]
                )

"""Judges an exit on a trace it was not learnt from, beside what costs nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...outputs import Array
from ...reporting import Progress
from ...traces.events import Event, EventScore, events_of, score_events
from ...traces.trace import Trace
from ..evaluation.baselines import Baseline
from ..evaluation.evaluate import FilterEvaluation
from ..local.evaluate import evaluate_heads
from ..rules.parser import Unchanged
from ..training.losses import Losses
from .gate import ExitGate
from .mapping import ClassMap

_SEED = 0


class PartTrace(Trace):
    """A trace of which one model's boxes are looked at only as far as an exit speaks of their classes.

    Args:
        path: the trace.
        model: the model's name.
        classes: the exit's.
        start: the input that it begins with.
    """

    def __init__(self, path: Path, model: str, classes: ClassMap, *, start: int = 0) -> None:
        super().__init__(path, start=start)
        self.model = model
        self.classes = classes

    def outputs(self, model: str) -> list[Array]:
        """The outputs of a model for every input."""
        found = super().outputs(model)
        return [self.classes.part(value) for value in found] if model == self.model else found


def evaluate_exit(
    gate: ExitGate, path: Path, *, start: int = 0, decisions: Path | None = None, progress: Progress | None = None
) -> FilterEvaluation:
    """Runs an exit over a trace, beside free gates that send as much, and the small model alone.

    Args:
        gate: the exit at work.
        path: a trace of the big model.
        start: the input of it to begin with.
        decisions: where to write a CSV with a row per input.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: it was learnt from another model than that of the trace.
    """
    model = gate.spec.model
    with PartTrace(path, model, gate.spec.classes, start=start) as trace:
        found = evaluate_heads(gate, trace, decisions=decisions, progress=progress)
        gate.reset()
        looked = [gate.look(frame) for frame in trace.frames()]
        exact = trace.outputs(model)
        local = [answer for _, answer in looked]
        agreements = np.asarray([_agreement(gate.spec.classes, a, b) for a, b in zip(local, exact, strict=True)])
        kept = round((1.0 - found.rate) * len(exact))
        drawn = np.random.default_rng(_SEED).permutation(len(exact)) < kept
        events = _Events(trace, model)
        answered = [b if a is None else a for a, b in zip(local, exact, strict=True)]
        mixed = [b if goes_up else a for goes_up, a, b in zip(drawn, answered, exact, strict=True)]
        alone = Baseline("small model alone", 1.0, float(agreements.mean()), "nothing goes up", events.of(answered))
        at_random = Baseline(
            "small model, random goes up",
            1.0 - kept / len(exact),
            float(np.where(drawn, 1.0, agreements).mean()),
            "one draw",
            events.of(mixed),
        )
        what = "" if gate.spec.classes.is_whole else f" ({', '.join(gate.spec.classes.names)})"
        return replace(found, rule=f"early exit{what}", baselines=(*found.baselines, alone, at_random))


class _Events:
    """The events of a trace, and what answers find of them."""

    def __init__(self, trace: Trace, model: str) -> None:
        self.losses = Losses(trace, (model,), Unchanged())
        self.model = model
        self.captured_s = trace.captured_s
        self.events: dict[str, list[Event]] = {
            what: events_of(what, there, trace.captured_s) for what, there in self.losses.truth.items()
        }

    def of(self, answers: Sequence[Array]) -> EventScore:
        """What these answers find."""
        stated = self.losses.states({self.model: list(answers)})
        return score_events(self.events, self.losses.truth, stated, self.captured_s)


def _agreement(classes: ClassMap, answer: Array | None, exact: Array) -> float:
    return 0.0 if answer is None else classes.agreement(answer, exact)

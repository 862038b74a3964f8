"""What becomes of one input: the gate decides, the audit may draw it, and what need not be sent is answered at once."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..filters.gates.base import Decision, Gate, Learn, ModelOutput, Substitute
from ..outputs import Array, OutputSpec
from ..protos.tracing import InputTrace, part, within
from .auditor import Asked
from .camera.watch import CameraWatch, Condition
from .held_answers import HeldAnswers
from .messages import KeptInput
from .packet_watch import PacketWatch
from .promise import Promise
from .result_rows import InputRow, ResultRow
from .sources.base import Input
from .uplink.payload_encoder import PayloadEncoder

logger = logging.getLogger(__name__)

_TIMES = 10_000
# A gate that fails on so many inputs one after another is taken to fail on all; so many pass before the share counts.
_FAILING = 20
_BURST = 50
_STABLE = Condition()


class OpenShare:
    """What passes while nobody can say what is worth it: everything at first, then a share of the inputs.

    Args:
        share: of the inputs; above 0, at most 1.
        burst: so many pass at once.
    """

    def __init__(self, share: float, *, burst: int = _BURST) -> None:
        self.share = share
        self.burst = burst
        self._left = float(burst)

    def takes(self) -> bool:
        """Whether the next input passes."""
        self._left = min(self._left + self.share, float(self.burst))
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def refill(self) -> None:
        """Everything passes again at first."""
        self._left = float(self.burst)


@dataclass(frozen=True)
class Decided:
    """What becomes of an input.

    Attributes:
        row: the decision.
        answers: the results of the models that need not run on it.
        kept: it, with all that was decided, if it is to be sent; None: it is not.
    """

    row: InputRow
    answers: tuple[ResultRow, ...]
    kept: KeptInput | None


class Decider:
    """Decides on the inputs of one stream, in their order.

    Args:
        gate: says which are worth it.
        promise: what it promises, and the audit of that.
        encoder: says what of an input the gate looks at.
        deadline_s: how long after its capture an answer is of use; 0: always.
        open_share: which share of the inputs passes where the gate can't decide: it fails on all of them, or the camera
            does not see what it saw.
        camera: watches the camera; None: nobody does, or the inputs are no pictures.
        clock_ns: Unix time, for the deadlines of inputs.
        captured_ns: when an input was captured, as Unix time; None: now.
        packets: watches the packet gate; None: there is none.

    Attributes:
        inputs: how many were decided on.
        failed: on how many of them the gate failed, which it or this then kept.
        failing: whether it failed on all of the last ones.
        unsure: how many were decided on while the camera was not stable.
        changes: how often the camera was no longer stable.
        light_answers: how many answers the gate gave by itself.
        started: when the run began, by `time.perf_counter`.
        outputs: what the coordinator's models return.
    """

    def __init__(
        self,
        gate: Gate,
        promise: Promise,
        encoder: PayloadEncoder,
        *,
        deadline_s: float = 0.0,
        open_share: float = 1.0,
        camera: CameraWatch | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        captured_ns: Callable[[Input], int] | None = None,
        packets: PacketWatch | None = None,
    ) -> None:
        self.gate = gate
        self.packets = packets
        self.promise = promise
        self.encoder = encoder
        self.deadline_s = deadline_s
        self.clock_ns = clock_ns
        self.captured_ns = captured_ns
        self.camera = camera
        self.inputs = self.light_answers = 0
        self.outputs: dict[str, OutputSpec] = {}
        self.failed = self._failed_last = 0
        self.unsure = self.changes = 0
        self._condition = _STABLE
        self._seen_view = 0
        self._open = OpenShare(open_share)
        self.started = time.perf_counter()
        # The newest input that the models ran on: the reference of the inputs after it.
        self._reference: int | None = None
        # By the coordinator's models; before these are known what the gate keeps is sent to all of them.
        self._substitutes: dict[str, Substitute] = {}
        self._level, self._stands = "", True
        self._held = HeldAnswers()
        self._is_known = False
        self._decide_s: deque[float] = deque(maxlen=_TIMES)

    def serve(self, outputs: Mapping[str, OutputSpec]) -> dict[str, Substitute]:
        """Takes note of the coordinator's models; returns what the gate answers instead of each."""
        self.outputs, self._is_known = dict(outputs), True
        self._held.serve(outputs)
        if self.packets is not None:
            self.packets.serve(outputs)
        return self._ask()

    def close(self) -> None:
        """Keeps what outlives the agent."""
        if self.camera is not None:
            self.camera.close()

    def swap(self, gate: Gate, promise: Promise, *, digest: str = "") -> dict[str, Substitute]:
        """Goes on with another gate: nothing that the one before referred to is of use to it.

        Returns what it answers instead of each of the coordinator's models.

        Args:
            gate: it.
            promise: what it promises; its audit begins here.
            digest: its file's; empty: it has none.
        """
        self.gate, self.promise, self._reference = gate, promise, None
        # What it promises is taken to be of what the camera sees now.
        if self.camera is not None:
            self._condition = self.camera.begin_here(digest)
        self._seen_view = 0
        self._failed_last = 0
        return self._ask()

    def ease(self, level: str, *, stands: bool) -> None:
        """Takes note of how much is left out from now on.

        Args:
            level: by the governor; it stands in every input's row; empty: nothing is.
            stands: whether what the gate says of its answers holds all the same. Otherwise they are not trusted. Its
                audit pauses while anything is left out: what it promises is not what is done then.
        """
        self._level, self._stands = level, stands
        self._ask()

    def leave_out(self, taken: Input) -> Decided | None:
        """Answers an input that nobody decides on by what is known; None: nothing is, so it is to be decided on."""
        if self._reference is None and any(each.value is None for each in self._substitutes.values()):
            return None
        row = self._row(taken, Decision(False), 0.0, kept=False)
        held = {
            name: Substitute("reused") if self._reference is not None else each
            for name, each in self._substitutes.items()
        }
        return Decided(row, tuple(self._answers(taken, held)), None)

    def decide(self, taken: Input, trace: InputTrace | None) -> Decided:
        """Decides on an input.

        Args:
            taken: the input.
            trace: measures its way; None: nobody looks at it.

        Raises:
            ModelFailed: a model that the gate needs failed on it.
        """
        gate_input = self.encoder.gate_input(taken.value)
        self._look(taken)
        started = time.perf_counter()
        with within(trace), part("gate"):
            decision = self._gate(gate_input, taken.captured_s)
        decide_s = time.perf_counter() - started
        self._decide_s.append(decide_s)
        sure = self._is_stable and not self.failing
        chosen = self._chosen(decision) if sure or decision.keep else dict.fromkeys(self._substitutes, Substitute())
        # With no earlier answer to refer to, every model has to run.
        if self._reference is None and any(each.value is None for each in chosen.values()):
            chosen = {}
        kept = len(chosen) < len(self._substitutes) if self._is_known else decision.keep
        asked = Asked()
        if sure and not self._level:
            asked = self.promise.take(
                taken.sequence,
                chosen,
                kept=kept,
                reference=self._reference,
                captured_s=taken.captured_s,
                image=taken.value,
            )
        audited = asked.probability > 0
        row = self._row(taken, decision, decide_s, kept=kept or audited, probability=asked.probability)
        if self.packets is not None:
            self._held.take(taken.sequence, chosen, self._reference, kept=kept)
            if taken.choice is not None:
                self.packets.take(taken.sequence, taken.choice, chosen, self._reference, kept=row.kept)
        if not row.kept:
            return Decided(row, tuple(self._answers(taken, chosen)), None)
        if decision.keep or not audited:
            self._reference = taken.sequence
        answers = tuple(self._answers(taken, {} if audited else chosen))
        captured_ns = self.clock_ns() if self.captured_ns is None else self.captured_ns(taken)
        deadline_ns = self.clock_ns() + round(self.deadline_s * 1e9) if self.deadline_s else 0
        learn = None if decision.learn is None else partial(self._learn, decision.learn, self._condition)
        kept_input = KeptInput(
            taken, row, answers, deadline_ns, asked.exact, learn, decision.features, trace, captured_ns
        )
        return Decided(row, answers, kept_input)

    def hold(self, taken: Input) -> Decided:
        """What becomes of an input that was not decoded: the last answers stand in for its own."""
        assert self.packets is not None and taken.choice is not None, "only a packet gate leaves inputs out"
        decision = Decision(False, taken.choice.score, taken.choice.threshold)
        row = self._row(taken, decision, 0.0, kept=False)
        rows = self._held.rows(taken, self.packets.confidences(), trusted=self.packets.trusted and self._is_stable)
        return Decided(row, rows, None)

    def fail(self, taken: Input) -> InputRow:
        """The row of an input that a model failed on before it could be decided on."""
        return self._row(taken, Decision(True), 0.0, kept=True)

    @property
    def failing(self) -> bool:
        """Whether the gate failed on all of the last inputs."""
        return self._failed_last >= _FAILING

    @property
    def _is_stable(self) -> bool:
        """Whether the camera sees what it saw, as far as is known."""
        return self._condition.state == "stable"

    def reported(self) -> dict[str, Any]:
        """What a Report says of the camera, and of a gate that fails."""
        failed = {"gate_failed": self.failed, "gate_failing": self.failing}
        return {"camera": self._condition.text, "camera_changes": self.changes, **failed}

    def counts(self) -> dict[str, Any]:
        """The same for a Summary."""
        return {"gate_failed": self.failed, "camera_changes": self.changes, "camera_unsure": self.unsure}

    def times_ms(self, *percentiles: float) -> list[float]:
        """Percentiles of the time that a decision took lately."""
        return [float(value) for value in np.percentile(np.asarray(self._decide_s or [0.0]) * 1000, percentiles)]

    def _ask(self) -> dict[str, Substitute]:
        """Asks the gate what it answers instead of each of the coordinator's models."""
        self._substitutes = {name: self.gate.substitute(name, output) for name, output in self.outputs.items()}
        return self._substitutes

    def _look(self, taken: Input) -> None:
        """Looks at the camera; where it is stable again the gate starts anew."""
        if self.camera is None:
            return
        try:
            before, now = self._condition, self.camera.see(taken.value, taken.captured_s)
        except Exception:  # whatever it is: a camera that nobody watches costs less than a stream that ends
            logger.exception("the camera can't be watched any more")
            self.camera, self._condition = None, _STABLE
            return
        self._condition = now
        self.unsure += now.state != "stable"
        if before.state == now.state:
            return
        if before.state == "stable":
            self.changes += 1
            self._open.refill()
            self.promise.forget()
        elif now.state == "stable":
            # Nothing before is of use: neither the reference that inputs were compared with nor, in another view, any
            # result of an earlier input.
            self._reference = None
            if now.view == self._seen_view:
                self.gate.reset()
                return
            self._seen_view = now.view
            self.gate.rebase()
            self.promise.rebase(first_view=now.view == 0)

    def _gate(self, value: Array, captured_s: float) -> Decision:
        """What the gate decides; everything passes, up to a share, where it can't."""
        if not self._is_stable:
            return Decision(self._open.takes())
        try:
            decision = self.gate.decide(value, captured_s)
        except Exception:  # whatever it is: an input too many costs less than one that is lost
            if not self.failed:
                logger.exception("%s failed on an input, which is kept (told once)", self.gate.name)
            decision = Decision(True, failed=True)
        if not decision.failed:
            if self.failing:
                logger.warning("%s decides again", self.gate.name)
            self._failed_last = 0
            return decision
        self.failed += 1
        self._failed_last += 1
        if self._failed_last == _FAILING:
            self._open.refill()
            logger.warning(
                "%s fails on every input: everything passes, up to %.0f %% of the inputs; the others are answered by "
                "the last one that passed, and not certified",
                self.gate.name,
                100 * self._open.share,
            )
        return Decision(self._open.takes(), failed=True) if self.failing else decision

    def _learn(self, learn: Learn, then: Condition, outputs: Mapping[str, ModelOutput]) -> None:
        """Learns from an input unless the camera has changed since, or may have; from the uplink's thread."""
        if self._condition is then and (self.camera is None or not self.camera.doubted):
            learn(outputs)

    def _chosen(self, decision: Decision) -> dict[str, Substitute]:
        """The models that need not run on an input, each with its substitute."""
        names = decision.answers if decision.keep else self._substitutes
        return {
            name: decision.answers.get(name) or self._substitutes[name] for name in names if name in self._substitutes
        }

    def _row(
        self, taken: Input, decision: Decision, decide_s: float, *, kept: bool, probability: float = 0.0
    ) -> InputRow:
        self.inputs += 1
        return InputRow(
            sequence=taken.sequence,
            captured_s=taken.captured_s,
            kept=kept,
            score=decision.score,
            threshold=decision.threshold,
            decide_s=decide_s,
            decided_s=time.perf_counter() - self.started,
            audit_probability=probability,
            level=self._level,
            camera="" if self._is_stable else self._condition.state,
        )

    def _answers(self, taken: Input, substitutes: dict[str, Substitute]) -> list[ResultRow]:
        """The results of the models that do not run on an input."""
        self.light_answers += sum(each.origin == "local" for each in substitutes.values())
        stands, moved = self._stands and self._is_stable, self.promise.moved
        proven = stands and self.promise.proven
        return [
            ResultRow(
                model=model,
                sequence=taken.sequence,
                captured_s=taken.captured_s,
                origin=substitute.origin,
                confidence=substitute.confidence if stands else 0.0,
                trusted=stands and ((substitute.trusted and not moved) or (proven and substitute.confidence > 0.0)),
                # Unlike what a model of this device says of itself, such an answer is a prediction.
                sources=substitute.sources,
                reference=self._reference if substitute.value is None else None,
                value=substitute.value,
            )
            for model, substitute in substitutes.items()
        ]

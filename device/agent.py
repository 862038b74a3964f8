"""The agent: takes frames from a source, sends those that are worth it, and knows every frame's results."""

import logging
import threading
import time
import uuid
from collections import deque
from typing import Any

import numpy as np

from ..errors import InvalidInput, ModelFailed
from ..filters.audit import AuditReport
from ..filters.gates import Decision, Gate, Learn, Unsent
from ..filters.open_gate import open_gate
from ..models import ModelSpec
from ..outputs import OutputSpec
from ..protos import edge_pb2
from .answers import ran, result_row
from .auditor import Auditor
from .capture import Capture
from .config import DeviceConfig
from .results_file import InputRow, ResultRow, ResultsFile
from .sender import Sender, open_sender
from .sources import Frame, is_live
from .summary import Summary, peak_rss_bytes
from .uplink import Uplink

logger = logging.getLogger(__name__)

_TIMES = 10_000
_POLICIES = {"all": edge_pb2.POLICY_ALL, "latest": edge_pb2.POLICY_LATEST}


class Agent:
    """Runs one device until its source ends or `stop` is called."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.stopped = threading.Event()
        self._counts = dict.fromkeys(("frames", "kept", "answered", "dropped", "refused"), 0)
        self._captured_s: dict[int, float] = {}
        self._decide_s: deque[float] = deque(maxlen=_TIMES)
        self._reference: int | None = None
        self._auditor: Auditor | None = None
        self._started = 0.0
        self._unsent: dict[str, Unsent] = {}
        self._learn: dict[int, Learn] = {}
        self._results: ResultsFile | None = None
        self._sender: Sender
        self._failed = 0
        self._uplink = Uplink(config, session=uuid.uuid4().hex, on_answer=self._on_answer, report=self.report)

    def stop(self) -> None:
        """Ends the capture; the answers to what was sent are still waited for."""
        self.stopped.set()

    def run(self) -> Summary:
        """Captures, decides, sends, and waits for the last answer.

        Raises:
            InvalidInput: the source, the gate, the head or the results file is not what it should be.
            Unavailable: nobody answers, or the answers ended.
        """
        gate = open_gate(self.config.gate, cache=self.config.cache)
        self._sender = open_sender(self.config.head, gate, quality=self.config.quality)
        if self.config.results is not None:
            self._results = ResultsFile(self.config.results, anew=not is_live(self.config.source))
        first = self._results.next_sequence if self._results else 0
        frames = iter(Capture(self.config, self.stopped, first=first))
        try:
            frame = next(frames, None)
            if frame is None and not self.stopped.is_set():
                raise InvalidInput(f"source {self.config.source}: gave no frame")
            specs = {name: ModelSpec.model_validate_json(text) for name, text in self._uplink.start().specs.items()}
            self._sender.check(specs)
            self._unsent = {name: gate.unsent(name, spec.output) for name, spec in specs.items()}
            self._auditor = self._make_auditor(gate, {name: spec.output for name, spec in specs.items()})
            self._started = time.perf_counter()
            while frame is not None:
                self._counts["frames"] += 1
                try:
                    self._take(frame, gate)
                except ModelFailed as error:
                    self._fail(frame, error)
                frame = next(frames, None)
            self._uplink.finish()
            self._sender.tell()
            wall_s = time.perf_counter() - self._started
        finally:
            self._uplink.close()
            gate.close()
            if self._results is not None:
                self._results.close()
        return self._summary(wall_s)

    def report(self) -> edge_pb2.Report:
        """The counts as they travel."""
        return edge_pb2.Report(
            frames=self._counts["frames"],
            kept=self._counts["kept"],
            dropped=self._counts["dropped"],
            sent_bytes=self._uplink.sent_bytes,
            received_bytes=self._uplink.received_bytes,
            memory_bytes=peak_rss_bytes(),
        )

    def _take(self, frame: Frame, gate: Gate) -> None:
        """One frame's way: decided, and sent or answered at once."""
        seen = self._sender.seen(frame.image)
        started = time.perf_counter()
        decision = gate.decide(seen, frame.captured_s)
        decide_s = time.perf_counter() - started
        self._decide_s.append(decide_s)
        unsent = self._answered_here(decision)
        # Without an answer to refer to there is nothing to save.
        if self._reference is None and any(each.value is None for each in unsent.values()):
            unsent = {}
        audited = 0.0
        if self._auditor is not None:
            audited = self._auditor.take(
                frame.sequence, unsent, kept=len(unsent) < len(self._unsent), reference=self._reference
            )
        if audited or len(unsent) < len(self._unsent):
            self._send(frame, decision, decide_s, {} if audited else unsent, audited=audited)
        elif self._results is not None:
            self._results.add_input(self._row(frame, decision, decide_s, 0), self._answers(frame, unsent))

    def _answered_here(self, decision: Decision) -> dict[str, Unsent]:
        """The models that need not look at an input, and how they are answered for."""
        names = decision.answers if decision.keep else self._unsent
        return {name: decision.answers.get(name) or self._unsent[name] for name in names if name in self._unsent}

    def _send(
        self, frame: Frame, decision: Decision, decide_s: float, unsent: dict[str, Unsent], *, audited: float
    ) -> None:
        """Sends a frame to the models that are to look at it; the others are answered for as `unsent` says."""
        payload = self._sender.payload(frame.image)
        deadline_ns = time.time_ns() + round(self.config.deadline_s * 1e9) if self.config.deadline_s else 0
        message = edge_pb2.Input(
            sequence=frame.sequence,
            captured_ns=round(frame.captured_s * 1e9),
            deadline_ns=deadline_ns,
            encoding=self._sender.encoding,
            payload=payload,
            policy=_POLICIES[self.config.policy],
            audit=audited > 0,
            models=[name for name in self._unsent if name not in unsent] if unsent else (),
        )
        self._counts["kept"] += 1
        if decision.keep or not audited:
            self._reference = frame.sequence
        self._captured_s[frame.sequence] = frame.captured_s
        if decision.learn is not None:
            self._learn[frame.sequence] = decision.learn
        if self._results is not None:
            row = self._row(frame, decision, decide_s, message.ByteSize(), audited)
            self._results.add_input(row, self._answers(frame, unsent))
        for sequence in self._uplink.offer(message, self.stopped):
            self._counts["dropped"] += 1
            self._captured_s.pop(sequence, None)
            self._learn.pop(sequence, None)
            if self._results is not None:
                self._results.add_refused(sequence, "dropped")

    def _fail(self, frame: Frame, error: ModelFailed) -> None:
        """A frame that the head on this device failed on: there is nothing to send, and nobody to answer it."""
        if not self._failed:
            logger.warning("%s (told once; such frames count as refused)", error)
        # Counted apart: the other refusals are counted by the uplink's thread.
        self._failed += 1
        self._counts["kept"] += 1
        if self._results is not None:
            self._results.add_input(self._row(frame, Decision(True, 0.0, 0.0), 0.0, 0))
            self._results.add_refused(frame.sequence, str(error))

    def _row(
        self, frame: Frame, decision: Decision, decide_s: float, sent_bytes: int, audited: float = 0.0
    ) -> InputRow:
        return InputRow(
            sequence=frame.sequence,
            captured_s=frame.captured_s,
            kept=sent_bytes > 0,
            score=decision.score,
            threshold=decision.threshold,
            decide_s=decide_s,
            decided_s=time.perf_counter() - self._started,
            sent_bytes=sent_bytes,
            audit_probability=audited,
        )

    def _answers(self, frame: Frame, answered: dict[str, Unsent]) -> list[ResultRow]:
        """The answers of the models that do not look at a frame."""
        return [
            ResultRow(
                model=model,
                sequence=frame.sequence,
                captured_s=frame.captured_s,
                origin=unsent.origin,
                confidence=unsent.confidence,
                trusted=unsent.trusted,
                reference=self._reference if unsent.value is None else None,
                value=unsent.value,
            )
            for model, unsent in answered.items()
        ]

    def _on_answer(self, answer: Any) -> None:
        """A Result or Refused came; called from the uplink's thread."""
        captured_s = self._captured_s.pop(answer.sequence, 0.0)
        learn = self._learn.pop(answer.sequence, None)
        received_s = time.perf_counter() - self._started
        if isinstance(answer, edge_pb2.Refused):
            self._counts["refused"] += 1
            if self._results is not None:
                self._results.add_refused(answer.sequence, answer.message)
            return
        self._counts["answered"] += 1
        rows = [result_row(answer.sequence, captured_s, output) for output in answer.outputs]
        if self._results is not None:
            self._results.add_results(answer.sequence, received_s, rows)
        if learn is not None:
            learn(ran(answer, rows))
        if self._auditor is not None:
            values = {row.model: row.value for row in rows if row.value is not None}
            if self._auditor.answered(answer, values):
                self._tell_alarm(self._auditor.report())

    def _make_auditor(self, gate: Gate, outputs: dict[str, OutputSpec]) -> Auditor | None:
        """The live audit of a gate that promises something."""
        if gate.accuracy is None or not self.config.audit:
            return None
        learnt = {name: output for name, output in outputs.items() if self._unsent[name].confidence}
        return Auditor(self.config.audit, 1.0 - gate.accuracy, learnt)

    def _tell_alarm(self, report: AuditReport) -> None:
        if report.broken:
            logger.warning(
                "%s loses more than the %.3f it promised: everything is sent until it does not (train it again)",
                self.config.gate,
                report.target,
            )
        else:
            logger.warning("%s keeps its promise again", self.config.gate)

    def _summary(self, wall_s: float) -> Summary:
        audit = self._auditor.report() if self._auditor is not None else None
        times = np.asarray(self._decide_s or [0.0]) * 1000
        return Summary(
            **(self._counts | {"refused": self._counts["refused"] + self._failed}),
            sent_bytes=self._uplink.sent_bytes,
            received_bytes=self._uplink.received_bytes,
            connections=self._uplink.connections,
            wall_s=wall_s,
            fps=self._counts["frames"] / max(wall_s, 1e-9),
            decide_p50_ms=float(np.percentile(times, 50)),
            decide_p99_ms=float(np.percentile(times, 99)),
            peak_rss_bytes=peak_rss_bytes(),
            audited=audit.audited if audit is not None else 0,
            audit_error=audit.error if audit is not None else None,
            audit_upper_bound=audit.upper_bound if audit is not None and audit.audited else None,
            alarms=audit.alarms if audit is not None else 0,
        )

"""The agent: takes frames from a source, sends those that are worth it, and knows every frame's results."""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping

import numpy as np

from ..errors import InvalidInput, ModelFailed
from ..filters.gates.audit import AuditReport
from ..filters.gates.base import Decision, Gate, ModelOutput, Substitute
from ..filters.online.gate import OnlineGate
from ..filters.online.live import LiveStats
from ..filters.open_gate import open_gate
from ..outputs import Array, OutputSpec
from ..protos import edge_pb2
from .auditor import Auditor
from .capture import Capture
from .config import DeviceConfig, settled
from .exchange import Exchange
from .local_models import open_local
from .messages import Kept
from .results import InputRow, ResultRow, ResultsFile
from .sources.open import Frame, is_live
from .summary import Summary, peak_rss_bytes
from .uplink.payloads import Sender, open_sender

logger = logging.getLogger(__name__)

_TIMES = 10_000


class Agent:
    """Runs one device until its source ends or `stop` is called."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.stopped = threading.Event()
        self._frames = 0
        self._decide_s: deque[float] = deque(maxlen=_TIMES)
        self._reference: int | None = None
        self._auditor: Auditor | None = None
        self._unsent: dict[str, Substitute] = {}
        self._results: ResultsFile | None = None
        self._sender: Sender
        self._exchange: Exchange

    def stop(self) -> None:
        """Ends the capture; the answers to what was sent are still waited for."""
        self.stopped.set()

    def run(self) -> Summary:
        """Captures, decides, sends, and waits for the last answer.

        Raises:
            InvalidInput: the source, the gate, a model of this device, the placement or the results file is not what it
                should be.
            ModelFailed: a model of this device does not start.
            Unavailable: nobody answers, or the answers ended.
        """
        config = settled(self.config)
        gate = open_gate(config.gate, cache=config.cache, update=config.live_update)
        self._sender = open_sender(config.head, gate, quality=config.quality)
        local = open_local(config)
        if config.results is not None:
            self._results = ResultsFile(config.results, anew=not is_live(config.source))
        first = self._results.next_sequence if self._results else 0
        self._exchange = Exchange(
            config,
            session=uuid.uuid4().hex,
            sender=self._sender,
            local=local,
            results=self._results,
            report=self.report,
            on_answer=self._on_answer,
        )
        frames = iter(Capture(config, self.stopped, first=first))
        try:
            frame = next(frames, None)
            if frame is None and not self.stopped.is_set():
                raise InvalidInput(f"source {config.source}: gave no frame")
            outputs = {name: spec.output for name, spec in self._exchange.open(self.stopped).items()}
            self._unsent = {name: gate.substitute(name, output) for name, output in outputs.items()}
            self._auditor = self._make_auditor(gate, outputs)
            while frame is not None:
                self._frames += 1
                try:
                    self._take(frame, gate)
                except ModelFailed as error:
                    self._exchange.fail(self._row(frame, Decision(True, 0.0, 0.0), 0.0, kept=True), error)
                frame = next(frames, None)
            self._exchange.finish()
            wall_s = time.perf_counter() - self._exchange.started
            return self._summary(wall_s, gate.stats() if isinstance(gate, OnlineGate) else LiveStats())
        finally:
            self._exchange.close()
            gate.close()
            if self._results is not None:
                self._results.close()

    def report(self) -> edge_pb2.Report:
        """The counts as they travel."""
        exchange = self._exchange
        return edge_pb2.Report(
            frames=self._frames,
            kept=exchange.counts["kept"],
            dropped=exchange.counts["dropped"],
            sent_bytes=exchange.uplink.sent_bytes,
            received_bytes=exchange.uplink.received_bytes,
            memory_bytes=peak_rss_bytes() + exchange.local.memory_bytes(),
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
        kept = audited > 0 or len(unsent) < len(self._unsent)
        row = self._row(frame, decision, decide_s, kept=kept, audited=audited)
        if kept:
            if decision.keep or not audited:
                self._reference = frame.sequence
            answers = tuple(self._answers(frame, {} if audited else unsent))
            deadline_ns = time.time_ns() + round(self.config.deadline_s * 1e9) if self.config.deadline_s else 0
            exact = audited > 0 or decision.asks
            self._exchange.send(Kept(frame, row, answers, deadline_ns, exact, decision.learn))
        elif self._results is not None:
            self._results.add_input(row, self._answers(frame, unsent))

    def _answered_here(self, decision: Decision) -> dict[str, Substitute]:
        """The models that need not look at an input, and how they are answered for."""
        names = decision.answers if decision.keep else self._unsent
        return {name: decision.answers.get(name) or self._unsent[name] for name in names if name in self._unsent}

    def _row(self, frame: Frame, decision: Decision, decide_s: float, *, kept: bool, audited: float = 0.0) -> InputRow:
        return InputRow(
            sequence=frame.sequence,
            captured_s=frame.captured_s,
            kept=kept,
            score=decision.score,
            threshold=decision.threshold,
            decide_s=decide_s,
            decided_s=time.perf_counter() - self._exchange.started,
            audit_probability=audited,
        )

    def _answers(self, frame: Frame, answered: dict[str, Substitute]) -> list[ResultRow]:
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

    def _on_answer(self, sequence: int, values: Mapping[str, Array], exact: Mapping[str, ModelOutput]) -> None:
        """An input's answers came; called from the uplink's thread."""
        if self._auditor is not None and self._auditor.answered(sequence, values, exact):
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

    def _summary(self, wall_s: float, live: LiveStats) -> Summary:
        audit = self._auditor.report() if self._auditor is not None else None
        times = np.asarray(self._decide_s or [0.0]) * 1000
        exchange = self._exchange
        exchange.local.memory_bytes()
        return Summary(
            frames=self._frames,
            **exchange.counts,
            sent_bytes=exchange.uplink.sent_bytes,
            received_bytes=exchange.uplink.received_bytes,
            connections=exchange.uplink.connections,
            wall_s=wall_s,
            fps=self._frames / max(wall_s, 1e-9),
            decide_p50_ms=float(np.percentile(times, 50)),
            decide_p99_ms=float(np.percentile(times, 99)),
            peak_rss_bytes=peak_rss_bytes(),
            local=exchange.local.stats(),
            audited=audit.audited if audit is not None else 0,
            audit_error=audit.error if audit is not None else None,
            audit_upper_bound=audit.upper_bound if audit is not None and audit.audited else None,
            alarms=audit.alarms if audit is not None else 0,
            asked=live.asked,
            labelled=live.labelled,
            updates=live.updates,
            updates_failed=live.failed,
        )

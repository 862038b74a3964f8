"""One run of one stream: takes inputs from its source, sends those that are worth it, and knows the results of each."""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial

import numpy as np

from ..errors import InvalidInput, ModelFailed, Unavailable
from ..filters.gates.base import Decision, Gate, ModelOutput, Substitute
from ..filters.local.state import Learning, Learnt
from ..filters.open_gate import open_gate
from ..filters.serves import can_judge, check_form, check_serves
from ..filters.terms import Terms, terms_of
from ..models.inputs.form import PICTURES, InputForm
from ..outputs import Array, OutputSpec
from ..protos import edge_pb2
from ..protos.tracing import InputTrace, Tracing, part, within
from .auditor import Asked, Auditor
from .capture import Capture
from .config import DeviceConfig, apply_placement
from .exchange import Exchange
from .learnt_rate import LearntRate
from .local_models import open_local
from .mask import Mask
from .messages import KeptInput
from .results import InputRow, ResultRow, ResultsFile
from .sources.base import Input
from .summary import Summary, peak_rss_bytes
from .uplink.features import open_features
from .uplink.payloads import PayloadEncoder, open_encoder

logger = logging.getLogger(__name__)

_TIMES = 10_000
_STEM = "stem"


class StreamRun:
    """Runs one stream until its source ends or `stop` is called.

    Args:
        config: its settings.
        name: what it is called; empty: it is the device's only one.
        tracing: measures single inputs' ways; None: nobody looks at them.
        clock_ns: Unix time, for the deadlines of inputs.

    Attributes:
        stopped: whether the capture is to end.
        connected: whether the coordinator has answered yet.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        name: str = "",
        tracing: Tracing | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config
        self.name = name
        self.tracing = tracing
        self.clock_ns = clock_ns
        self.stopped = threading.Event()
        self.connected = False
        self._inputs = self._light_answers = 0
        self._decide_s: deque[float] = deque(maxlen=_TIMES)
        # The newest input that the models ran on: the reference of the inputs after it.
        self._reference: int | None = None
        self._terms: Terms | None = None
        self._auditor: Auditor | None = None
        self._learning: Learning | None = None
        # By the coordinator's models.
        self._substitutes: dict[str, Substitute] = {}
        self._results: ResultsFile | None = None
        self._capture: Capture | None = None
        self._exchange: Exchange | None = None
        self._encoder: PayloadEncoder
        self._mask = Mask(config.mask)

    def stop(self) -> None:
        """Ends the capture, also where the source gives nothing; the answers to what was sent are still waited for.

        Before anybody has answered nothing is: then it ends at once. From any thread.
        """
        self.stopped.set()
        if self._capture is not None:
            self._capture.stop()
        if self._exchange is not None and not self.connected:
            self._exchange.uplink.close()

    def run(self) -> Summary:
        """Captures, decides and sends until the source ends, and waits for the last answer.

        Raises:
            InvalidInput: the source, the gate, a model of this device, the placement or the results file can't be used.
            ModelFailed: a model of this device does not start.
            Unavailable: nobody answers, or the answers ended.
        """
        config = apply_placement(self.config)
        with ExitStack() as stack:
            rule_files = () if config.rule_file is None else (config.rule_file,)
            # As links know it, and `record --camera` can call it.
            camera = f"{config.name}.{self.name}" if self.name else config.name
            gate = open_gate(
                config.gate, cache=config.cache, update=config.update, rule_files=rule_files, camera=camera
            )
            stack.callback(gate.close)
            self._learning = gate if isinstance(gate, Learning) else None
            self._terms = terms_of(gate)
            self._tell_terms()
            capture = Capture(config, self.stopped, stays=bool(self.name))
            self._capture = capture
            stack.callback(capture.close)
            capture.open()
            if config.results is not None:
                anew = not capture.live
                self._results = stack.enter_context(ResultsFile(config.results, anew=anew, stream=self.name))
                capture.first = self._results.next_sequence
            exchange = self._run(config, gate, capture, stack)
            exchange.finish()
            wall_s = time.perf_counter() - exchange.started
            return self._summary(exchange, wall_s, Learnt() if self._learning is None else self._learning.learnt())

    def report(self) -> edge_pb2.Report:
        """The stream's counts, as the coordinator is sent them."""
        exchange = self._exchange
        if exchange is None:
            return edge_pb2.Report(memory_bytes=peak_rss_bytes())
        audit = self._auditor.report() if self._auditor is not None else None
        return edge_pb2.Report(
            frames=self._inputs,
            kept=exchange.counts["kept"],
            dropped=exchange.counts["dropped"],
            sent_bytes=exchange.uplink.sent_bytes,
            received_bytes=exchange.uplink.received_bytes,
            memory_bytes=peak_rss_bytes() + exchange.local.memory_bytes(),
            uncertified=self._terms is not None and not self._is_certified(),
            audited=audit.audited if audit is not None else 0,
            audit_blocks=audit.blocks if audit is not None else 0,
            audit_error=audit.error if audit is not None else None,
            audit_broken=audit is not None and audit.broken,
            rate_far=audit.rate_far if audit is not None else "",
            clock_behind_s=exchange.uplink.clock_behind_s,
            **asdict(exchange.travelled),
        )

    def _run(self, config: DeviceConfig, gate: Gate, capture: Capture, stack: ExitStack) -> Exchange:
        """The capture loop, from the source's first input to its last; connects once there is a first input."""
        # Closed at once whatever happens: a source that is left to the interpreter's end complains there.
        with closing(iter(LearntRate(capture, gate))) as inputs:
            taken = next(inputs, None)
            if taken is None:
                if self.stopped.is_set():
                    raise Unavailable("stopped before the first input")
                raise InvalidInput(f"source {config.source_name}: gave no input")
            exchange = self._open_exchange(config, gate, capture.form or PICTURES)
            stack.callback(exchange.close)
            self._exchange = exchange
            if self.stopped.is_set():
                raise Unavailable("stopped before it was connected")
            outputs = {name: spec.output for name, spec in exchange.open(self.stopped).items()}
            self.connected = True
            self._substitutes = {name: gate.substitute(name, output) for name, output in outputs.items()}
            self._auditor = self._make_auditor(exchange, gate, outputs)
            while taken is not None:
                self._inputs += 1
                try:
                    self._take(taken, gate, exchange)
                except ModelFailed as error:
                    exchange.fail(self._row(taken, Decision(True), 0.0, exchange.started, kept=True), error)
                taken = next(inputs, None)
        return exchange

    def _open_exchange(self, config: DeviceConfig, gate: Gate, form: InputForm) -> Exchange:
        """What sends the inputs of a source that gives such ones.

        Raises:
            InvalidInput: gate, models or settings are not for them.
        """
        check_form(gate, form)
        self._mask.check(form)
        self._encoder = open_encoder(config.head, gate, quality=config.quality, form=form, encoding=config.encoding)
        return Exchange(
            config,
            session=uuid.uuid4().hex,
            encoder=self._encoder,
            stream=self.name,
            form=form,
            features=open_features(config, gate, form),
            local=open_local(config, form),
            results=self._results,
            report=self.report,
            on_answer=self._take_answer,
            check_served=partial(check_serves, gate),
            on_unanswered=self._miss_answer,
            clock_ns=self.clock_ns,
        )

    def _take(self, taken: Input, gate: Gate, exchange: Exchange) -> None:
        """Decides on one input, and sends it or answers it at once."""
        trace = self._begin_trace(taken)
        value = self._mask.apply(taken.value)
        if value is not taken.value:
            taken = replace(taken, value=value)
        gate_input = self._encoder.gate_input(value)
        started = time.perf_counter()
        with within(trace), part("gate"):
            decision = gate.decide(gate_input, taken.captured_s)
        decide_s = time.perf_counter() - started
        self._decide_s.append(decide_s)
        chosen = self._chosen(decision)
        # With no earlier answer to refer to, every model has to run.
        if self._reference is None and any(each.value is None for each in chosen.values()):
            chosen = {}
        kept = len(chosen) < len(self._substitutes)
        asked = Asked()
        if self._auditor is not None:
            asked = self._auditor.take(
                taken.sequence,
                chosen,
                kept=kept,
                reference=self._reference,
                captured_s=taken.captured_s,
                image=value,
            )
        audited = asked.probability > 0
        kept = kept or audited
        row = self._row(taken, decision, decide_s, exchange.started, kept=kept, probability=asked.probability)
        if not row.kept:
            answered = self._answers(taken, chosen)
            if self._results is not None:
                self._results.add_input(row, answered)
            if trace is not None:
                trace.end(answer="not sent")
            return
        if decision.keep or not audited:
            self._reference = taken.sequence
        answers = tuple(self._answers(taken, {} if audited else chosen))
        deadline_ns = self.clock_ns() + round(self.config.deadline_s * 1e9) if self.config.deadline_s else 0
        exchange.send(
            KeptInput(taken, row, answers, deadline_ns, asked.exact, decision.learn, decision.features, trace)
        )

    def _begin_trace(self, taken: Input) -> InputTrace | None:
        if self.tracing is None:
            return None
        # A live input's time is the monotonic clock's at its arrival; others have none but their own.
        waited_s = (
            max(0.0, time.monotonic() - taken.captured_s) if self._capture is not None and self._capture.live else 0.0
        )
        told: dict[str, str | float] = {"sequence": taken.sequence, "captured_s": taken.captured_s}
        if self.name:
            told["stream"] = self.name
        start_ns = self.clock_ns() - round(waited_s * 1e9)
        return self.tracing.begin("frame", start_ns=start_ns, device=self.config.name, **told)

    def _chosen(self, decision: Decision) -> dict[str, Substitute]:
        """The models that need not run on an input, each with its substitute."""
        names = decision.answers if decision.keep else self._substitutes
        return {
            name: decision.answers.get(name) or self._substitutes[name] for name in names if name in self._substitutes
        }

    def _row(
        self,
        taken: Input,
        decision: Decision,
        decide_s: float,
        started: float,
        *,
        kept: bool,
        probability: float = 0.0,
    ) -> InputRow:
        return InputRow(
            sequence=taken.sequence,
            captured_s=taken.captured_s,
            kept=kept,
            score=decision.score,
            threshold=decision.threshold,
            decide_s=decide_s,
            decided_s=time.perf_counter() - started,
            audit_probability=probability,
        )

    def _answers(self, taken: Input, substitutes: dict[str, Substitute]) -> list[ResultRow]:
        """The results of the models that do not run on an input."""
        self._light_answers += sum(each.origin == "local" for each in substitutes.values())
        proven = self._learning is not None and self._learning.changed and self._is_certified()
        return [
            ResultRow(
                model=model,
                sequence=taken.sequence,
                captured_s=taken.captured_s,
                origin=substitute.origin,
                confidence=substitute.confidence,
                trusted=substitute.trusted or (proven and substitute.confidence > 0.0),
                # Unlike what a model of this device says, a head's answer is a prediction.
                sources=(_STEM,) if substitute.origin == "local" else (),
                reference=self._reference if substitute.value is None else None,
                value=substitute.value,
            )
            for model, substitute in substitutes.items()
        ]

    def _is_certified(self) -> bool:
        """Whether what the gate promises is proven: by its file, or by the audit once it has learnt on."""
        certified = self._terms is not None and self._terms.certified
        changed = self._learning is not None and self._learning.changed
        return certified and (not changed or (self._auditor is not None and self._auditor.shown))

    def _take_answer(self, sequence: int, values: Mapping[str, Array], exact: Mapping[str, ModelOutput]) -> None:
        """An input's answer came; called from the uplink's thread."""
        if self._auditor is not None:
            self._auditor.answered(sequence, values, exact)

    def _miss_answer(self, sequence: int) -> None:
        """An input will have no answer; called from any thread."""
        if self._auditor is not None:
            self._auditor.unanswered(sequence)

    def _make_auditor(self, exchange: Exchange, gate: Gate, outputs: dict[str, OutputSpec]) -> Auditor | None:
        """The live audit of a gate that promises something."""
        if self._terms is None or not self.config.audit:
            return None
        if exchange.inputs_stay:
            logger.warning(
                '%s: `send = "features"`: no model looks at a frame, so nothing is audited', self.config.gate
            )
            return None
        if not can_judge(gate):
            logger.warning(
                "%s: its rule is Python code, so nothing is audited: name its file as `rule_file`", self.config.gate
            )
            return None
        learnt = {name: output for name, output in outputs.items() if self._substitutes[name].confidence}
        return Auditor(self.config.gate, self.config.audit, self._terms, gate.lost, learnt)

    def _tell_terms(self) -> None:
        """Says what nothing proves."""
        if self._terms is not None and not self._terms.certified:
            logger.warning(
                "%s is NOT certified %s: %s. Its answers are marked as uncalibrated",
                self.config.gate,
                self._terms.text,
                self._terms.reason,
            )

    def _summary(self, exchange: Exchange, wall_s: float, learnt: Learnt) -> Summary:
        audit = self._auditor.report() if self._auditor is not None else None
        times = np.asarray(self._decide_s or [0.0]) * 1000
        exchange.local.memory_bytes()
        return Summary(
            frames=self._inputs,
            **exchange.counts,
            sent_bytes=exchange.uplink.sent_bytes,
            received_bytes=exchange.uplink.received_bytes,
            connections=exchange.uplink.connections,
            travelled=exchange.travelled,
            wall_s=wall_s,
            fps=self._inputs / max(wall_s, 1e-9),
            decide_p50_ms=float(np.percentile(times, 50)),
            decide_p99_ms=float(np.percentile(times, 99)),
            peak_rss_bytes=peak_rss_bytes(),
            local=exchange.local.stats(),
            certified=self._terms.certified if self._terms is not None else None,
            audited=audit.audited if audit is not None else 0,
            audit_blocks=audit.blocks if audit is not None else 0,
            audit_error=audit.error if audit is not None else None,
            audit_upper_bound=audit.upper_bound if audit is not None and audit.blocks else None,
            alarms=audit.alarms if audit is not None else 0,
            rate_far=audit.rate_far if audit is not None else "",
            parts=audit.parts if audit is not None else (),
            events=audit.events if audit is not None else None,
            light_answers=self._light_answers,
            learnt=learnt.inputs,
            better=learnt.better,
            worse=learnt.worse,
        )

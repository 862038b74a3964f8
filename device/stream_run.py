"""One run of one stream: takes inputs from its source, sends those that are worth it, and knows the results of each."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace

from ..errors import InvalidInput, ModelFailed, Unavailable
from ..filters.gates.base import ModelOutput
from ..models.inputs.form import PICTURES, InputForm
from ..models.spec import ModelSpec
from ..outputs import Array
from ..protos import edge_pb2
from ..protos.tracing import InputTrace, Tracing
from .camera.watch import open_watch
from .capture import Capture
from .config import DeviceConfig, apply_placement
from .deciding import Decider
from .decode_budget import DecodeBudget
from .exchange import Exchange
from .figures import report_of, summary_of
from .filter_change import FilterChange
from .footprint import Footprint
from .gate_swap import Fresh, GateSwap
from .governor.easing import Easing
from .governor.governor import Governor
from .governor.sensors import Readings
from .learnt_rate import LearntRate
from .local_models import open_local
from .mask import Mask
from .packet_watch import PacketWatch, open_watched
from .promise import Promise
from .pulse import Pulse
from .result_log import ResultLog
from .rolled_out import RolledOut
from .sinks.delivery import Delivery
from .sinks.open_sinks import OpenSinks
from .sinks.stream_sinks import logs_of
from .sources.base import Input
from .spooling import go_on, kept_view, open_spool
from .summary import Summary
from .uplink.features import open_features
from .uplink.payloads import open_encoder
from .uplink.spool import Spool
from .uplink.travelling import Travelling


class StreamRun:
    """Runs one stream until its source ends or `stop` is called.

    Args:
        config: its settings.
        name: what it is called; empty: it is the device's only one.
        sinks: the device's, of which its settings name some; None: it opens its own.
        tracing: measures single inputs' ways; None: nobody looks at them.
        governor: says how much is to be left out; None: nothing ever is.
        memory_bytes: what this stream takes of the agent's memory.
        clock_ns: Unix time, for the deadlines of inputs.
        budget: shares the time for decoding among the device's streams; None: this is the only one.
        rolled_out: the filters that came from the coordinator; None: those that lie where its settings say.

    Attributes:
        stopped: whether the capture is to end.
        connected: whether the coordinator has answered yet.
        pulse: whether the capture loop gets on.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        name: str = "",
        sinks: OpenSinks | None = None,
        tracing: Tracing | None = None,
        governor: Governor | None = None,
        memory_bytes: Callable[[], int] | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        budget: DecodeBudget | None = None,
        rolled_out: RolledOut | None = None,
    ) -> None:
        kept = rolled_out or RolledOut(config.filters.folder, name)
        self._filters = FilterChange(name, config, kept, counts=self._counts)
        self.budget = DecodeBudget() if budget is None else budget
        self.name = name
        self.sinks = OpenSinks() if sinks is None else sinks
        self.tracing = tracing
        self.governor = governor
        self.memory_bytes = memory_bytes or Footprint().size_bytes
        self.clock_ns = clock_ns
        self.stopped = threading.Event()
        self.connected = False
        self.pulse = Pulse()
        self._swap: GateSwap | None = None
        self._results: ResultLog | None = None
        self._delivery: Delivery | None = None
        self._capture: Capture | None = None
        self._exchange: Exchange | None = None
        self._decider: Decider | None = None
        self._packets: PacketWatch | None = None
        self._promise: Promise
        self._easing: Easing | None = None
        self._mask = Mask(config.mask)
        self._audits = False

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
            stack.callback(self._filters.close)
            self._swap = swap = self._filters.open()
            stack.callback(swap.close)
            self._promise = Promise(swap.gate, swap.config.gate, audit=config.audit)
            self._promise.tell()
            capture, self._packets = open_watched(
                config, self.stopped, stays=bool(self.name), budget=self.budget, stack=stack
            )
            self._capture = capture
            capture.open()
            self.pulse.capturing = True
            spool = open_spool(config, self.name, live=capture.live)
            if spool is not None:
                stack.callback(spool.close)
            logs = stack.enter_context(logs_of(config, self.name, self.sinks, spool, live=capture.live))
            self._results, self._delivery = logs.log, logs.delivery
            go_on(capture, spool, config, logs.file)
            exchange, decider = self._run(config, swap, capture, spool, stack)
            exchange.finish()
            if spool is not None and not self.stopped.is_set() and not spool.waiting().count:
                spool.change_session(ended=not capture.live)
            return summary_of(
                exchange,
                decider,
                self._promise,
                wall_s=time.perf_counter() - exchange.started,
                left_out=self._easing.level.left_out if self._easing is not None else 0,
                packets=self._packets.report() if self._packets is not None else None,
            )

    def report(self) -> edge_pb2.Report:
        """The stream's counts, as the coordinator is sent them."""
        exchange, decider = self._exchange, self._decider
        if exchange is None or decider is None:
            return edge_pb2.Report(memory_bytes=self.memory_bytes())
        return report_of(
            exchange,
            decider,
            self._promise,
            memory_bytes=self.memory_bytes(),
            level=self._easing.level if self._easing is not None else None,
            readings=self.governor.readings if self.governor is not None else Readings(),
            gate=(self.gate, self._swap.digest if self._swap is not None else ""),
            filters=self._filters.state(),
            packets=self._packets.report() if self._packets is not None else None,
        )

    def _run(
        self, config: DeviceConfig, swap: GateSwap, capture: Capture, spool: Spool | None, stack: ExitStack
    ) -> tuple[Exchange, Decider]:
        """The capture loop, from the source's first input to its last; connects once there is a first input.

        With a spool it connects at once, as there may be inputs of an earlier run.
        """
        # Closed at once whatever happens: a source that is left to the interpreter's end complains there.
        rate = LearntRate(capture, swap.gate)
        with closing(iter(rate)) as inputs:
            taken = None
            if spool is None:
                taken = next(inputs, None)
                if taken is None:
                    if self.stopped.is_set():
                        raise Unavailable("stopped before the first input")
                    raise InvalidInput(f"source {config.source_name}: gave no input")
            exchange, decider = self._open_exchange(config, swap, capture.form or PICTURES, spool)
            stack.callback(decider.close)
            stack.callback(exchange.close)
            self._exchange, self._decider = exchange, decider
            if self.stopped.is_set() and spool is None:
                raise Unavailable("stopped before it was connected")
            self.connected = spool is not None
            self._serve(exchange.open(self.stopped), exchange, decider)
            self.connected = True
            decider.started = exchange.started
            # A recording that is read as fast as can be has time.
            governed = config.governor.on and (config.pace == "source" or capture.live)
            governor = self.governor if governed else None
            easing = Easing(governor, config.governor, decider, exchange, asks=config.send == "ask")
            self._easing = easing
            stack.enter_context(easing.joined(self.name))
            if spool is not None:
                taken = next(inputs, None)
                if taken is None and not (self.stopped.is_set() or capture.begins):
                    raise InvalidInput(f"source {config.source_name}: gave no input")
            while taken is not None:
                news = exchange.take_news()
                if news is not None:
                    self._serve(news, exchange, decider)
                with self.pulse.at_work():
                    fresh = swap.take()
                    if fresh is not None:
                        self._use(fresh, decider, exchange)
                        rate.use(fresh.gate)
                    self._take(taken, decider, exchange)
                taken = next(inputs, None)
        return exchange, decider

    def _serve(self, specs: Mapping[str, ModelSpec] | None, exchange: Exchange, decider: Decider) -> None:
        """Takes note of the coordinator's models; None: they are not known yet."""
        outputs = {name: spec.output for name, spec in (specs or {}).items()}
        if self._delivery is not None:
            self._delivery.begin(outputs)
        if specs is None:
            return
        substitutes = decider.serve(outputs)
        if not self._audits:
            self._audits = True
            self._promise.audit(outputs, substitutes, inputs_stay=exchange.inputs_stay)

    @property
    def config(self) -> DeviceConfig:
        """Its settings: those that it began with, or that its gate was turned to since."""
        return self._filters.own

    @property
    def gate(self) -> str:
        """What decides, by its name or its file."""
        return self.config.gate if self._swap is None else self._swap.config.gate

    @property
    def linked(self) -> bool:
        """Whether the coordinator is there now."""
        return self._exchange is not None and self._exchange.uplink.connected

    @property
    def inputs(self) -> int:
        """How many inputs there were so far."""
        return 0 if self._decider is None else self._decider.inputs

    def look(self) -> None:
        """Looks whether the gate's file has changed; called about once a second, from any thread."""
        if self._exchange is not None and self._swap is not None:
            self._swap.look()
            self._filters.look(self._promise)

    def turn(self, config: DeviceConfig) -> bool:
        """Goes on with other settings that differ in `GATE_KEYS` alone, if that can be tried now; from any thread."""
        return self._exchange is not None and self._swap is not None and self._filters.turn(config)

    def _counts(self) -> tuple[int, int]:
        """How many inputs there were so far, and how many of them were kept."""
        return self.inputs, 0 if self._exchange is None else self._exchange.counts["kept"]

    # Not the promise's own, as the gate may be replaced, and its promise with it.
    def _answered(self, sequence: int, values: Mapping[str, Array], exact: Mapping[str, ModelOutput]) -> None:
        self._promise.answered(sequence, values, exact)
        if self._packets is not None:
            self._packets.answered(sequence, values)

    def _unanswered(self, sequence: int) -> None:
        self._promise.unanswered(sequence)
        if self._packets is not None:
            self._packets.unanswered(sequence)

    def _use(self, fresh: Fresh, decider: Decider, exchange: Exchange) -> None:
        """Goes on with another gate, whose audit begins anew: what was seen of the one before says nothing of it."""
        promise = Promise(fresh.gate, fresh.config.gate, audit=fresh.config.audit)
        promise.tell()
        substitutes = decider.swap(fresh.gate, promise, digest=fresh.digest)
        # Else it begins once the coordinator's models are known.
        if self._audits:
            promise.audit(decider.outputs, substitutes, inputs_stay=exchange.inputs_stay)
        self._promise = promise
        self._filters.used()
        if self._easing is not None:
            self._easing.use(fresh.gate)

    def _open_exchange(
        self, config: DeviceConfig, swap: GateSwap, form: InputForm, spool: Spool | None
    ) -> tuple[Exchange, Decider]:
        """What sends the inputs of a source that gives such ones, and what decides on them.

        Raises:
            InvalidInput: gate, models or settings are not for them.
        """
        gate, features = swap.gate, open_features(config, swap.gate, form)
        swap.begin(form, features.digest if features is not None and features.from_gate else "")
        self._mask.check(form)
        Travelling(config.picture).check(form, head=config.head is not None)
        encoder = open_encoder(
            config.head,
            gate,
            quality=config.quality,
            form=form,
            encoding=config.encoding,
            video=config.video,
        )
        decider = Decider(
            gate,
            self._promise,
            encoder,
            deadline_s=config.deadline_s,
            packets=self._packets,
            open_share=config.open_share,
            camera=open_watch(config.camera, form, kept_view(spool, swap.digest)),
            clock_ns=self.clock_ns,
            captured_ns=self._captured_ns,
        )
        exchange = Exchange(
            config,
            session=uuid.uuid4().hex,
            encoder=encoder,
            stream=self.name,
            form=form,
            features=features,
            local=open_local(config, form),
            results=self._results,
            spool=spool,
            report=self.report,
            on_answer=self._answered,
            check_served=self._filters.check_served,
            on_unanswered=self._unanswered,
            on_filter=self._filters.take,
            clock_ns=self.clock_ns,
        )
        return exchange, decider

    def _take(self, taken: Input, decider: Decider, exchange: Exchange) -> None:
        """Decides on one input, and sends it or answers it at once."""
        if self._packets is not None and self._capture is not None:
            self._packets.spend(*self._capture.decode_times(), taken)
        if not taken.decoded:
            self._see(taken, None)
            held = decider.hold(taken)
            exchange.pass_by(held.row, held.answers)
            return
        assert self._easing is not None, "known before the first input"
        if not self._easing.level.takes():
            left_out = decider.leave_out(taken)
            if left_out is not None:
                self._see(taken, None)
                exchange.pass_by(left_out.row, left_out.answers)
                return
        trace = self._begin_trace(taken)
        value = self._mask.apply(taken.value)
        if value is not taken.value:
            taken = replace(taken, value=value)
        self._see(taken, value)
        try:
            decided = decider.decide(taken, trace)
        except ModelFailed as error:
            exchange.fail(decider.fail(taken), error)
            return
        if decided.kept is not None:
            # Where it is to wait for room, the coordinator may take its time.
            spool = exchange.spool
            waits = self.config.queue == "all" or (spool is not None and spool.when_full == "block_source")
            with self.pulse.waiting() if waits else nullcontext():
                exchange.send(decided.kept)
            return
        exchange.pass_by(decided.row, decided.answers)
        if trace is not None:
            trace.end(answer="not sent")

    def _see(self, taken: Input, value: Array | None) -> None:
        """Shows the sinks what comes, masked; None: nothing of it."""
        if self._delivery is not None:
            self._delivery.see(taken.sequence, taken.captured_s, self._captured_ns(taken) / 1e9, value)

    def _begin_trace(self, taken: Input) -> InputTrace | None:
        if self.tracing is None:
            return None
        told: dict[str, str | float] = {"sequence": taken.sequence, "captured_s": taken.captured_s}
        if self.name:
            told["stream"] = self.name
        return self.tracing.begin("frame", start_ns=self._captured_ns(taken), device=self.config.name, **told)

    def _captured_ns(self, taken: Input) -> int:
        """When an input was captured, as Unix time; of a recording the present."""
        if self._capture is None or not self._capture.live:
            return self.clock_ns()
        # A live input's time is the monotonic clock's at its arrival.
        return self.clock_ns() - round(max(0.0, time.monotonic() + self._capture.offset_s - taken.captured_s) * 1e9)

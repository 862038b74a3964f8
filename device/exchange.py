"""What happens to the inputs that are kept: models here run on them, they are sent, and their answers come back."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput, ModelFailed
from ..filters.gates.base import Learn, ModelOutput
from ..filters.serves import Served
from ..models.inputs.form import PICTURES, InputForm
from ..models.spec import ModelSpec
from ..outputs import Array
from ..protos import edge_pb2
from ..protos.tracing import InputTrace, part, within
from .config import DeviceConfig
from .handoff import Handoff
from .local_models import LocalModels
from .messages import InputBuilder, KeptInput, executed_outputs, local_row, result_row
from .results import InputRow, ResultRow, ResultsFile
from .summary import Travelled
from .uplink.client import Uplink
from .uplink.features import FeatureEncoder
from .uplink.frame_ring import FrameRing
from .uplink.payloads import PayloadEncoder

logger = logging.getLogger(__name__)

OnUnanswered = Callable[[int], None]
CheckServed = Callable[[Mapping[str, Served]], None]
OnAnswer = Callable[[int, Mapping[str, Array], Mapping[str, ModelOutput]], None]


@dataclass(frozen=True)
class _Sent:
    """What is remembered of an input until it is answered."""

    captured_s: float
    learn: Learn | None
    local: Mapping[str, ModelOutput]
    features_bytes: int = 0
    trace: InputTrace | None = None
    """The size of its message, if features travel in it."""


class Exchange:
    """Sends a stream's kept inputs and receives their answers; all of it is written to the results file.

    A device with models of its own runs them in a thread behind the capture loop, which waits for them only where every
    input is to be answered (queue "all").

    Args:
        config: what travels, and where to.
        session: names this run of the device.
        encoder: encodes the payloads.
        stream: the stream's name; empty: the device's only one.
        form: what its inputs are.
        features: what travels instead of frames; None: frames do.
        local: the models that run here.
        results: where every result is written; None: nowhere.
        report: called now and then for the device's own counts.
        on_answer: called for every answered input with its sequence, the output that each model has there, and the
            outputs of the models that ran on it; from the uplink's thread.
        check_served: called with the coordinator's models on each connection; raises InvalidInput if this device can't
            do with them, which ends it.
        on_unanswered: called with the sequence of every kept input that will have no answer; from any thread.
        clock_ns: Unix time, which the coordinator's is compared with.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        session: str,
        encoder: PayloadEncoder,
        stream: str = "",
        form: InputForm = PICTURES,
        features: FeatureEncoder | None = None,
        local: LocalModels,
        results: ResultsFile | None,
        report: Callable[[], edge_pb2.Report],
        on_answer: OnAnswer,
        check_served: CheckServed = lambda served: None,
        on_unanswered: OnUnanswered = lambda sequence: None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.form = form
        self.features = features
        self.ring: FrameRing | None = None
        if config.send == "ask":
            self.ring = FrameRing(config.keep_bytes, config.keep_s, clock_ns=clock_ns)
        self.local = local
        self.results = results
        self.on_answer = on_answer
        self.on_unanswered = on_unanswered
        self.counts = dict.fromkeys(("kept", "answered", "dropped", "refused"), 0)
        self.travelled = Travelled()
        self.check_served = check_served
        self.started = 0.0
        self.stopped = threading.Event()
        self.uplink = Uplink(
            config,
            session=session,
            stream=stream,
            form=form,
            local=local.digests,
            stem=features.digest if features is not None else "",
            on_answer=self._take_answer,
            report=report,
            on_welcome=self._welcome_again,
            on_want=self._take_want,
            clock_ns=clock_ns,
        )
        self._counting = threading.Lock()
        self._sent: dict[int, _Sent] = {}
        self._builder: InputBuilder
        self._handoff: Handoff[KeptInput] | None = None
        self._failure_logged = False

    @property
    def inputs_stay(self) -> bool:
        """Whether no input itself travels, whatever happens, as the coordinator is content with features."""
        return self.config.send == "features" and self.features is not None and self.features.range is not None

    def open(self, stopped: threading.Event) -> dict[str, ModelSpec]:
        """Loads the models that run here and connects; returns the specs of the coordinator's models for such inputs.

        Args:
            stopped: ends every wait.

        Raises:
            InvalidInput: the coordinator's models are not what this device needs, or one of those here is not a model.
            ModelFailed: a model here does not start.
            Unavailable: nobody answers, or the coordinator refuses this device.
        """
        self.stopped = stopped
        self.local.load()
        welcome = self.uplink.start()
        if set(self.local.models) - set(welcome.local):
            raise InvalidInput(
                f"the coordinator at {self.config.coordinator} (infilink {welcome.version}) takes no outputs of models "
                "that run on devices: install the same version on both, or leave `local` out"
            )
        specs = self._specs(welcome)
        self.check_served(_served(welcome, specs))
        self.encoder.check(specs)
        if self.features is not None:
            self.features.agree(welcome)
        virtual = [name for name, spec in specs.items() if spec.virtual]
        self._builder = InputBuilder(
            self.config, self.encoder, self.local, specs, virtual=virtual, features=self.features, ring=self.ring
        )
        if self.local.models:
            self._handoff = Handoff(self._send, waits=self.config.queue == "all", stream=self.uplink.stream)
            self._handoff.start()
        self.started = time.perf_counter()
        return specs

    def send(self, kept: KeptInput) -> None:
        """Runs the models here on an input, and sends it.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        self._count("kept")
        if self._handoff is None:
            self._send(kept)
            return
        replaced = self._handoff.put(kept, self.stopped)
        if replaced is not None:
            self._add_input(replaced.row, replaced.answers)
            if replaced.trace is not None:
                replaced.trace.end(answer="dropped")
            self._drop(replaced.taken.sequence)

    def fail(self, row: InputRow, reason: ModelFailed) -> None:
        """Takes note of an input that can't be sent, because a model that the gate needs failed on it."""
        self._count("kept")
        self._refuse(row, reason)

    def finish(self) -> None:
        """Waits until everything is answered.

        Raises:
            Unavailable: no answer came for `answer_timeout_s`.
            InfilinkError: nothing more could be sent.
        """
        if self._handoff is not None:
            self._handoff.finish()
        self.uplink.finish()
        self.encoder.log_summary()

    def close(self) -> None:
        """Ends the connection and every model; closing twice is fine."""
        self.stopped.set()
        self.local.close()
        if self._handoff is not None:
            self._handoff.close()
        self.uplink.close()

    def _send(self, kept: KeptInput) -> None:
        taken = kept.taken
        try:
            with within(kept.trace), part("build"):
                message, local = self._builder.build(kept)
        except ModelFailed as error:
            self._refuse(kept.row, error)
            if kept.trace is not None:
                kept.trace.end(answer="failed")
            return
        if kept.trace is not None:
            message.traceparent = kept.trace.traceparent
        # Both before it is offered: its answer may be here before `offer` returns.
        size_bytes = message.ByteSize()
        features_bytes = size_bytes if message.HasField("features") else 0
        self._sent[taken.sequence] = _Sent(taken.captured_s, kept.learn, local, features_bytes, kept.trace)
        answers = [row for row in kept.answers if row.model not in local]
        rows = [local_row(name, taken, said.value) for name, said in local.items()]
        if features_bytes:
            self._travel(features=1, features_bytes=features_bytes)
        self._add_input(kept.row.sent(size_bytes), [*answers, *rows])
        for sequence in self.uplink.offer(message, self.stopped):
            self._drop(sequence)

    def _welcome_again(self, welcome: edge_pb2.Welcome) -> None:
        """The coordinator is there again, perhaps another one; called from the uplink's thread."""
        self.check_served(_served(welcome, self._specs(welcome)))
        if self.features is not None:
            self.features.agree(welcome)

    def _specs(self, welcome: edge_pb2.Welcome) -> dict[str, ModelSpec]:
        """The coordinator's models that look at this stream's inputs."""
        specs = {name: ModelSpec.model_validate_json(text) for name, text in welcome.specs.items()}
        return {name: spec for name, spec in specs.items() if not spec.fits(self.form)}

    def _take_want(self, sequence: int) -> bytes:
        """The coordinator asks for a frame; called from the uplink's thread."""
        jpeg = self.ring.get(sequence) if self.ring is not None else b""
        self._travel(wanted=1, gone=int(not jpeg), wanted_bytes=len(jpeg))
        if jpeg and self.results is not None:
            self.results.add_sent(sequence, len(jpeg))
        return jpeg

    def _take_answer(self, answer: Any) -> None:
        """A Result or Refused came; called from the uplink's thread."""
        if self.ring is not None:
            self.ring.drop(answer.sequence)
        sent = self._sent.pop(answer.sequence, _Sent(0.0, None, {}))
        received_s = time.perf_counter() - self.started
        if sent.trace is not None:
            sent.trace.end(answer="refused" if isinstance(answer, edge_pb2.Refused) else "result")
        if isinstance(answer, edge_pb2.Refused):
            self._count("refused")
            self.on_unanswered(answer.sequence)
            if self.results is not None:
                self.results.add_refused(answer.sequence, answer.message)
            return
        self._count("answered")
        rows = [result_row(answer.sequence, sent.captured_s, output) for output in answer.outputs]
        if self.results is not None:
            self.results.add_results(answer.sequence, received_s, rows)
        exact = {**executed_outputs(answer, rows), **sent.local}
        if sent.learn is not None:
            sent.learn(exact)
        values = {row.model: row.value for row in rows if row.value is not None}
        self.on_answer(answer.sequence, values | {name: each.value for name, each in exact.items()}, exact)

    def _refuse(self, row: InputRow, reason: ModelFailed) -> None:
        if not self._failure_logged:
            logger.warning("%s (logged once; such inputs count as refused)", reason)
        self._failure_logged = True
        self._count("refused")
        self.on_unanswered(row.sequence)
        self._add_input(row)
        if self.results is not None:
            self.results.add_refused(row.sequence, str(reason))

    def _drop(self, sequence: int) -> None:
        self._count("dropped")
        sent = self._sent.pop(sequence, None)
        if sent is not None and sent.trace is not None:
            sent.trace.end(answer="dropped")
        if sent is not None and sent.features_bytes:
            self._travel(features=-1, features_bytes=-sent.features_bytes)
        if self.ring is not None:
            self.ring.drop(sequence)
        self.on_unanswered(sequence)
        if self.results is not None:
            self.results.add_refused(sequence, "dropped")

    def _add_input(self, row: InputRow, answers: Iterable[ResultRow] = ()) -> None:
        if self.results is not None:
            self.results.add_input(row, answers)

    def _count(self, what: str) -> None:
        # Three threads count: the capture loop, the handoff's and the uplink's.
        with self._counting:
            self.counts[what] += 1

    def _travel(self, **more: int) -> None:
        with self._counting:
            self.travelled = self.travelled.plus(**more)


def _served(welcome: edge_pb2.Welcome, specs: Mapping[str, ModelSpec]) -> dict[str, Served]:
    """The coordinator's models, as a gate is compared with them."""
    # A second part's file is not the model that was learnt from: the encoder compares what both parts are of.
    return {
        name: Served(spec.output, "" if spec.input is None else welcome.digests.get(name, ""))
        for name, spec in specs.items()
    }

"""What happens to the inputs that are kept: models here run on them, they are sent, and their answers come back."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from ..errors import ModelFailed
from ..models.inputs.form import PICTURES, InputForm
from ..models.spec import ModelSpec
from ..protos import edge_pb2
from ..protos.tracing import part, within
from .agreement import Agreement, CheckServed
from .config import DeviceConfig
from .facts import pack_facts
from .handoff import Handoff
from .local_models import LocalModels
from .messages import KeptInput, local_row
from .replies import OnAnswer, OnUnanswered, Replies, Sent
from .result_log import ResultLog
from .result_rows import InputRow, ResultRow
from .summary import Travelled
from .uplink.chains import chain_of
from .uplink.client import OnFilter, Uplink
from .uplink.features import FeatureEncoder
from .uplink.frame_ring import FrameRing
from .uplink.payload_encoder import PayloadEncoder
from .uplink.spool import Spool
from .uplink.spool_rows import Head, Key, SpoolRow, Waiting
from .uplink.travelling import Travelling

logger = logging.getLogger(__name__)

_HELD = "held: local only"
_WELCOME = "welcome"
_SETTLES_WITHIN_S = 2.0


class Exchange:
    """Sends a stream's kept inputs and receives their answers; all of it is written to the results file.

    A device with models of its own runs them in a thread behind the capture loop, which waits for them only where every
    input is to be answered (queue "all").

    Args:
        config: what travels, and where to.
        session: names this run of the device; a spool has its own.
        encoder: encodes the payloads.
        stream: the stream's name; empty: the device's only one.
        form: what its inputs are.
        features: what travels instead of frames; None: frames do.
        local: the models that run here.
        results: told of every result; None: nobody is.
        spool: keeps the inputs until they are answered; None: memory does. With one nobody waits for the coordinator:
            its models may be known from an earlier run, or later.
        report: called now and then for the device's own counts.
        on_answer: called for every answered input with its sequence, the output that each model has there, and the
            outputs of the models that ran on it; from the uplink's thread.
        check_served: called with the coordinator's models on each connection; raises InvalidInput if this device can't
            do with them, which ends it.
        on_unanswered: called with the sequence of every kept input that will have no answer; from any thread.
        on_filter: called with the filter that an operator wants, and what asks for its file; from the uplink's thread.
        clock_ns: Unix time, which the coordinator's is compared with.

    Attributes:
        held: whether nothing is sent at all.
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
        results: ResultLog | None,
        spool: Spool | None = None,
        report: Callable[[], edge_pb2.Report],
        on_answer: OnAnswer,
        check_served: CheckServed = lambda served: None,
        on_unanswered: OnUnanswered = lambda sequence: None,
        on_filter: OnFilter = lambda wanted, ask: None,
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
        self.spool = spool
        self.travelling = Travelling(config.picture)
        self.replies = Replies(
            results=results,
            spool=spool,
            chains=encoder.chains,
            ring=self.ring,
            stream=stream,
            on_answer=on_answer,
            on_unanswered=on_unanswered,
        )
        self.stopped = threading.Event()
        self.uplink = Uplink(
            config,
            session=session,
            stream=stream,
            form=form,
            local=local.digests,
            stem=features.digest if features is not None else "",
            spool=spool,
            on_answer=self.replies.take,
            on_spool_answer=self.replies.take,
            chains=encoder.chains,
            report=report,
            on_welcome=self._take_welcome,
            on_want=self._take_want,
            on_filter=on_filter,
            clock_ns=clock_ns,
        )
        if spool is not None:
            spool.on_dropped = self.replies.give_up
        self._agreement = Agreement(
            config,
            encoder,
            local,
            form,
            features=features,
            ring=self.ring,
            travelling=self.travelling,
            check_served=check_served,
        )
        self.held = self._frames_stay = False
        self._handoff: Handoff[KeptInput] | None = None

    @property
    def round_trip_s(self) -> float:
        """How long answers took lately, from when their input was sent; 0: nothing was answered."""
        return self.uplink.round_trip_s

    @property
    def inputs_stay(self) -> bool:
        """Whether no input itself travels, whatever happens, as the coordinator is content with features."""
        return self.config.send == "features" and self.features is not None and self.features.range is not None

    @property
    def spools(self) -> bool:
        """Whether inputs wait on disk until they are answered."""
        return self.spool is not None

    @property
    def counts(self) -> dict[str, int]:
        """How many inputs were kept, and what became of them."""
        return self.replies.counts

    @property
    def travelled(self) -> Travelled:
        """What travelled instead of frames."""
        return self.replies.travelled

    @property
    def started(self) -> float:
        """When the run began, by `time.perf_counter`."""
        return self.replies.started

    def waiting(self) -> Waiting:
        """What waits in the spool."""
        return Waiting() if self.spool is None else self.spool.waiting()

    def open(self, stopped: threading.Event) -> dict[str, ModelSpec] | None:
        """Loads the models that run here and connects; returns the specs of the coordinator's models for such inputs.

        With a spool nobody waits for the coordinator long: its models are those of the last time, or None, as they are
        not known; `take_news` gives them once they are.

        Args:
            stopped: ends every wait.

        Raises:
            InvalidInput: the coordinator's models are not what this device needs, or one of those here is not a model.
            ModelFailed: a model here does not start.
            Unavailable: without a spool: nobody answers, or the coordinator refuses this device.
        """
        self.stopped = stopped
        self.local.load()
        welcome = self.uplink.start(stopped)
        if self.spool is None:
            assert welcome is not None
            self._agreement.take(welcome)
        else:
            self._recall(self.spool)
        if self.local.models or self.encoder.takes_long:
            # With a spool nothing of a recording need be left out.
            waits = self.config.queue == "all" or (self.spool is not None and not self.spool.live)
            # A live source may give much at once: what there is a spool for is not left out for that.
            self._handoff = Handoff(
                self._send,
                waits=waits,
                most_bytes=0 if self.spool is None else self.spool.settings.memory_bytes,
                size_bytes=lambda kept: kept.taken.value.nbytes,
                stream=self.uplink.stream,
            )
            self._handoff.start()
        self.replies.started = time.perf_counter()
        self._agreement.take_news()
        return self._agreement.specs

    def take_news(self) -> dict[str, ModelSpec] | None:
        """The coordinator's models, where they became known only now, or are others; once. None: nothing is new."""
        return self._agreement.take_news()

    def send(self, kept: KeptInput) -> None:
        """Runs the models here on an input, and sends it.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        self.replies.count("kept")
        if self._handoff is None:
            self._send(kept)
            return
        for replaced in self._handoff.put(kept, self.stopped):
            self.replies.add_input(replaced.row, replaced.answers)
            if replaced.trace is not None:
                replaced.trace.end(answer="dropped")
            self.replies.drop(replaced.taken.sequence)

    def pass_by(self, row: InputRow, answers: Iterable[ResultRow]) -> None:
        """Takes note of an input that is not to be sent, with the results that it has."""
        told = partial(self.replies.add_input, row, tuple(answers))
        if self.spool is None:
            told()
        else:
            self.spool.pass_by(row.sequence, told)

    def ease(self, *, frames_stay: bool, held: bool) -> None:
        """Sends less from now on, or all again; from the capture loop.

        Args:
            frames_stay: no frame is kept for the coordinator to ask for, and none is given to it.
            held: nothing is sent at all: the models here answer what they can, and what there is a spool for waits.
        """
        self._frames_stay, self.held = frames_stay, held
        self._agreement.frames_stay = frames_stay
        self.uplink.held = held

    def fail(self, row: InputRow, reason: ModelFailed) -> None:
        """Takes note of an input that can't be sent, because a model that the gate needs failed on it."""
        self.replies.count("kept")
        self.replies.fail(row, reason)

    def finish(self) -> None:
        """Waits until everything is answered; with a spool for as long as answers come.

        Raises:
            Unavailable: no answer came for `answer_timeout_s`, and there is no spool.
            InfilinkError: nothing more could be sent.
        """
        if self._handoff is not None:
            self._handoff.finish()
        if self.spool is None:
            # What was taken before nothing was to be sent any more has nowhere to wait.
            self.uplink.held = False
        self.uplink.finish(self.stopped)
        left = self.waiting()
        if left.count:
            logger.warning("%d inputs wait in the spool: they are sent in the next run", left.count)
        self.encoder.log_summary()

    def close(self) -> None:
        """Ends the connection and every model; closing twice is fine."""
        self.stopped.set()
        self.local.close()
        if self._handoff is not None:
            self._handoff.close()
        self.uplink.close()
        if self.spool is not None:
            # What was answered last need not be sent again.
            self.spool.wait_settled(_SETTLES_WITHIN_S)
            self.spool.close()
        self.replies.close()

    def _send(self, kept: KeptInput) -> None:
        taken = kept.taken
        if self.held and self.spool is None:
            self._hold(kept)
            return
        try:
            with within(kept.trace), part("build"):
                message, local = self._agreement.builder.build(kept)
        except ModelFailed as error:
            self.replies.fail(kept.row, error)
            if kept.trace is not None:
                kept.trace.end(answer="failed")
            return
        if kept.trace is not None:
            message.traceparent = kept.trace.traceparent
        # Both before it is offered: its answer may be here before `offer` returns.
        size_bytes = message.ByteSize()
        features_bytes = size_bytes if message.HasField("features") else 0
        sent = Sent(taken.captured_s, kept.learn, local, features_bytes, kept.trace)
        self.replies.expect(taken.sequence, sent)
        answers = [row for row in kept.answers if row.model not in local]
        answers += [local_row(name, taken, said.value) for name, said in local.items()]
        if features_bytes:
            self.replies.travel(features=1, features_bytes=features_bytes)
        if message.encoding == edge_pb2.ENCODING_H264:
            self.replies.travel(video=1, video_bytes=len(message.payload))
        row = kept.row.sent(size_bytes)
        if self.spool is not None:
            self._spool(self.spool, kept, message, row, answers)
            return
        self.replies.add_input(row, answers)
        for sequence in self.uplink.offer(message, self.stopped):
            self.replies.drop(sequence)

    def _hold(self, kept: KeptInput) -> None:
        """Answers an input by the models here alone."""
        try:
            local = self._agreement.builder.run_local(kept) if self.local.models else {}
        except ModelFailed as error:
            self.replies.fail(kept.row, error)
            return
        rows = [local_row(name, kept.taken, said.value) for name, said in local.items()]
        self.replies.add_input(kept.row, [*(row for row in kept.answers if row.model not in local), *rows])
        if kept.trace is not None:
            kept.trace.end(answer="held")
        self.replies.drop(kept.taken.sequence, _HELD)

    def _spool(
        self, spool: Spool, kept: KeptInput, message: edge_pb2.Input, row: InputRow, answers: list[ResultRow]
    ) -> None:
        """Puts an input into the spool.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        self.uplink.check()
        # Nothing replaces what is on disk.
        message.policy = edge_pb2.POLICY_ALL
        payload = message.SerializeToString()
        score = row.score if row.score is not None and not math.isnan(row.score) else 0.0
        facts = b"" if self.replies.results is None else pack_facts(row, answers)
        head = Head(
            Key("", kept.taken.sequence),
            kept.taken.captured_s,
            spool.clock(),
            math.inf if row.audit_probability > 0 else score,
            len(payload) + len(facts),
            chain_of(message),
        )
        spool.put(
            SpoolRow(head, payload, facts),
            partial(self.replies.add_input, row, answers),
            stopped=self.stopped.is_set,
        )
        # What others refer to is read from there again.
        self.uplink.chains.done(kept.taken.sequence)

    def _take_welcome(self, welcome: edge_pb2.Welcome) -> None:
        """The coordinator is there, perhaps another one; called from the uplink's thread.

        Raises:
            InvalidInput: its models are not what this device needs.
            Unavailable: what it says of them is no specs of models.
        """
        self._agreement.take(welcome)
        if self.spool is not None:
            known = edge_pb2.Welcome()
            known.CopyFrom(welcome)
            known.now_ns = 0
            self.spool.keep(_WELCOME, known.SerializeToString(deterministic=True))

    def _recall(self, spool: Spool) -> None:
        """Goes by what the coordinator said last, where it has not answered yet."""
        if self._agreement.specs is not None or not spool.get(_WELCOME):
            return
        welcome = edge_pb2.Welcome()
        try:
            welcome.ParseFromString(spool.get(_WELCOME))
            self._agreement.take(welcome, is_new=False)
            self.uplink.chains.agree(welcome)
        except Exception as error:
            # Of another gate, or other models here: what the coordinator says now counts.
            logger.info("what the coordinator said in the last run does not fit: %s", error)

    def _take_want(self, sequence: int) -> bytes:
        """The coordinator asks for a frame; called from the uplink's thread."""
        jpeg = self.ring.get(sequence) if self.ring is not None and not self._frames_stay else b""
        self.replies.travel(wanted=1, gone=int(not jpeg), wanted_bytes=len(jpeg))
        if jpeg and self.replies.results is not None:
            self.replies.results.add_sent(sequence, len(jpeg))
        return jpeg

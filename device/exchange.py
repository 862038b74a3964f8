"""What becomes of the frames that are kept: models here look at them, they are sent, and their answers come back."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput, ModelFailed
from ..filters.gates.base import Learn, ModelOutput
from ..models.spec import ModelSpec
from ..outputs import Array
from ..protos import edge_pb2
from .config import DeviceConfig
from .handoff import Handover
from .local_models import LocalModels
from .messages import Kept, Packer, local_row, ran, result_row
from .results import InputRow, ResultRow, ResultsFile
from .uplink.client import Uplink
from .uplink.payloads import Sender

logger = logging.getLogger(__name__)

Answered = Callable[[int, Mapping[str, Array], Mapping[str, ModelOutput]], None]


@dataclass(frozen=True)
class _Sent:
    """What is remembered of an input until it is answered."""

    captured_s: float
    learn: Learn | None
    local: Mapping[str, ModelOutput]


class Exchange:
    """Sends kept frames and takes their answers; all of it goes into the results file.

    With models of its own, a device runs them in a thread behind the capture loop, which never waits for them but
    where every frame is to be answered (policy "all").

    Args:
        config: what travels, and where to.
        session: names this run.
        sender: makes payloads of frames.
        local: the models that run here.
        results: where every result goes; None: nowhere.
        report: asked now and then for the device's own counts.
        on_answer: told of every answered input: its number, what each model was said to say, and what those that ran
            said; called from the uplink's thread.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        session: str,
        sender: Sender,
        local: LocalModels,
        results: ResultsFile | None,
        report: Callable[[], edge_pb2.Report],
        on_answer: Answered,
    ) -> None:
        self.config = config
        self.sender = sender
        self.local = local
        self.results = results
        self.on_answer = on_answer
        self.counts = dict.fromkeys(("kept", "answered", "dropped", "refused"), 0)
        self.started = 0.0
        self.stopped = threading.Event()
        self.uplink = Uplink(
            config,
            session=session,
            local=local.digests,
            on_answer=self._on_answer,
            report=report,
        )
        self._counting = threading.Lock()
        self._sent: dict[int, _Sent] = {}
        self._packer: Packer
        self._handover: Handover[Kept] | None = None
        self._told = False

    def open(self, stopped: threading.Event) -> dict[str, ModelSpec]:
        """Loads the models that run here and connects; returns the specs of the coordinator's models.

        Args:
            stopped: ends every wait.

        Raises:
            InvalidInput: the coordinator's models are not what this device needs, or one here is no model.
            ModelFailed: one here does not start.
            Unavailable: nobody answers, or the coordinator does not want this device.
        """
        self.stopped = stopped
        self.local.load()
        welcome = self.uplink.start()
        if set(self.local.models) - set(welcome.local):
            raise InvalidInput(
                f"the coordinator at {self.config.coordinator} (infilink {welcome.version}) takes no outputs of models "
                "that run on devices: install the same version on both, or leave `local` out"
            )
        specs = {name: ModelSpec.model_validate_json(text) for name, text in welcome.specs.items()}
        self.sender.check(specs)
        self._packer = Packer(self.config, self.sender, self.local, specs)
        if self.local.models:
            self._handover = Handover(self._send, waits=self.config.policy == "all")
            self._handover.start()
        self.started = time.perf_counter()
        return specs

    def send(self, kept: Kept) -> None:
        """Has the models here look at a frame, and sends it.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        self._count("kept")
        if self._handover is None:
            self._send(kept)
            return
        replaced = self._handover.put(kept, self.stopped)
        if replaced is not None:
            self._add_input(replaced.row, replaced.answers)
            self._drop(replaced.frame.sequence)

    def finish(self) -> None:
        """Waits until everything is answered.

        Raises:
            Unavailable: no answer came for `answer_timeout_s`.
            InfilinkError: nothing more could be sent.
        """
        if self._handover is not None:
            self._handover.finish()
        self.uplink.finish()
        self.sender.tell()

    def fail(self, row: InputRow, reason: ModelFailed) -> None:
        """Takes note of a frame that would be kept, but a model here failed on it: there is nothing to send."""
        self._count("kept")
        self._refuse(row, reason)

    def close(self) -> None:
        """Ends the connection and every model; closing twice is fine."""
        self.stopped.set()
        self.local.close()
        if self._handover is not None:
            self._handover.close()
        self.uplink.close()

    def _send(self, kept: Kept) -> None:
        frame = kept.frame
        try:
            message, local = self._packer.pack(kept)
        except ModelFailed as error:
            self._refuse(kept.row, error)
            return
        self._sent[frame.sequence] = _Sent(frame.captured_s, kept.learn, local)
        answers = [row for row in kept.answers if row.model not in local]
        rows = [local_row(name, frame, said.value) for name, said in local.items()]
        self._add_input(kept.row.sent(message.ByteSize()), [*answers, *rows])
        for sequence in self.uplink.offer(message, self.stopped):
            self._drop(sequence)

    def _refuse(self, row: InputRow, reason: ModelFailed) -> None:
        if not self._told:
            logger.warning("%s (told once; such frames count as refused)", reason)
        self._told = True
        self._count("refused")
        self._add_input(row)
        if self.results is not None:
            self.results.add_refused(row.sequence, str(reason))

    def _add_input(self, row: InputRow, answers: Iterable[ResultRow] = ()) -> None:
        if self.results is not None:
            self.results.add_input(row, answers)

    def _drop(self, sequence: int) -> None:
        self._count("dropped")
        self._sent.pop(sequence, None)
        if self.results is not None:
            self.results.add_refused(sequence, "dropped")

    def _count(self, what: str) -> None:
        # Three threads count.
        with self._counting:
            self.counts[what] += 1

    def _on_answer(self, answer: Any) -> None:
        """A Result or Refused came; called from the uplink's thread."""
        sent = self._sent.pop(answer.sequence, _Sent(0.0, None, {}))
        received_s = time.perf_counter() - self.started
        if isinstance(answer, edge_pb2.Refused):
            self._count("refused")
            if self.results is not None:
                self.results.add_refused(answer.sequence, answer.message)
            return
        self._count("answered")
        rows = [result_row(answer.sequence, sent.captured_s, output) for output in answer.outputs]
        if self.results is not None:
            self.results.add_results(answer.sequence, received_s, rows)
        exact = {**ran(answer, rows), **sent.local}
        if sent.learn is not None:
            sent.learn(exact)
        values = {row.model: row.value for row in rows if row.value is not None}
        self.on_answer(answer.sequence, values | {name: each.value for name, each in exact.items()}, exact)

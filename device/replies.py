"""What becomes of the inputs that were kept: their answers go to the results file, to who learns and to who audits."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, ModelFailed
from ..filters.gates.base import Learn, ModelOutput
from ..outputs import Array
from ..protos import edge_pb2
from ..protos.tracing import InputTrace
from .facts import unpack_facts
from .messages import executed_outputs, result_row
from .result_log import ResultLog
from .result_rows import InputRow, ResultRow
from .results import ResultsFile
from .summary import Travelled
from .uplink.chains import ChainStore
from .uplink.frame_ring import FrameRing
from .uplink.spool import Spool
from .uplink.spool_rows import Head, SpoolRow

logger = logging.getLogger(__name__)

OnUnanswered = Callable[[int], None]
OnAnswer = Callable[[int, Mapping[str, Array], Mapping[str, ModelOutput]], None]

_REMEMBERED = 1024
"""Of what waits in a spool for longer nobody learns any more: memory is bounded by this, not by the backlog."""


@dataclass(frozen=True)
class Sent:
    """What is remembered of an input until it is answered.

    Attributes:
        captured_s: when it was captured.
        learn: to be called with the models' own outputs for it; None: nobody learns from it.
        local: the outputs of the models that ran on it here.
        features_bytes: the size of its message, if features travel in it.
        trace: measures its way; None: nobody looks at it.
    """

    captured_s: float
    learn: Learn | None
    local: Mapping[str, ModelOutput]
    features_bytes: int = 0
    trace: InputTrace | None = None


class Replies:
    """Takes the answers to one stream's inputs.

    Args:
        results: where every result is written; None: nowhere.
        spool: keeps the inputs until their answers are written; None: memory does.
        chains: the packets of pictures that refer to one another; None: each input stands alone.
        ring: the frames that may be asked for; None: none may.
        stream: the stream's name, for results files of earlier runs.
        on_answer: called for every answered input of this run with its sequence, the output that each model has there,
            and the outputs of the models that ran on it; from the uplink's thread.
        on_unanswered: called with the sequence of every kept input that will have no answer; from any thread.

    Attributes:
        counts: how many inputs were kept, and what became of them.
        travelled: what travelled instead of frames.
        started: when the run began, by `time.perf_counter`.
    """

    def __init__(
        self,
        *,
        results: ResultLog | None,
        spool: Spool | None,
        chains: ChainStore | None,
        ring: FrameRing | None,
        stream: str,
        on_answer: OnAnswer,
        on_unanswered: OnUnanswered,
    ) -> None:
        self.results = results
        self.spool = spool
        self.chains = chains
        self.ring = ring
        self.stream = stream
        self.on_answer = on_answer
        self.on_unanswered = on_unanswered
        self.counts = dict.fromkeys(("kept", "answered", "dropped", "refused"), 0)
        self.late = 0
        self.travelled = Travelled()
        self.started = time.perf_counter()
        self._began_s = spool.clock() if spool is not None else 0.0
        self._counting = threading.Lock()
        self._sent: OrderedDict[int, Sent] = OrderedDict()
        self._earlier: dict[str, ResultsFile | None] = {}
        self._failure_logged = False

    def expect(self, sequence: int, sent: Sent) -> None:
        """Remembers an input, before it is sent."""
        with self._counting:
            self._sent[sequence] = sent
            forgotten = self._sent.popitem(last=False)[1] if self.spool and len(self._sent) > _REMEMBERED else None
        if forgotten is not None and forgotten.trace is not None:
            forgotten.trace.end(answer="spooled")

    def add_input(self, row: InputRow, answers: Iterable[ResultRow] = ()) -> None:
        """Writes an input's row, with the results that are known already."""
        if self.results is not None:
            self.results.add_input(row, answers)

    def take(self, answer: Any, row: SpoolRow | None = None) -> None:
        """Takes a Result or Refused; from the uplink's thread.

        Args:
            answer: it.
            row: the input in the spool; None: there is no spool.

        Raises:
            InvalidInput: it can't be read; then nothing was done.
        """
        sequence = answer.sequence
        is_mine = row is None or self._is_mine(row.head)
        sent = self._sent.get(sequence) if is_mine else None
        captured_s = sent.captured_s if sent is not None else 0.0 if row is None else row.head.captured_s
        is_refused = isinstance(answer, edge_pb2.Refused)
        rows = [] if is_refused else [result_row(sequence, captured_s, output) for output in answer.outputs]
        results, then, late = self.results, None, False
        if row is not None and self.spool is not None:
            # First what was decided on it, then what was answered.
            self.spool.answered(row.head)
            results = self._results_of(row)
            then = partial(self.spool.settle, row.head)
            late = self._is_late(row.head)
        if is_mine:
            self._end(sequence, "refused" if is_refused else "result", arrived=_is_read(answer))
            self._break_chain(row is not None and not _is_read(answer))
        self.count("refused" if is_refused else "answered")
        if is_refused:
            if is_mine:
                self.on_unanswered(sequence)
            if results is not None:
                results.add_refused(sequence, answer.message, then=then)
        elif results is not None:
            self.late += late
            results.add_results(sequence, time.perf_counter() - self.started, rows, late=late, then=then)
        if results is None and then is not None:
            then()
        if not is_refused and is_mine:
            self._tell(answer, rows, sent)

    def drop(self, sequence: int, reason: str = "dropped") -> None:
        """An input is not sent: a newer one replaced it before, or for another reason."""
        self._give_up(sequence)
        if self.results is not None:
            self.results.add_refused(sequence, reason)

    def give_up(self, head: Head, reason: str) -> None:
        """The spool gives an input up; from any thread."""
        if self._is_mine(head):
            self._give_up(head.key.sequence)
            self._break_chain(head.chain is not None)
        else:
            self.count("dropped")
        if self.results is not None and self.spool is not None and head.key.session == self.spool.session.id:
            self.results.add_refused(head.key.sequence, reason)

    def fail(self, row: InputRow, reason: ModelFailed) -> None:
        """An input can't be sent, because a model failed on it."""
        if not self._failure_logged:
            logger.warning("%s (logged once; such inputs count as refused)", reason)
        self._failure_logged = True
        self.count("refused")
        self.on_unanswered(row.sequence)
        self.add_input(row)
        if self.results is not None:
            self.results.add_refused(row.sequence, str(reason))

    def count(self, what: str) -> None:
        """Counts one input more."""
        # Four threads count: the capture loop, the handoff's, the uplink's and the spool's.
        with self._counting:
            self.counts[what] += 1

    def travel(self, **more: int) -> None:
        """Counts what travelled instead of frames."""
        with self._counting:
            self.travelled = self.travelled.plus(**more)

    def close(self) -> None:
        """Closes the results files of earlier runs; closing twice is fine."""
        for file in self._earlier.values():
            if file is not None:
                file.close()

    def _tell(self, answer: Any, rows: list[ResultRow], sent: Sent | None) -> None:
        """Gives an answer to who learns from it, and to who audits."""
        exact = {**executed_outputs(answer, rows), **(sent.local if sent is not None else {})}
        if sent is not None and sent.learn is not None:
            sent.learn(exact)
        values = {row.model: row.value for row in rows if row.value is not None}
        self.on_answer(answer.sequence, values | {name: each.value for name, each in exact.items()}, exact)

    def _give_up(self, sequence: int) -> None:
        self.count("dropped")
        sent = self._end(sequence, "dropped", arrived=False)
        if sent is not None and sent.features_bytes:
            self.travel(features=-1, features_bytes=-sent.features_bytes)
        self.on_unanswered(sequence)

    def _break_chain(self, is_broken: bool) -> None:
        """The next picture refers to none before it, if one of those in the spool is gone: no chain knows of these."""
        if self.chains is not None:
            self.chains.is_broken |= is_broken

    def _end(self, sequence: int, answer: str, *, arrived: bool) -> Sent | None:
        if self.ring is not None:
            self.ring.drop(sequence)
        if self.chains is not None:
            self.chains.done(sequence, arrived=arrived)
        with self._counting:
            sent = self._sent.pop(sequence, None)
        if sent is not None and sent.trace is not None:
            sent.trace.end(answer=answer)
        return sent

    def _is_mine(self, head: Head) -> bool:
        """Whether an input was taken in this run."""
        return self.spool is not None and head.taken_s >= self._began_s

    def _is_late(self, head: Head) -> bool:
        """Whether an answer comes in another run, or long after the input was taken."""
        assert self.spool is not None
        return head.taken_s < self._began_s or self.spool.clock() - head.taken_s > self.spool.settings.late_s

    def _results_of(self, row: SpoolRow) -> ResultLog | None:
        """The results file that an input of the spool belongs to, with the row that says what was decided on it."""
        assert self.spool is not None
        path = self.spool.results_of(row.head.key.session)
        results: ResultLog | None = self.results if path == self.spool.session.results else self._open_earlier(path)
        facts = unpack_facts(row.facts) if results is not None and row.head.taken_s < self._began_s else None
        if facts is not None and results is not None:
            # It may not have been written any more, where that run was killed.
            results.add_input(*facts)
        return results

    def _open_earlier(self, path: str) -> ResultsFile | None:
        if not path:
            return None
        if path not in self._earlier:
            try:
                self._earlier[path] = ResultsFile(Path(path), anew=False, stream=self.stream, durable=True)
            except InvalidInput as error:
                logger.warning("late results of an earlier run are lost: %s", error)
                self._earlier[path] = None
        return self._earlier[path]


def _is_read(answer: Any) -> bool:
    """Whether the coordinator could read an input, so that others can refer to it."""
    return not isinstance(answer, edge_pb2.Refused) or answer.code != edge_pb2.REFUSED_CODE_INVALID

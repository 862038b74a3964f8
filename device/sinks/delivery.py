"""Puts a stream's inputs and their results together, in order of the inputs, and hands them to its sinks."""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ...outputs import Array, OutputSpec
from ..result_rows import InputRow, ResultRow
from ..stream_log import thread_name
from .base import SinkRunner
from .delivered import Delivered, EventPicture, Said
from .picture import QUALITY, KeptPicture, picture_of

logger = logging.getLogger(__name__)

WAIT_S = 5.0
PENDING_BYTES = 32 * 2**20
_MOST_NOTES = 10_000
"""Of inputs: that wait to be looked at, and that were delivered without an answer and may still get one."""
_LOOK_EVERY_S = 0.5
_VALUES = 256
_VALUES_BYTES = 8 * 2**20


@dataclass
class _Pending:
    """An input that is not delivered yet.

    Attributes:
        captured_s: when it was captured.
        unix_s: likewise, as Unix time.
        seen_s: when it came here, by the clock.
        picture: None: it has none.
        row: what was decided; None: nothing yet.
        rows: the results so far, by model.
        answered: whether no more is to come.
        refused: why there is nothing of its own.
        late: whether its answer came long after it was captured.
    """

    captured_s: float
    unix_s: float | None
    seen_s: float
    picture: KeptPicture | None = None
    row: InputRow | None = None
    rows: dict[str, ResultRow] = field(default_factory=dict)
    answered: bool = False
    refused: str = ""
    late: bool = False


class _Values:
    """The outputs of earlier inputs that later ones refer to, within bounds: the longest unused goes first."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, int], Array] = OrderedDict()
        self._bytes = 0

    def put(self, row: ResultRow) -> None:
        if row.value is None or row.value.nbytes > _VALUES_BYTES:
            return
        key = row.model, row.sequence
        old = self._found.pop(key, None)
        self._bytes += row.value.nbytes - (0 if old is None else old.nbytes)
        self._found[key] = row.value
        while self._bytes > _VALUES_BYTES or len(self._found) > _VALUES:
            self._bytes -= self._found.popitem(last=False)[1].nbytes

    def get(self, model: str, sequence: int) -> Array | None:
        found = self._found.get((model, sequence))
        if found is not None:
            self._found.move_to_end((model, sequence))
        return found

    def before(self, model: str, sequence: int) -> int | None:
        """The newest input before one that has an output of a model here; None: there is none."""
        return max((at for name, at in self._found if name == model and at < sequence), default=None)


class Delivery:
    """One stream's: is told of everything as the results file is, and hands each input on once all of it is known.

    Whoever tells it never waits: a thread of its own does the rest. An input whose answer does not come within
    `wait_s`, or for whose picture there is no more room, is delivered without; its results then come late, marked so.

    Args:
        runners: of the sinks.
        device: the device's name.
        stream: the stream's name; empty: the device's only one.
        wait_s: how long an input waits for its answer.
        most_bytes: what the pictures of inputs that wait may take; from half of it on they are kept as JPEGs.
        quality: of these.
        clock: seconds that do not go back.

    Attributes:
        left_out: inputs that came too fast to be noted at all.
    """

    def __init__(
        self,
        runners: Sequence[SinkRunner],
        *,
        device: str,
        stream: str = "",
        wait_s: float = WAIT_S,
        most_bytes: int = PENDING_BYTES,
        quality: int = QUALITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runners = tuple(runners)
        self.device = device
        self.stream = stream
        self.wait_s = wait_s
        self.most_bytes = most_bytes
        self.quality = quality
        self.clock = clock
        self.left_out = 0
        self._pictures = any(runner.wants_pictures for runner in self.runners)
        self._outputs: Mapping[str, OutputSpec] = {}
        self._pending: OrderedDict[int, _Pending] = OrderedDict()
        self._pending_bytes = 0
        self._last = -1
        self._values = _Values()
        # Delivered without an answer: when they were captured.
        self._unanswered: OrderedDict[int, tuple[float, float | None]] = OrderedDict()
        self._notes: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=thread_name("sinks", stream), daemon=True)
        self._thread.start()

    def begin(self, outputs: Mapping[str, OutputSpec]) -> None:
        """Says of which types the models' outputs are; before any result of them."""
        self._outputs = dict(outputs)

    def see(self, sequence: int, captured_s: float, unix_s: float, value: Array | None) -> None:
        """An input was taken from the source, the next one after those that were seen before.

        Args:
            sequence: the input's.
            captured_s: when it was captured, by the source's time.
            unix_s: the same as Unix time.
            value: what it is; nobody writes into it any more. None: that is not to be shown.
        """
        pixels = picture_of(value) if self._pictures and value is not None else None
        picture = None if pixels is None else KeptPicture(pixels, quality=self.quality)
        self._note(partial(self._seen, sequence, _Pending(captured_s, unix_s, self.clock(), picture)))

    def add_input(self, row: InputRow, results: Iterable[ResultRow] = ()) -> None:
        """An input was decided on; with the results that are known already."""
        rows = tuple(results)
        self._note(partial(self._decided, row, rows))

    def add_results(
        self,
        sequence: int,
        received_s: float,
        results: Iterable[ResultRow],
        *,
        late: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """The results came of an input that was sent; `then` is called at once, as nothing is kept here."""
        rows = tuple(results)
        self._note(partial(self._answered, sequence, rows, late=late))
        if then is not None:
            then()

    def add_sent(self, sequence: int, size_bytes: int) -> None:
        """Of no interest here."""

    def add_refused(self, sequence: int, reason: str, *, then: Callable[[], None] | None = None) -> None:
        """An input that was kept has no results, for this reason; `then` is called at once."""
        self._note(partial(self._answered, sequence, (), refused=reason))
        if then is not None:
            then()

    def add_event(self, event: EventPicture) -> None:
        """Hands the picture of an event to the sinks; from any thread."""
        for runner in self.runners:
            runner.put(event)

    def close(self) -> None:
        """Delivers what waits, as it is; closing twice is fine. The sinks are not closed."""
        self._notes.put(None)
        self._thread.join()

    def _note(self, note: Callable[[], None]) -> None:
        if self._notes.qsize() >= _MOST_NOTES:
            if not self.left_out:
                logger.warning("sinks: results come faster than they can be put in order: some are left out")
            self.left_out += 1
            return
        self._notes.put(note)

    def _run(self) -> None:
        while True:
            try:
                note = self._notes.get(timeout=_LOOK_EVERY_S if self._pending else None)
            except queue.Empty:
                self._deliver()
                continue
            if note is None:
                break
            try:
                note()
                self._make_room()
                self._deliver()
            except Exception:
                logger.exception("sinks: an input was left out")
        while self._pending:
            self._hand_on()

    def _seen(self, sequence: int, pending: _Pending) -> None:
        self._pending[sequence] = pending
        self._pending_bytes += 0 if pending.picture is None else pending.picture.size_bytes

    def _decided(self, row: InputRow, rows: tuple[ResultRow, ...]) -> None:
        if row.sequence <= self._last:
            return  # It waited too long, and was delivered without.
        pending = self._pending.setdefault(row.sequence, _Pending(row.captured_s, None, self.clock()))
        pending.row = row
        pending.rows |= {each.model: each for each in rows}
        pending.answered |= not row.kept

    def _answered(self, sequence: int, rows: tuple[ResultRow, ...], *, refused: str = "", late: bool = False) -> None:
        for row in rows:
            self._values.put(row)
        pending = self._pending.get(sequence)
        if pending is not None:
            pending.rows |= {each.model: each for each in rows}
            pending.answered, pending.refused, pending.late = True, refused, late
            return
        captured_s, unix_s = self._unanswered.pop(sequence, (rows[0].captured_s if rows else 0.0, None))
        self._emit(
            Delivered(
                device=self.device,
                stream=self.stream,
                sequence=sequence,
                captured_s=captured_s,
                unix_s=unix_s,
                kept=True,
                results=self._said(rows),
                late=True,
                refused=refused,
            )
        )

    def _make_room(self) -> None:
        """Keeps the pictures that wait within their bounds: as JPEGs, and then by not waiting any longer."""
        if self._pending_bytes > self.most_bytes / 2:
            for pending in self._pending.values():
                if pending.picture is not None and not pending.picture.is_squeezed:
                    self._pending_bytes -= pending.picture.squeeze()
                    if self._pending_bytes <= self.most_bytes / 2:
                        break
        while len(self._pending) > 1 and (self._pending_bytes > self.most_bytes or len(self._pending) > _MOST_NOTES):
            self._hand_on()

    def _deliver(self) -> None:
        """Hands on what is complete, or has waited for long enough, up to the first that is not."""
        while self._pending:
            first = next(iter(self._pending.values()))
            if not first.answered and self.clock() - first.seen_s < self.wait_s:
                return
            self._hand_on()

    def _hand_on(self) -> None:
        sequence, pending = self._pending.popitem(last=False)
        self._last = sequence
        if pending.picture is not None:
            self._pending_bytes -= pending.picture.size_bytes
        rows = tuple(pending.rows.values())
        for row in rows:
            self._values.put(row)
        if not pending.answered:
            self._unanswered[sequence] = pending.captured_s, pending.unix_s
            if len(self._unanswered) > _MOST_NOTES:
                self._unanswered.popitem(last=False)
        decided = pending.row
        self._emit(
            Delivered(
                device=self.device,
                stream=self.stream,
                sequence=sequence,
                captured_s=pending.captured_s,
                unix_s=pending.unix_s,
                kept=decided is None or decided.kept,
                results=self._said(rows),
                late=pending.late,
                refused=pending.refused,
                level="" if decided is None else decided.level,
                picture=pending.picture,
            )
        )

    def _emit(self, delivered: Delivered) -> None:
        for runner in self.runners:
            runner.put(delivered)

    def _said(self, rows: Sequence[ResultRow]) -> tuple[Said, ...]:
        return tuple(self._said_by(row) for row in rows if row.model in self._outputs)

    def _said_by(self, row: ResultRow) -> Said:
        value, reference = row.value, row.reference
        if reference is not None:
            value = self._values.get(row.model, reference)
            # One that was dropped or refused gets no output any more: what is said is then the one before it, as a
            # reader of the results file takes it.
            if value is None and reference not in self._unanswered:
                before = self._values.before(row.model, reference)
                value = None if before is None else self._values.get(row.model, before)
                reference = reference if before is None else before
        return Said(
            model=row.model,
            output=self._outputs[row.model],
            origin=row.origin,
            confidence=row.confidence,
            trusted=row.trusted,
            trust=row.trust or ("certified" if row.trusted else "uncalibrated"),
            sources=row.sources,
            reference=reference,
            value=value,
        )

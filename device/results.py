"""The results file: every model's result for every input, and how it was obtained; written by the agent, read later."""

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..codec import pack
from ..errors import InvalidInput
from .disk_state import is_damaged, lock_beside, why_not_writable
from .result_rows import InputRow, ResultRow
from .results_table import ResultsTable, Statement, set_aside
from .sinks.delivered import EventPicture

logger = logging.getLogger(__name__)

MOST_BYTES = 2**30
"""What the results of this run and earlier ones may take, unless the settings say otherwise."""

_WAITING_BYTES = 32 * 2**20
_STATEMENT_BYTES = 300
_AT_ONCE = 4096
_GATHERED_S = 0.1
_AGAIN_S = (0.5, 10.0)
_CLOSES_WITHIN_S, _CLOSING_AGAIN_S = 5.0, 0.1
_LOOKS_SHARE = 1 / 16
"""Once so much of the bound was written it is looked how large the file is."""

_INPUT = (
    "INSERT OR IGNORE INTO inputs (sequence, captured_s, kept, score, threshold, decide_s, decided_s, sent_bytes, "
    "audit_probability, level, camera) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KNOWN = "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RESULT = "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECEIVED = "UPDATE inputs SET received_s = ?, late = ?, refused = NULL WHERE sequence = ?"


@dataclass(frozen=True)
class _Waiting:
    """What is to be written of one input.

    Attributes:
        statements: in their order.
        size_bytes: about what it takes in memory.
        then: called once it is written; None: nobody wants to know.
    """

    statements: tuple[Statement, ...]
    size_bytes: int
    then: Callable[[], None] | None = None


class ResultsFile:
    """Writes a results file, from a thread of its own, so that whoever adds to it does not wait for the disk.

    While the file can't be written (a full or read-only disk, another program that holds it locked) rows wait in
    memory; of more than fit there the oldest are lost, which is told once and counted. As soon as it can be written
    again, it is. A damaged file is set aside, and a new one begun.

    Args:
        path: the file.
        anew: whether to start with an empty file, and set that of an earlier run aside; otherwise results are added to
            what is there.
        stream: whose results these are; empty: those of a device's only stream.
        most_bytes: what this file and those of earlier runs may take: the oldest run's go first, then the oldest rows.
        waits: whether whoever adds waits while the disk is slower than that, rather than lose rows.
        every_s: for how long rows are gathered into one commit.
        durable: whether a commit outlives a power cut.
        alone: whether no other agent may write it meanwhile.

    Attributes:
        next_sequence: one more than the largest sequence that was there.
        last_captured_s: when the last input that was there was captured.
        aside: what the file of the run before is called now; None: there was none to set aside.
        trouble: why it can't be written now; empty: it can.
        lost: how many inputs' rows were lost so far.

    Raises:
        InvalidInput: the file can't be opened as a results file, what is there is another stream's, or another agent
            writes it.
    """

    def __init__(
        self,
        path: Path,
        *,
        anew: bool,
        stream: str = "",
        most_bytes: int = MOST_BYTES,
        waits: bool = False,
        every_s: float = _GATHERED_S,
        durable: bool = False,
        alone: bool = False,
    ) -> None:
        self.path = path
        self.stream = stream
        self.most_bytes = most_bytes
        self.waits = waits
        self.every_s = every_s
        self.durable = durable
        self.next_sequence = 0
        self.last_captured_s = 0.0
        self.aside: Path | None = None
        self.trouble = ""
        self.lost = 0
        self._table: ResultsTable | None = None
        self._anew = anew
        # As if much had been written: what is there already may be too much.
        self._written_bytes = most_bytes
        self._bounded = False
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._closing = threading.Event()
        self._lock = self._locked() if alone else None
        try:
            self._open()
        except BaseException:
            self._unlock()
            raise
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)
        self._thread.start()

    def gap(self, every: int) -> tuple[int, frozenset[int]]:
        """As `ResultsTable.gap`; for before the first row of this run is added."""
        if self._table is None:
            return self.next_sequence, frozenset()
        try:
            return self._table.gap(every)
        except sqlite3.Error as error:
            # What is wrong with it is found, told and mended by whoever writes.
            logger.debug("%s: %s", self.path, error)
            return self.next_sequence, frozenset()

    def add_input(self, row: InputRow, results: Iterable[ResultRow] = ()) -> None:
        """Adds an input, with the results that are known already; one that is there stays as it is."""
        values = (row.sequence, row.captured_s, row.kept, row.score, row.threshold, row.decide_s, row.decided_s)
        added = (_INPUT, (*values, row.sent_bytes, row.audit_probability, row.level, row.camera))
        self._put((added, *(_statement(_KNOWN, each) for each in results)))

    def add_results(
        self,
        sequence: int,
        received_s: float,
        results: Iterable[ResultRow],
        *,
        late: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Adds the results of an input that was sent.

        Args:
            sequence: the input's.
            received_s: when they came, from the run's start.
            results: what the models said.
            late: whether they came long after the input was captured, or in another run.
            then: called once they are written, from the file's thread; never, if they are lost.
        """
        received = (_RECEIVED, (received_s, late, sequence))
        self._put((received, *(_statement(_RESULT, each) for each in results)), then)

    def add_sent(self, sequence: int, size_bytes: int) -> None:
        """Adds to what was sent of an input: its frame, which was asked for."""
        self._put((("UPDATE inputs SET sent_bytes = sent_bytes + ? WHERE sequence = ?", (size_bytes, sequence)),))

    def add_refused(self, sequence: int, reason: str, *, then: Callable[[], None] | None = None) -> None:
        """Adds the reason why an input that was kept has no results; `then` as with these."""
        self._put((("UPDATE inputs SET refused = ? WHERE sequence = ?", (reason, sequence)),), then)

    def add_event(self, event: EventPicture) -> None:
        """Adds the best picture of an event: of which input, and where its file is."""
        values = (event.what, event.started_s, event.ended_s, event.model, event.best.sequence, str(event.path))
        self._put((("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", values),))

    def close(self) -> None:
        """Writes what is left and closes the file; what can't be written within seconds is lost. Twice is fine."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        if self._table is not None:
            self._table.close()
        self._unlock()

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def _put(self, statements: tuple[Statement, ...], then: Callable[[], None] | None = None) -> None:
        blobs = sum(len(value) for _, values in statements for value in values if isinstance(value, bytes))
        size_bytes = blobs + _STATEMENT_BYTES * len(statements)
        with self._changed:
            while self.waits and self._is_full() and not self.trouble and not self._closing.is_set():
                self._changed.wait(0.5)
            self._waiting.append(_Waiting(statements, size_bytes, then))
            self._waiting_bytes += size_bytes
            lost = 0
            while self._is_full() and len(self._waiting) > 1:
                self._waiting_bytes -= self._waiting.popleft().size_bytes
                lost += 1
            if len(self._waiting) == 1:
                # Else the thread is at work already: to wake it for every row would cost more than the row.
                self._changed.notify_all()
        if lost:
            self._lose(lost)

    def _is_full(self) -> bool:
        return self._waiting_bytes > _WAITING_BYTES

    def _lose(self, count: int) -> None:
        if not self.lost:
            logger.error("%s: more rows wait than memory holds: the oldest of them are lost (told once)", self.path)
        self.lost += count

    def _locked(self) -> int | None:
        # On a disk that takes nothing now there is no lock, and nobody else's rows either.
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return lock_beside(self.path, advice="give each its own `results`")
        return None

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open(self) -> None:
        """Opens the file at the start; where that is not possible for a time, the thread tries again.

        Raises:
            InvalidInput: it can't be used.
        """
        options: dict[str, Any] = {"stream": self.stream, "durable": self.durable}
        try:
            try:
                self._table = ResultsTable(self.path, anew=self._anew, **options)
            except sqlite3.DatabaseError as error:
                # What is no database at all may be another file, that was named by mistake.
                if not is_damaged(error) or error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                    raise
                self._begin_anew(error)
                self._table = ResultsTable(self.path, anew=self._anew, **options)
        except (OSError, sqlite3.Error) as error:
            reason = why_not_writable(error, self.path, was_open=False)
            if not reason:
                raise InvalidInput(f"{self.path}: can't be opened as a results file: {error}") from error
            self._tell_trouble(reason)
            return
        self.next_sequence, self.aside = self._table.next_sequence, self._table.aside
        self.last_captured_s = self._table.last_captured_s

    def _run(self) -> None:
        """Writes everything that waits in one commit, again and again; the thread's whole life."""
        wait_s, until_s = _AGAIN_S[0], float("inf")
        while True:
            with self._changed:
                while not self._waiting and not self._closing.is_set():
                    self._changed.wait()
                if self._closing.is_set():
                    until_s = min(until_s, time.monotonic() + _CLOSES_WITHIN_S)
                    if not self._waiting:
                        return
                gathers = len(self._waiting) < _AT_ONCE and not self._is_full()
            if gathers:
                self._closing.wait(self.every_s)
            with self._changed:
                batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                self._waiting_bytes -= sum(each.size_bytes for each in batch)
            done = self._write(batch)
            with self._changed:
                self._changed.notify_all()
                if done == len(batch):
                    wait_s = _AGAIN_S[0]
                    continue
                self._waiting.extendleft(reversed(batch[done:]))
                self._waiting_bytes += sum(each.size_bytes for each in batch[done:])
                left = len(self._waiting)
            if time.monotonic() > until_s:
                logger.error(
                    "%s: could not be written to the end (%s): %d rows are lost", self.path, self.trouble, left
                )
                self.lost += left
                return
            if self._closing.wait(wait_s):
                time.sleep(_CLOSING_AGAIN_S)
            wait_s = min(2 * wait_s, _AGAIN_S[1])

    def _write(self, batch: list[_Waiting]) -> int:
        """Writes all of it, if that is possible; returns how much of it is done with, from its beginning on."""
        try:
            table = self._table or self._open_again(batch)
            table.write(statement for each in batch for statement in each.statements)
        except (OSError, sqlite3.Error, InvalidInput) as error:
            return self._take_error(error, batch)
        if self.trouble:
            logger.warning("%s: can be written again", self.path)
            self.trouble = ""
        self._written_bytes += sum(each.size_bytes for each in batch)
        if self._written_bytes > _LOOKS_SHARE * self.most_bytes:
            self._written_bytes = 0
            self._bound(table)
        self._tell_done(batch)
        return len(batch)

    def _take_error(self, error: Exception, batch: list[_Waiting]) -> int:
        """What could not be written: how much of it is done with all the same."""
        if is_damaged(error):
            self._begin_anew(error)
            return 0
        reason = why_not_writable(error, self.path)
        if reason or self._table is None:
            self._tell_trouble(reason or str(error))
            return 0
        if len(batch) == 1:
            logger.error("%s: a row can't be kept: %s", self.path, error)
            self.lost += 1
            self._tell_done(batch)
            return 1
        # One row of it is none that can be kept: the others are.
        for done, each in enumerate(batch):
            if not self._write([each]):
                return done
        return len(batch)

    def _tell_done(self, batch: list[_Waiting]) -> None:
        for each in batch:
            try:
                if each.then is not None:
                    each.then()
            except Exception:
                logger.exception("%s: what is to be told of a row that is kept failed", self.path)

    def _bound(self, table: ResultsTable) -> None:
        try:
            gone = table.bound(self.most_bytes)
        except (OSError, sqlite3.Error) as error:
            # It is looked again once more was written.
            logger.debug("%s: %s", self.path, error)
            return
        if gone and not self._bounded:
            self._bounded = True
            logger.warning("%s: has reached %d bytes: the oldest results go (told once)", self.path, self.most_bytes)

    def _open_again(self, batch: list[_Waiting]) -> ResultsTable:
        """Opens the file that could not be opened at the start: what an earlier run wrote there stays.

        Raises:
            InvalidInput, OSError, sqlite3.Error: that is still not possible.
        """
        first = next((values[0] for each in batch for sql, values in each.statements if sql == _INPUT), 0)
        options: dict[str, Any] = {"stream": self.stream, "durable": self.durable}
        table = ResultsTable(self.path, anew=self._anew, **options)
        if table.next_sequence > first:
            table.close()
            table = ResultsTable(self.path, anew=True, **options)
        self._table, self._anew = table, False
        return table

    def _begin_anew(self, error: Exception) -> None:
        if self._table is not None:
            with suppress(sqlite3.Error):
                self._table.close()
        self._table = None
        try:
            aside = set_aside(self.path)
        except OSError as why:
            self._tell_trouble(f"it is damaged, and can't be renamed: {why}")
            return
        logger.error("%s: is damaged (%s): it is now %s, and a new one is begun", self.path, error, aside.name)

    def _tell_trouble(self, reason: str) -> None:
        if not self.trouble:
            logger.error("%s: can't be written: %s; results wait in memory, and it is tried again", self.path, reason)
        self.trouble = reason


def _statement(sql: str, row: ResultRow) -> Statement:
    value = None if row.value is None else pack(row.value)
    sources = ",".join(row.sources)
    origin = (row.origin, row.confidence, row.trusted, sources, row.reference)
    trust = row.trust or ("certified" if row.trusted else "uncalibrated")
    return sql, (row.model, row.sequence, row.captured_s, *origin, value, trust)

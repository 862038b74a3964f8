"""The results file: every model's result for every input, and how it was obtained; written by the agent, read later."""

import queue
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ..codec import pack, unpack
from ..errors import InvalidInput
from ..files import mark_format
from ..outputs import Array

_QUEUE = 4096

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS inputs (
    sequence INTEGER PRIMARY KEY, captured_s REAL NOT NULL, kept INTEGER NOT NULL, score REAL,
    threshold REAL NOT NULL, decide_s REAL NOT NULL, decided_s REAL NOT NULL, sent_bytes INTEGER NOT NULL,
    audit_probability REAL NOT NULL, received_s REAL, refused TEXT
);
CREATE TABLE IF NOT EXISTS results (
    model TEXT NOT NULL, sequence INTEGER NOT NULL, captured_s REAL NOT NULL, origin TEXT NOT NULL,
    confidence REAL NOT NULL, trusted INTEGER NOT NULL, sources TEXT NOT NULL, reference INTEGER, value BLOB,
    trust TEXT NOT NULL DEFAULT '', PRIMARY KEY (model, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# Files of earlier versions have no such column.
_ADD_TRUST = "ALTER TABLE results ADD COLUMN trust TEXT NOT NULL DEFAULT ''"
_INPUT = "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"
_RESULT = "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class InputRow:
    """One input, as the agent decided on it.

    Attributes:
        sequence: the input's.
        captured_s: when it was captured.
        kept: whether it was to be sent.
        score: how much it needs the models, by the gate; None: by a gate without such a measure.
        threshold: the score above which the gate keeps an input.
        decide_s: the time that the decision took.
        decided_s: when it was decided on, from the run's start.
        sent_bytes: the size of its message, with its frame if that was asked for; 0: nothing of it was sent.
        audit_probability: above 0: the filter would not have kept it, but it was sent, as it was with this probability.
    """

    sequence: int
    captured_s: float
    kept: bool
    score: float | None
    threshold: float
    decide_s: float
    decided_s: float
    sent_bytes: int = 0
    audit_probability: float = 0.0

    def sent(self, size_bytes: int) -> Self:
        """The same row with the size of the input's message."""
        return replace(self, sent_bytes=size_bytes)


@dataclass(frozen=True)
class ResultRow:
    """One model's result for one input.

    Attributes:
        model: the model's name.
        sequence: the input's.
        captured_s: when the input was captured.
        origin: how the result was obtained: "executed", "linked", "held", "constant", "local", "skipped" or "reused".
            "local" is an answer of this device: of the model itself, which then has no sources, or of its head, whose
            source is "stem".
        confidence: the result's; with a reference, that the reference's result still holds.
        trusted: whether the confidence is certified; with a reference, the reference's own has to be as well.
        sources: the models whose outputs it was predicted from.
        reference: the kept input whose value this is; None: the value is its own.
        value: the output; None where `reference` has it.
        trust: how the result is certified: "exact", "certified", "unsure", "uncalibrated" or "revoked"; empty: by
            `trusted`.
    """

    model: str
    sequence: int
    captured_s: float
    origin: str
    confidence: float
    trusted: bool
    sources: tuple[str, ...] = ()
    reference: int | None = None
    value: Array | None = None
    trust: str = ""


class ResultsFile:
    """Writes a results file, from a thread of its own, so that whoever adds to it does not wait for the disk.

    Args:
        path: the file.
        anew: whether to start with an empty file; otherwise results are added to what is there.
        stream: whose results these are; empty: those of a device's only stream.

    Raises:
        InvalidInput: the file can't be opened as a results file, or what is there is another stream's.
    """

    def __init__(self, path: Path, *, anew: bool, stream: str = "") -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            mark_format(self._database, FORMAT, path=path, what="a results file")
            with self._database:
                if anew:
                    self._database.executescript("DROP TABLE IF EXISTS inputs; DROP TABLE IF EXISTS results;")
                self._database.executescript(_SCHEMA)
                columns = [row[1] for row in self._database.execute("PRAGMA table_info(results)")]
                if "trust" not in columns:
                    self._database.execute(_ADD_TRUST)
            last = self._database.execute("SELECT MAX(sequence) FROM inputs").fetchone()[0]
            self._check_stream(stream, is_empty=last is None)
        except (OSError, sqlite3.Error) as error:
            raise InvalidInput(f"{path}: can't be opened as a results file: {error}") from error
        self.next_sequence: int = 0 if last is None else int(last) + 1
        self._queue: queue.Queue[list[tuple[str, tuple[Any, ...]]] | None] = queue.Queue(_QUEUE)
        self._failure: sqlite3.Error | None = None
        self._thread = threading.Thread(target=self._write, name="results", daemon=True)
        self._thread.start()

    def add_input(self, row: InputRow, results: Iterable[ResultRow] = ()) -> None:
        """Adds an input, with the results that are known already.

        Raises:
            InvalidInput: the file can't be written any more; so do the other methods that add to it.
        """
        values = (row.sequence, row.captured_s, row.kept, row.score, row.threshold, row.decide_s, row.decided_s)
        self._put([(_INPUT, (*values, row.sent_bytes, row.audit_probability)), *map(_statement, results)])

    def add_results(self, sequence: int, received_s: float, results: Iterable[ResultRow]) -> None:
        """Adds the results of an input that was sent."""
        received = ("UPDATE inputs SET received_s = ? WHERE sequence = ?", (received_s, sequence))
        self._put([received, *map(_statement, results)])

    def add_sent(self, sequence: int, size_bytes: int) -> None:
        """Adds to what was sent of an input: its frame, which was asked for."""
        self._put([("UPDATE inputs SET sent_bytes = sent_bytes + ? WHERE sequence = ?", (size_bytes, sequence))])

    def add_refused(self, sequence: int, reason: str) -> None:
        """Adds the reason why an input that was kept has no results."""
        self._put([("UPDATE inputs SET refused = ? WHERE sequence = ?", (reason, sequence))])

    def close(self) -> None:
        """Writes what is left and closes the file; closing twice is fine."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
            self._database.close()

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def _check_stream(self, stream: str, *, is_empty: bool) -> None:
        """Notes whose results these are; those of files without such a note are of a device's only stream."""
        found = _stream_of(self._database)
        if is_empty:
            with self._database:
                self._database.execute("INSERT OR REPLACE INTO about VALUES ('stream', ?)", (stream,))
        elif found != stream:
            self._database.close()
            raise InvalidInput(
                f"{self.path}: has results of {_named(found)}, not of {_named(stream)}: give each its own `results`"
            )

    def _put(self, statements: list[tuple[str, tuple[Any, ...]]]) -> None:
        if self._failure is not None:
            raise InvalidInput(f"{self.path}: can't be written: {self._failure}") from self._failure
        self._queue.put(statements)

    def _write(self) -> None:
        """Writes everything that waits in one commit, again and again; the thread's whole life."""
        closing = False
        while not closing:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            closing = None in waiting
            try:
                with self._database:
                    for statements in waiting:
                        for sql, values in statements or ():
                            self._database.execute(sql, values)
            except sqlite3.Error as error:
                self._failure = error


def _stream_of(database: sqlite3.Connection) -> str:
    """Whose results a file has, by its note; empty: those of a device's only stream."""
    known = database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'about'").fetchone()
    row = database.execute("SELECT value FROM about WHERE key = 'stream'").fetchone() if known else None
    return "" if row is None else str(row[0])


def _named(stream: str) -> str:
    return f"stream {stream!r}" if stream else "a device's only stream"


def _statement(row: ResultRow) -> tuple[str, tuple[Any, ...]]:
    value = None if row.value is None else pack(row.value)
    sources = ",".join(row.sources)
    origin = (row.origin, row.confidence, row.trusted, sources, row.reference)
    trust = row.trust or ("certified" if row.trusted else "uncalibrated")
    return _RESULT, (row.model, row.sequence, row.captured_s, *origin, value, trust)


class Results:
    """Reads a results file; every list has one item for each of `sequences`.

    Args:
        path: the file.

    Attributes:
        stream: whose results these are; empty: those of a device's only stream.

    Raises:
        InvalidInput: there is no such file, or it is not a results file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InvalidInput(f"{path}: there is no such results file")
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            sql = "SELECT sequence, captured_s, kept, sent_bytes FROM inputs ORDER BY sequence"
            rows = self._database.execute(sql).fetchall()
            names = self._database.execute("SELECT DISTINCT model FROM results ORDER BY model").fetchall()
            self.stream = _stream_of(self._database)
        except sqlite3.Error as error:
            self._database.close()
            raise InvalidInput(f"{path}: is not a results file ({error})") from error
        self.sequences: list[int] = [row[0] for row in rows]
        self.captured_s: list[float] = [row[1] for row in rows]
        self.kept: list[bool] = [bool(row[2]) for row in rows]
        self.sent_bytes: list[int] = [row[3] for row in rows]
        self.models: list[str] = [row[0] for row in names]

    def served(self, model: str) -> list[Array]:
        """The value that a user had for each input: its own, or that of the input it refers to.

        An input without a result (dropped, refused) has the last value before it.

        Raises:
            InvalidInput: the file holds no output of this model.
        """
        own = {row[0]: unpack(row[1]) for row in self._rows("sequence, value", model) if row[1] is not None}
        if not own:
            raise InvalidInput(
                f"{self.path}: holds no output of {model!r} (it has: {', '.join(self.models) or 'none'})"
            )
        references = dict(self._rows("sequence, reference", model))
        last = next(iter(own.values()))
        values = []
        for sequence in self.sequences:
            source = references.get(sequence)
            last = own.get(sequence if source is None else source, last)
            values.append(last)
        return values

    def origins(self, model: str) -> list[str]:
        """How each input's result was obtained; "held" for an input without one."""
        found = dict(self._rows("sequence, origin", model))
        return [found.get(sequence, "held") for sequence in self.sequences]

    def trust(self, model: str) -> list[str]:
        """How each input's result is certified; empty where there is no result, or the file does not say."""
        columns = [row[1] for row in self._database.execute("PRAGMA table_info(results)")]
        found = dict(self._rows("sequence, trust", model)) if "trust" in columns else {}
        return [found.get(sequence, "") for sequence in self.sequences]

    def close(self) -> None:
        """Closes the file; closing twice is fine."""
        self._database.close()

    def __enter__(self) -> Self:
        """The results themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self.close()

    def _rows(self, columns: str, model: str) -> Sequence[tuple[Any, ...]]:
        sql = f"SELECT {columns} FROM results WHERE model = ? ORDER BY sequence"
        return self._database.execute(sql, (model,)).fetchall()

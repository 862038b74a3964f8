"""The tables of a results file, and the files of earlier runs beside it; how much room they may take."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..files import mark_format, remove_database

FORMAT = 1
Statement = tuple[str, tuple[Any, ...]]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS inputs (
    sequence INTEGER PRIMARY KEY, captured_s REAL NOT NULL, kept INTEGER NOT NULL, score REAL,
    threshold REAL NOT NULL, decide_s REAL NOT NULL, decided_s REAL NOT NULL, sent_bytes INTEGER NOT NULL,
    audit_probability REAL NOT NULL, received_s REAL, refused TEXT, level TEXT NOT NULL DEFAULT '',
    late INTEGER NOT NULL DEFAULT 0, camera TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS results (
    model TEXT NOT NULL, sequence INTEGER NOT NULL, captured_s REAL NOT NULL, origin TEXT NOT NULL,
    confidence REAL NOT NULL, trusted INTEGER NOT NULL, sources TEXT NOT NULL, reference INTEGER, value BLOB,
    trust TEXT NOT NULL DEFAULT '', PRIMARY KEY (model, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    what TEXT NOT NULL, started_s REAL NOT NULL, ended_s REAL NOT NULL, model TEXT NOT NULL, best INTEGER NOT NULL,
    picture TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_TABLES = {"inputs", "results", "events", "about"}
# Files of earlier versions have no such columns.
_ADDED = {
    ("results", "trust"): "TEXT NOT NULL DEFAULT ''",
    ("inputs", "level"): "TEXT NOT NULL DEFAULT ''",
    ("inputs", "late"): "INTEGER NOT NULL DEFAULT 0",
    ("inputs", "camera"): "TEXT NOT NULL DEFAULT ''",
}
_LOCKED_S = 1.0
"""How long one attempt waits for another program's lock."""
_LOG_BYTES = 4 * 2**20
_LOOKED_BACK = 100_000
"""More inputs than this are never under way at once."""
_LEFT_SHARE = 0.9
"""Once there is too much, so much is left: rows do not go one by one."""


class ResultsTable:
    """An open results file.

    Args:
        path: the file.
        anew: whether to begin an empty one; what an earlier run wrote is set aside.
        stream: whose results these are; empty: those of a device's only stream.
        durable: whether what is written outlives a power cut.

    Attributes:
        next_sequence: one more than the largest sequence in it.
        last_captured_s: when the last input in it was captured.
        aside: what the file of an earlier run is called now; None: there was none to set aside.

    Raises:
        InvalidInput: it holds another stream's results or something else, or a newer infilink wrote it.
        sqlite3.Error, OSError: it can't be opened, or is no results file.
    """

    def __init__(self, path: Path, *, anew: bool, stream: str, durable: bool) -> None:
        self.path = path
        self.last_captured_s = 0.0
        self.aside: Path | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = self._connect(durable)
        try:
            self.next_sequence = self._prepare(stream)
            if anew and self.next_sequence:
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._database.close()
                self.aside = set_aside(path)
                self._database = self._connect(durable)
                self.next_sequence = self._prepare(stream)
        except BaseException:
            self._database.close()
            raise

    def gap(self, every: int) -> tuple[int, frozenset[int]]:
        """The sequence from which on rows may be missing, and the rows that are there all the same behind it.

        A program that is killed has told of inputs in the order in which they were done with, not in their own.

        Args:
            every: one of so many inputs is taken.

        Raises:
            sqlite3.Error: it can't be read.
        """
        found = self._database.execute(
            "SELECT sequence FROM inputs WHERE sequence > ? ORDER BY sequence", (self.next_sequence - _LOOKED_BACK,)
        ).fetchall()
        sequences = np.asarray([sequence for (sequence,) in found], np.int64)
        # With a packet gate one of so many is not always the same one.
        gaps = np.flatnonzero(np.diff(sequences) >= 2 * every)
        if not gaps.size:
            return self.next_sequence, frozenset()
        return int(sequences[gaps[0]]) + 1, frozenset(sequences[gaps[0] + 1 :].tolist())

    def write(self, statements: Iterable[Statement]) -> None:
        """Writes all of it, or nothing.

        Raises:
            sqlite3.Error: it can't be written.
        """
        with self._database:
            for sql, values in statements:
                self._database.execute(sql, values)

    def bound(self, most_bytes: int) -> int:
        """Removes the oldest runs, then this run's oldest rows, until all are within a bound; returns how much went.

        Raises:
            sqlite3.Error: it can't be written.
        """
        earlier, used_bytes = earlier_runs(self.path), self._used_bytes()
        sizes = [_size_bytes(path) for path in earlier]
        removed = 0
        while earlier and used_bytes + sum(sizes) > most_bytes:
            sizes.pop(0)
            removed += _remove_run(earlier.pop(0))
        if used_bytes <= most_bytes:
            return removed
        first, last = self._database.execute("SELECT MIN(sequence), MAX(sequence) FROM inputs").fetchone()
        if first is None:
            return removed
        share = 1.0 - _LEFT_SHARE * most_bytes / used_bytes
        count = self._database.execute("SELECT COUNT(*) FROM inputs").fetchone()[0]
        sql = "SELECT sequence FROM inputs ORDER BY sequence LIMIT 1 OFFSET ?"
        until = self._database.execute(sql, (int(share * count),)).fetchone()
        until = last + 1 if until is None else until[0]
        with self._database:
            for (model,) in self._database.execute("SELECT DISTINCT model FROM results").fetchall():
                self._database.execute("DELETE FROM results WHERE model = ? AND sequence < ?", (model, until))
            self._database.execute("DELETE FROM events WHERE best < ?", (until,))
            return removed + self._database.execute("DELETE FROM inputs WHERE sequence < ?", (until,)).rowcount

    def close(self) -> None:
        """Closes it; closing twice is fine."""
        self._database.close()

    def _connect(self, durable: bool) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, timeout=_LOCKED_S)
        try:
            check_own(database, self.path)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            database.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES:d}")
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, stream: str) -> int:
        """Makes the tables what this version writes; returns the next sequence."""
        database = self._database
        mark_format(database, FORMAT, path=self.path, what="a results file")
        with database:
            database.executescript(_SCHEMA)
            for (table, column), kind in _ADDED.items():
                if column not in [row[1] for row in database.execute(f"PRAGMA table_info({table})")]:
                    database.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        last, last_s = database.execute("SELECT MAX(sequence), MAX(captured_s) FROM inputs").fetchone()
        self.last_captured_s = last_s or 0.0
        if last is None:
            with database:
                database.execute("INSERT OR REPLACE INTO about VALUES ('stream', ?)", (stream,))
        check_stream(database, self.path, stream)
        return 0 if last is None else int(last) + 1

    def _used_bytes(self) -> int:
        """What the rows take; room that removed rows have left is used again."""
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def stream_of(database: sqlite3.Connection) -> str:
    """Whose results a file has, by its note; empty: those of a device's only stream."""
    known = database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'about'").fetchone()
    row = database.execute("SELECT value FROM about WHERE key = 'stream'").fetchone() if known else None
    return "" if row is None else str(row[0])


def check_own(database: sqlite3.Connection, path: Path) -> None:
    """Makes sure that what is there, if anything is, are results: else another program's tables stood among ours.

    Raises:
        InvalidInput: they are not.
        sqlite3.Error: it can't be read.
    """
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    # One that was killed while it began has some of ours alone.
    if tables - _TABLES and not tables >= {"inputs", "results"}:
        raise InvalidInput(f"{path}: is a database of something else: give `results` a file of its own")


def check_stream(database: sqlite3.Connection, path: Path, stream: str) -> None:
    """Makes sure that a file with results has a stream's.

    Raises:
        InvalidInput: it has another stream's.
        sqlite3.Error: it can't be read.
    """
    found = stream_of(database)
    if found != stream and database.execute("SELECT 1 FROM inputs").fetchone() is not None:
        raise InvalidInput(
            f"{path}: has results of {_named(found)}, not of {_named(stream)}: give each its own `results`"
        )


def _remove_run(path: Path) -> bool:
    """Removes the file of an earlier run; whether it was one, and not a file of the user's that is called like one."""
    # One that was set aside as it was damaged can't be asked.
    with suppress(sqlite3.Error):
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                check_own(database, path)
        except InvalidInput:
            return False
    remove_database(path)
    return True


def set_aside(path: Path) -> Path:
    """Gives a results file, with all that SQLite keeps beside it, the next numbered name: results.3.sqlite.

    Raises:
        OSError: it can't be renamed.
    """
    runs = earlier_runs(path)
    number = 1 + (_number(runs[-1], path) if runs else 0)
    to = path.with_name(f"{path.stem}.{number}{path.suffix}")
    # What is not yet in the database goes first: without its log it would have lost that.
    for kind in ("-wal", "-shm", ""):
        part = path.with_name(f"{path.name}{kind}")
        if part.exists():
            part.rename(to.with_name(f"{to.name}{kind}"))
    return to


def earlier_runs(path: Path) -> list[Path]:
    """The results files of earlier runs beside a file, the oldest first."""
    if not path.parent.is_dir():
        return []
    found = [each for each in path.parent.iterdir() if _number(each, path)]
    return sorted(found, key=lambda each: _number(each, path))


def _number(found: Path, path: Path) -> int:
    """Which of the earlier runs beside `path` a file is; 0: none."""
    match = re.fullmatch(re.escape(path.stem) + r"\.([1-9]\d{0,8})" + re.escape(path.suffix), found.name)
    return int(match[1]) if match else 0


def _size_bytes(path: Path) -> int:
    sizes = [each.stat().st_size for each in (path, path.with_name(f"{path.name}-wal")) if each.exists()]
    return sum(sizes)


def _named(stream: str) -> str:
    return f"stream {stream!r}" if stream else "a device's only stream"

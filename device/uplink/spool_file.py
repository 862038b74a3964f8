"""The spool's SQLite file: every commit is synced, every row has a checksum, and what is damaged is told apart."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from ...files import mark_format
from ..disk_state import lock_beside
from .spool_rows import Head, Key, SpoolRow, SpoolSession

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL, hello BLOB NOT NULL,
    results TEXT NOT NULL, position INTEGER NOT NULL, reserved INTEGER NOT NULL, ended INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS inputs (
    number INTEGER PRIMARY KEY, session TEXT NOT NULL, sequence INTEGER NOT NULL, captured_s REAL NOT NULL,
    taken_s REAL NOT NULL, value REAL NOT NULL, size_bytes INTEGER NOT NULL, chain INTEGER, answered INTEGER NOT NULL,
    checksum INTEGER NOT NULL, UNIQUE (session, sequence)
);
CREATE INDEX IF NOT EXISTS inputs_value ON inputs (value);
CREATE INDEX IF NOT EXISTS inputs_chain ON inputs (session, chain) WHERE chain IS NOT NULL;
CREATE TABLE IF NOT EXISTS payloads (
    number INTEGER PRIMARY KEY, head TEXT NOT NULL, message BLOB NOT NULL, facts BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
"""
HEAD = "session, sequence, captured_s, taken_s, value, size_bytes, chain"
SESSION = "id, source, hello, results, position, reserved, ended"
_LOG_BYTES = 4 * 2**20
_LOCKED_S = 1.0
_CACHE_KIB = 512
_FREE_PAGES = 1024
"""So many pages that nothing uses any more are given back to the disk."""


class DamagedRow(Exception):
    """The disk has not kept a row as it was written."""


class DamagedFile(Exception):
    """The disk has not kept the file as it was written."""


@dataclass
class Change:
    """What is written in one commit.

    Attributes:
        rows: new inputs; those that are there stay as they are.
        gone: inputs that are answered, or dropped.
        about: single values, by their names.
        session: what is new of the session that is written to.
        closed: chains that no more inputs will refer to, each with its session.
        open_chain: the chain that more may refer to; None: none.
    """

    rows: Sequence[SpoolRow] = ()
    gone: Sequence[Key] = ()
    about: dict[str, bytes] = field(default_factory=dict)
    session: SpoolSession | None = None
    closed: Sequence[Key] = ()
    open_chain: Key | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.rows or self.gone or self.about or self.session or self.closed)


class SpoolFile:
    """One stream's spool on disk. Threads may share it: one writes, others read meanwhile.

    Args:
        path: the file; its folder is made if it is missing.

    Raises:
        InvalidInput: another agent uses it, or a newer infilink wrote it.
        DamagedFile: it is no whole spool.
        OSError, sqlite3.Error: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock: int | None = lock_beside(path, advice="give each a `folder` of its own")
        self._reading = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        try:
            self._writer = writer = self._connect()
            writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
            writer.execute("PRAGMA journal_mode = WAL")
            # Each commit is synced: what was committed outlives a power cut.
            writer.execute("PRAGMA synchronous = FULL")
            writer.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES:d}")
            mark_format(writer, FORMAT, path=path, what="a spool")
            with writer:
                writer.executescript(_SCHEMA)
            self._check(writer)
            self._reader = self._connect()
            for chain in self._read("SELECT DISTINCT session, chain FROM inputs WHERE chain IS NOT NULL"):
                with writer:
                    self._forget(writer, Key(*chain))
        except BaseException:
            self.close()
            raise

    def write(self, change: Change) -> frozenset[Key]:
        """Writes all of it, synced, or nothing; returns which inputs that waited for their answer do so no more.

        Raises:
            sqlite3.Error: it can't be written.
        """
        database = self._open_writer
        with database:
            for row in change.rows:
                self._insert(database, row)
            gone, chains = self._take_out(database, change.gone)
            for name, value in change.about.items():
                database.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))
            if change.session is not None:
                _put_session(database, change.session)
            for chain in chains.union(change.closed) - {change.open_chain}:
                self._forget(database, chain)
        if not change.rows:
            self._give_back(database)
        return gone

    def about(self) -> dict[str, bytes]:
        """The single values, by their names."""
        return {name: bytes(value) for name, value in self._read("SELECT key, value FROM about")}

    def sessions(self) -> list[SpoolSession]:
        """Every session that is known, the oldest first."""
        rows = self._read(f"SELECT {SESSION} FROM sessions ORDER BY number")
        return [session_of(row) for row in rows]

    def totals(self) -> tuple[int, int]:
        """How many inputs without an answer it holds, and what they take."""
        count, size_bytes = self._read("SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM inputs WHERE answered = 0")[
            0
        ]
        return int(count), int(size_bytes)

    def last(self, session: str) -> Head | None:
        """The newest input of a session, answered or not; None: it has none."""
        found = self._heads("WHERE session = ? ORDER BY sequence DESC LIMIT 1", (session,))
        return found[0] if found else None

    def unanswered(self, session: str, *, after: int = -1, limit: int) -> list[Head]:
        """Inputs of a session that have no answer, in their order, after a sequence."""
        where = "WHERE session = ? AND sequence > ? AND answered = 0 ORDER BY sequence LIMIT ?"
        return self._heads(where, (session, after, limit))

    def newest(self, session: str, *, limit: int) -> list[Head]:
        """Inputs of a session that have no answer, the newest first."""
        return self._heads("WHERE session = ? AND answered = 0 ORDER BY sequence DESC LIMIT ?", (session, limit))

    def dearest(self, session: str, *, limit: int) -> list[Head]:
        """Inputs of a session that have no answer, those worth most first, of equal ones the oldest."""
        where = "WHERE session = ? AND answered = 0 ORDER BY value DESC, number LIMIT ?"
        return self._heads(where, (session, limit))

    def cheapest(self, *, limit: int) -> list[Head]:
        """Inputs of any session that have no answer, those worth least first, of equal ones the oldest."""
        return self._heads("WHERE answered = 0 ORDER BY value, number LIMIT ?", (limit,))

    def oldest(self, *, limit: int) -> list[Head]:
        """Inputs of any session that have no answer, the oldest first."""
        return self._heads("WHERE answered = 0 ORDER BY number LIMIT ?", (limit,))

    def chain(self, session: str, chain: int, *, answered: bool = True) -> list[Head]:
        """The inputs of a chain in their order; `answered`: also those whose answer is there."""
        more = "" if answered else "AND answered = 0"
        return self._heads(f"WHERE session = ? AND chain = ? {more} ORDER BY sequence", (session, chain))

    def has(self, key: Key) -> bool:
        """Whether an input is there."""
        return bool(self._read("SELECT 1 FROM inputs WHERE session = ? AND sequence = ?", key))

    def load(self, key: Key) -> SpoolRow | None:
        """A row; None: it is not there.

        Raises:
            DamagedRow: it is not as it was written.
            sqlite3.Error: it can't be read.
        """
        sql = f"SELECT {HEAD}, checksum, number FROM inputs WHERE session = ? AND sequence = ?"
        found = self._read(sql, key)
        if not found:
            return None
        *values, checksum, number = found[0]
        payload = self._read("SELECT message, facts FROM payloads WHERE number = ?", (number,))
        if not payload:
            raise DamagedRow
        row = SpoolRow(head_of(values), bytes(payload[0][0]), bytes(payload[0][1]))
        if row.checksum != checksum:
            raise DamagedRow
        return row

    def close(self) -> None:
        """Closes it; closing twice is fine."""
        for database in (self._reader, self._writer):
            if database is not None:
                database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _open_writer(self) -> sqlite3.Connection:
        assert self._writer is not None
        return self._writer

    def _check(self, database: sqlite3.Connection) -> None:
        """Makes sure that all inputs can be found; what travels of them is checked one by one.

        Raises:
            DamagedFile: they can't.
        """
        for table in ("about", "sessions", "inputs"):
            found = database.execute(f"PRAGMA integrity_check({table})").fetchone()[0]
            if found != "ok":
                raise DamagedFile(found)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, timeout=_LOCKED_S)
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB:d}")
        return database

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        assert self._reader is not None
        with self._reading:
            return self._reader.execute(sql, tuple(values)).fetchall()

    def _heads(self, where: str, values: Sequence[Any]) -> list[Head]:
        return [head_of(row) for row in self._read(f"SELECT {HEAD} FROM inputs {where}", values)]

    def _insert(self, database: sqlite3.Connection, row: SpoolRow) -> None:
        head = row.head
        values = (*head.key, *astuple(head)[1:], False, row.checksum)
        added = database.execute(
            f"INSERT OR IGNORE INTO inputs ({HEAD}, answered, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values
        )
        if added.rowcount:
            # Its place once more: where one of the tables is damaged the other tells it.
            place = json.dumps([*head.key, *astuple(head)[1:]])
            values = (added.lastrowid, place, row.message, row.facts, row.checksum)
            database.execute("INSERT INTO payloads VALUES (?, ?, ?, ?, ?)", values)

    def _take_out(self, database: sqlite3.Connection, keys: Iterable[Key]) -> tuple[frozenset[Key], set[Key | None]]:
        """Removes inputs; of chains, which others may refer to, they are only marked.

        Returns which of them waited for their answer, and the chains.
        """
        waited: set[Key] = set()
        chains: set[Key | None] = set()
        for key in keys:
            sql = "SELECT number, chain, answered FROM inputs WHERE session = ? AND sequence = ?"
            found = database.execute(sql, key).fetchone()
            if found is None:
                continue
            number, chain, answered = found
            if not answered:
                waited.add(key)
            if chain is None:
                database.execute("DELETE FROM inputs WHERE number = ?", (number,))
                database.execute("DELETE FROM payloads WHERE number = ?", (number,))
            else:
                database.execute("UPDATE inputs SET answered = 1 WHERE number = ?", (number,))
                chains.add(Key(key.session, int(chain)))
        return frozenset(waited), chains

    def _forget(self, database: sqlite3.Connection, chain: Key | None) -> None:
        """Removes a chain that nobody waits for, or will refer to."""
        assert chain is not None
        where = "session = ? AND chain = ?"
        left = database.execute(f"SELECT 1 FROM inputs WHERE {where} AND answered = 0 LIMIT 1", chain)
        if left.fetchone() is None:
            database.execute(f"DELETE FROM payloads WHERE number IN (SELECT number FROM inputs WHERE {where})", chain)
            database.execute(f"DELETE FROM inputs WHERE {where}", chain)

    def _give_back(self, database: sqlite3.Connection) -> None:
        """Gives room back to the disk, a little at a time, once much of it is not used."""
        if database.execute("PRAGMA freelist_count").fetchone()[0] > _FREE_PAGES:
            database.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES // 4:d})").fetchall()


def head_of(row: Sequence[Any]) -> Head:
    """A row of the columns `HEAD`."""
    return Head(Key(row[0], row[1]), *row[2:])


def session_of(row: Sequence[Any]) -> SpoolSession:
    """A row of the columns `SESSION`."""
    return SpoolSession(row[0], row[1], bytes(row[2]), row[3], row[4], row[5], bool(row[6]))


def _put_session(database: sqlite3.Connection, session: SpoolSession) -> None:
    values = astuple(session)
    database.execute(
        f"INSERT INTO sessions ({SESSION}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET source = ?, "
        "hello = ?, results = ?, position = ?, reserved = ?, ended = ?",
        (*values, *values[1:]),
    )

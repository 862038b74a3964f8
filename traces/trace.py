"""A recording: inputs and every model's output for each, in one SQLite file, written and read as a stream.

Filters and links learn from it and are judged on it. Row by row: the input's sequence number, when it was captured,
the input as it would travel (a JPEG; nothing where only outputs were logged), and one output per model. Each row is
whole or absent, so a recording that was cut off goes on where it stopped. While it is written SQLite keeps a `-wal` and
a `-shm` beside it; once it is closed it is one plain file, which can be copied and read from where nothing can be
written.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..codec import pack, unpack
from ..errors import InvalidInput, UnknownModel
from ..files import remove_database, room_for
from ..models.spec import ModelSpec
from ..outputs import Array
from .info import FORMAT, TraceInfo, check_same, dump_info, read_info
from .source_name import without_secrets
from .stored import restore

__all__ = ["FORMAT", "Recording", "Trace", "TraceInfo", "TraceWriter"]

_COMMIT_EVERY = 32

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS inputs (sequence INTEGER PRIMARY KEY, captured_s REAL NOT NULL, jpeg BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS outputs (
    model INTEGER NOT NULL, sequence INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (model, sequence)
) WITHOUT ROWID;
"""


class Trace:
    """Reads a trace. Indices run over its inputs from 0; `part` gives a stretch of it without copying.

    Raises:
        InvalidInput: no such file, not a trace, or an empty one.
    """

    def __init__(self, path: Path | str, *, start: int = 0, stop: int | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InvalidInput(f"{self.path}: there is no such trace (record one: `infilink record`)")
        self._start = start
        self._database = _open(self.path, write=False)
        try:
            self.info, rows = self._read(start, stop)
        except BaseException as error:
            self._database.close()
            if isinstance(error, sqlite3.Error):
                raise self._damaged(error) from error
            raise
        self.sequences = np.asarray([row[0] for row in rows], np.int64)
        self.captured_s = np.asarray([row[1] for row in rows], np.float64)

    def _read(self, start: int, stop: int | None) -> tuple[TraceInfo, list[tuple[int, float]]]:
        info = read_info(self._database, self.path)
        if info is None:
            raise InvalidInput(f"{self.path}: is not an infilink trace")
        rows = self._database.execute("SELECT sequence, captured_s FROM inputs ORDER BY sequence").fetchall()
        rows = rows[start:stop]
        if not rows:
            raise InvalidInput(f"{self.path}: holds no input (in the part from {start} to {stop})")
        return info, rows

    @property
    def unproven(self) -> str:
        """Why nothing can be certified from it; empty: it can."""
        if self.info.times != "invented":
            return ""
        return (
            f"the times of {self.path.name} are invented (an older infilink recorded it, or its source has no times of "
            "its own), so nothing can be certified from it: record it again"
        )

    @property
    def starts(self) -> tuple[int, ...]:
        """At which inputs a stream begins: at the first."""
        return (0,)

    @property
    def models(self) -> dict[str, ModelSpec]:
        """Each model's spec, by name."""
        return self.info.models

    def __len__(self) -> int:
        """How many inputs it holds."""
        return len(self.sequences)

    def part(self, start: int, stop: int) -> "Trace":
        """The inputs from index `start` up to `stop`, as a trace of its own."""
        return Trace(self.path, start=self._start + start, stop=self._start + min(stop, len(self)))

    def outputs(self, model: str) -> list[Array]:
        """Every output of a model, aligned with `sequences`.

        Raises:
            UnknownModel: the trace has no such model.
            InvalidInput: outputs are missing for some inputs, or damaged.
        """
        if model not in self.models:
            raise UnknownModel(model, tuple(self.models))
        try:
            cursor = self._database.execute(
                "SELECT value FROM outputs WHERE model = ? AND sequence BETWEEN ? AND ? ORDER BY sequence",
                (list(self.models).index(model), int(self.sequences[0]), int(self.sequences[-1])),
            )
            values = [unpack(row[0]) for row in cursor]
        except (sqlite3.Error, InvalidInput) as error:
            raise self._damaged(error) from error
        if len(values) != len(self):
            raise InvalidInput(f"{self.path}: model {model!r} has {len(values)} outputs for {len(self)} inputs")
        return values

    def payloads(self) -> Iterator[bytes]:
        """Every input as it was stored, one at a time.

        Raises:
            InvalidInput: it is damaged.
        """
        try:
            cursor = self._database.execute(
                "SELECT jpeg FROM inputs WHERE sequence BETWEEN ? AND ? ORDER BY sequence",
                (int(self.sequences[0]), int(self.sequences[-1])),
            )
            for (jpeg,) in cursor:
                yield jpeg
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def frames(self) -> Iterator[Array]:
        """Every input as a frame (uint8 BGR), decoded one at a time.

        Raises:
            InvalidInput: its inputs are no pictures, or it holds none.
        """
        if self.info.input not in ("image", "none"):
            raise InvalidInput(f"{self.path}: its inputs are {self.info.told_input}, not pictures")
        return self.inputs()

    def inputs(self) -> Iterator[Array]:
        """Every input as an array, read one at a time: a frame, or what was recorded.

        Raises:
            InvalidInput: it holds outputs only, or is damaged.
        """
        if self.info.input == "none":
            raise InvalidInput(
                f"{self.path}: holds outputs only: links learn from it, filters need the inputs too; record those as "
                "well (`infilink record`, or `record_callables` in Python)"
            )
        for payload in self.payloads():
            try:
                value = restore(payload, self.info.input)
            except InvalidInput as error:
                raise self._damaged(error) from error
            yield value

    def _damaged(self, error: Exception) -> InvalidInput:
        return InvalidInput(f"{self.path}: is damaged ({error}); record it again")

    def close(self) -> None:
        """Closes the file; closing twice is fine."""
        self._database.close()

    def __enter__(self) -> Self:
        """The trace itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self.close()


class TraceWriter:
    """Writes a trace; opened on a trace that is there already, it goes on after the last whole row.

    Args:
        path: the file.
        info: what holds for the whole; must say the same sources and models as the file it goes on with.

    Attributes:
        last_sequence: that of the last input that was added or left out; -1: there is none.
        last_s: when the last input that was added was captured; None: there is none.
        left_out: how many inputs were left out.

    Raises:
        InvalidInput: the file is there and is something else, was recorded from another source or other models, or has
            no room. Adding to it raises this too when the disk is full: what is in it stays.
    """

    def __init__(self, path: Path | str, info: TraceInfo) -> None:
        self.path = Path(path)
        self.info = replace(info, source=without_secrets(info.source), format=max(FORMAT, info.format))
        self._names = list(info.models)
        self._pending = 0
        self._file: int | None = None
        self._closed = False
        self._is_new = not self.path.exists()
        self._database = _open(self.path, write=True)
        try:
            with room_for(self.path):
                self._begin()
        except BaseException as error:
            self._database.close()
            if self._is_new:
                remove_database(self.path)
            if isinstance(error, sqlite3.Error):
                raise InvalidInput(f"{self.path}: can't be opened as a trace: {error}") from error
            raise
        self._look()

    def _look(self) -> None:
        """Takes note of how far the recording is."""
        row = self._database.execute("SELECT sequence, captured_s FROM inputs ORDER BY sequence DESC").fetchone()
        self.last_s: float | None = row[1] if row else None
        left_out = json.loads(self.recall("left_out") or "{}")
        self.left_out = int(left_out.get("inputs", 0))
        self.last_sequence = max(int(row[0]) if row else -1, int(left_out.get("last", -1)))

    def _begin(self) -> None:
        """Makes sure that the file is this trace, or makes it."""
        # Looked at first: another program's file stays as it was, also its journal's mode.
        found = read_info(self._database, self.path) if _has_tables(self._database, self.path) else None
        if found is not None:
            check_same(self.path, found, self.info)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        # Each commit goes from the log into the file at once, which was given the room for it.
        self._database.execute("PRAGMA wal_autocheckpoint = 1")
        self._database.executescript(_SCHEMA)
        if found is None or found.format < FORMAT:
            # What was found may have been measured; only what is new in this format is added to it.
            info = self.info if found is None else replace(found, format=FORMAT, form=found.form or self.info.form)
            with self._database:
                self._database.execute("INSERT OR REPLACE INTO meta VALUES ('info', ?)", (dump_info(info),))

    def append(self, sequence: int, captured_s: float, jpeg: bytes, outputs: Mapping[str, Array]) -> None:
        """Adds one input (a JPEG) and every model's output for it; a row is written whole or not at all."""
        if sequence <= self.last_sequence:
            raise InvalidInput(f"sequence {sequence} is already recorded (the last one is {self.last_sequence})")
        rows = [(i, sequence, pack(outputs[name])) for i, name in enumerate(self._names)]
        with self._whole():
            self._database.execute("INSERT INTO inputs VALUES (?, ?, ?)", (sequence, captured_s, jpeg))
            self._database.executemany("INSERT INTO outputs VALUES (?, ?, ?)", rows)
            self.last_sequence, self.last_s = sequence, captured_s
            self._count()

    def leave_out(self, sequence: int) -> None:
        """Counts an input that can't be recorded, as a model has no output for it; a later recording goes on behind."""
        self.left_out += 1
        self.last_sequence = max(self.last_sequence, sequence)
        self.remember("left_out", json.dumps({"inputs": self.left_out, "last": sequence}))

    def remember(self, key: str, value: str) -> None:
        """Keeps a word beside the inputs, for who goes on with this recording."""
        with self._whole():
            self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            self._count()

    def recall(self, key: str) -> str | None:
        """What was remembered; None: nothing was."""
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Writes a part of a commit; where that finds no room, all since the last commit is taken back."""
        try:
            with room_for(self.path):
                yield
        except InvalidInput:
            self._pending = 0
            with suppress(sqlite3.Error):
                self._database.rollback()
                self._look()
            raise

    def _count(self) -> None:
        self._pending += 1
        if self._pending >= _COMMIT_EVERY:
            self._commit()

    def _commit(self) -> None:
        """Commits, but only what the file itself has room for, beside the log: on a full disk it is a plain file then.

        It is opened for that once: to close it would give up the locks that SQLite has on it.
        """
        if self._pending and hasattr(os, "posix_fallocate"):
            if self._file is None:
                self._file = os.open(self.path, os.O_RDWR)
            pages, size = (self._database.execute(f"PRAGMA {key}").fetchone()[0] for key in ("page_count", "page_size"))
            os.posix_fallocate(self._file, 0, pages * size)
        self._database.commit()
        self._pending = 0

    def close(self) -> None:
        """Commits what is written and makes it one plain file; closing twice is fine.

        Raises:
            InvalidInput: there is no room for what was added last.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with self._whole():
                self._commit()
        finally:
            # Where somebody reads it just now, it stays as it is: that is a whole trace too, with two files beside it.
            with suppress(sqlite3.OperationalError):
                self._database.execute("PRAGMA busy_timeout = 0")
                self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.close()
            if self._file is not None:
                os.close(self._file)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Closes; after an error only that is told, and what is written stays, if it is anything."""
        failed = error is not None
        try:
            self.close()
        except InvalidInput:
            if not failed:
                failed = True
                raise
        finally:
            if failed and self._is_new and self.last_s is None:
                remove_database(self.path)


@dataclass(frozen=True)
class Recording:
    """What was recorded.

    Attributes:
        path: the trace.
        inputs: how many inputs it now holds.
        added: how many of them this call added; the others were there already.
        left_out: how many inputs it lacks, in all, as a model had no usable output for them.
    """

    path: Path
    inputs: int
    added: int
    left_out: int = 0


def _open(path: Path, *, write: bool) -> sqlite3.Connection:
    try:
        if write:
            return sqlite3.connect(path)
        alone = "&immutable=1" if _lacks_its_log(path) else ""
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise InvalidInput(f"{path}: can't be opened as a trace: {error}") from error


def _lacks_its_log(path: Path) -> bool:
    """Whether the file says that it has a log and there is none: a copy of it, or an earlier version's recording.

    SQLite would make the log, just to read the file, and would fail where nothing can be written.
    """
    with path.open("rb") as file:
        logged = file.read(19)[18:] == b"\2"
    return logged and not path.with_name(f"{path.name}-wal").exists()


def _has_tables(database: sqlite3.Connection, path: Path) -> bool:
    """Whether a trace's tables are there; none at all are in a new file."""
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not {"meta", "inputs", "outputs"} <= tables:
        raise InvalidInput(f"{path}: is another program's database, not an infilink trace; give another --out")
    return bool(tables)

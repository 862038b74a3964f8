"""The ledger: every answer is on disk before it is sent, so that a repeated input gets the same answer again."""

import asyncio
import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput
from ..files import check_format, mark_format, room_for

logger = logging.getLogger(__name__)

FORMAT = 1
"""Of the whole file, the learned state in it included."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY, device TEXT NOT NULL, session TEXT NOT NULL, sequence INTEGER NOT NULL,
    answer BLOB NOT NULL, UNIQUE (device, session, sequence)
);
"""
_PRUNE_EVERY = 500


@dataclass(frozen=True)
class InputKey:
    """Identifies an input of any device, for ever."""

    device: str
    session: str
    sequence: int


_Row = tuple[InputKey, bytes, "asyncio.Future[None]"]


class Ledger:
    """The answers by input, in a SQLite file that outlives the process; the newest `rows` of them are kept.

    On a full disk answers wait until there is room again, which is said once.

    After a power failure the newest answers may be missing; an input whose answer did not reach its device is then
    answered again.

    Args:
        path: the SQLite file; its folder is made if it is missing.
        rows: how many answers to keep.
        retry_s: how long to wait before the next try to write on a full disk.

    Raises:
        InvalidInput: the file can't be opened.
    """

    def __init__(self, path: Path, *, rows: int = 100_000, retry_s: float = 1.0) -> None:
        self.path = path
        self.rows = rows
        self.retry_s = retry_s
        self._full = False
        self._pending: list[_Row] = []
        self._flushing: asyncio.Task[None] | None = None
        self._since_prune = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = sqlite3.connect(path, check_same_thread=False)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            mark_format(self._writer, FORMAT, path=path, what="a ledger")
            with self._writer:
                self._writer.executescript(_SCHEMA)
            # A connection of its own, so that a look-up does not wait for a commit.
            self._reader = sqlite3.connect(path, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise InvalidInput(f"{path}: can't be opened as a ledger: {error}; give another `ledger`") from error

    def find(self, key: InputKey) -> bytes | None:
        """The answer that this input got before; None: it has none."""
        row = self._reader.execute(
            "SELECT answer FROM answers WHERE device = ? AND session = ? AND sequence = ?",
            (key.device, key.session, key.sequence),
        ).fetchone()
        return None if row is None else bytes(row[0])

    async def record(self, key: InputKey, answer: bytes) -> None:
        """Writes an answer, which is on disk when this returns; answers recorded meanwhile share the next commit."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((key, answer, written))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await written

    def close(self) -> None:
        """Closes the file; closing twice is fine."""
        self._writer.close()
        self._reader.close()

    async def _flush(self) -> None:
        while self._pending:
            rows, self._pending = self._pending, []
            failure: sqlite3.Error | None = None
            try:
                with room_for(self.path):
                    await asyncio.get_running_loop().run_in_executor(None, self._write, rows)
                self._full = False
            except InvalidInput as error:
                await self._wait_for_room(error)
                self._pending = [row for row in (*rows, *self._pending) if not row[2].done()]
                continue
            except sqlite3.Error as error:
                failure = error
            for _, _, written in rows:
                if written.done():
                    continue
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(failure)

    async def _wait_for_room(self, error: InvalidInput) -> None:
        if not self._full:
            logger.error("%s; answers wait until there is room", error)
        self._full = True
        await asyncio.sleep(self.retry_s)

    def _write(self, rows: list[_Row]) -> None:
        with self._writer:
            self._writer.executemany(
                "INSERT OR REPLACE INTO answers (device, session, sequence, answer) VALUES (?, ?, ?, ?)",
                [(key.device, key.session, key.sequence, answer) for key, answer, _ in rows],
            )
            self._since_prune += len(rows)
            if self._since_prune >= _PRUNE_EVERY:
                self._since_prune = 0
                sql = "DELETE FROM answers WHERE number <= (SELECT MAX(number) FROM answers) - ?"
                self._writer.execute(sql, (self.rows,))


def check_ledger(path: Path) -> None:
    """Makes sure that a file is a ledger that this version reads; nothing is written to it.

    Raises:
        InvalidInput: it is something else, or a newer infilink wrote it.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            database.execute("SELECT answer FROM answers LIMIT 1")
            found = database.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise InvalidInput(f"{path}: is no ledger ({error})") from error
    check_format(found or 1, (FORMAT,), path=path, what="a ledger")

"""Keeps what was sent on disk beside the ledger, the newest of each stream, within bounds in bytes.

One thread writes, some times a second; nobody waits for it. Who reads has a connection of their own.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

from ...errors import InvalidInput, Unavailable
from ...files import is_full, remove_database
from ...models.inputs.payload import Payload
from ...protos import edge_pb2
from ..ledger.rows import Answered
from ..runtime.video_decoders import Chain
from ..sessions.chains import ChainPicture
from .bounds import Bounds
from .settings import PicturesConfig

logger = logging.getLogger(__name__)

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sent (
    number INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    session TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    at_us INTEGER NOT NULL,        -- when it was answered, Unix time
    captured_us INTEGER NOT NULL,  -- Unix time by the device's clock; 0: not told
    audited INTEGER NOT NULL,      -- drawn by the device's audit
    score REAL,                    -- what the device's gate thought of it
    sent_bytes INTEGER NOT NULL,
    encoding TEXT NOT NULL,        -- jpeg, h264, array, ..., or features, nothing
    chain INTEGER NOT NULL,        -- of H.264: the number of the chain's first picture here; 0: it stands by itself
    size_bytes INTEGER NOT NULL,   -- that it takes here
    payload BLOB,                  -- a JPEG, or a Chunk of edge.proto; NULL: no picture
    UNIQUE (stream, session, sequence)
);
CREATE INDEX IF NOT EXISTS sent_of_stream ON sent (stream, at_us);
CREATE INDEX IF NOT EXISTS sent_sizes ON sent (stream, size_bytes);
CREATE INDEX IF NOT EXISTS sent_chains ON sent (chain) WHERE chain > 0;
"""
_VALUES = f"({', '.join('?' * 13)})"
# Rows of one statement: between two of them the thread asks for the interpreter, which whoever answers inputs has.
_AT_ONCE = 64
_ENCODINGS = {number: name.removeprefix("ENCODING_").lower() for name, number in edge_pb2.Encoding.items()}
_ROW_BYTES = 250
_EVERY_S = 0.5
_MOST_WAITING_BYTES = 32 * 2**20
_LOCKED_S = 10.0
# A picture is some tens of KB: larger pages are fewer calls to write one.
_PAGE_BYTES = 16384


class _Row(NamedTuple):
    """A row as it is written."""

    number: int
    stream: str
    session: str
    sequence: int
    at_us: int
    captured_us: int
    audited: bool
    score: float | None
    sent_bytes: int
    encoding: str
    chain: int
    size_bytes: int
    payload: bytes | None


class Sent:
    """The newest of what was sent, on disk.

    Args:
        path: the file; one that is damaged is set aside.
        settings: whose pictures are kept, and how much of them.
        keep_days: what is older goes; 0: at any age.
        every_s: what comes within so long is written together.
        clock_us: Unix time.

    Raises:
        InvalidInput: nothing can be kept there.

    Attributes:
        trouble: why nothing can be kept now, in words; empty: it can.
        left_out: how many inputs were not kept, as the disk was too slow, or full.
    """

    def __init__(
        self,
        path: Path,
        settings: PicturesConfig,
        *,
        keep_days: float = 0.0,
        every_s: float = _EVERY_S,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.path = path
        self.settings = settings
        self.every_s = every_s
        self.trouble = ""
        self.left_out = 0
        self._waiting: list[_Row] = []
        self._waiting_bytes = 0
        self._chains = WeakKeyDictionary[Chain, tuple[int, int]]()
        self._broken: set[int] = set()
        self._changed = threading.Condition()
        self._closing = self._idle = False
        self._bounds = Bounds(settings, keep_days, clock_us)
        self._database: sqlite3.Connection | None = None
        self._number = self._open()
        self._writer = threading.Thread(target=self._write_on, name="sent-writer", daemon=True)
        self._writer.start()

    def take(
        self,
        answered: Answered,
        message: edge_pb2.Input,
        picture: Payload | None,
        at_us: int,
        *,
        payload: bytes | None = None,
    ) -> None:
        """Takes an input, once its answer is kept; it is written a little later.

        Args:
            answered: the answer.
            message: the input.
            picture: what of it can be decoded again.
            at_us: Unix time.
            payload: the message's, where that was copied already.
        """
        payload = message.payload if payload is None else payload
        key = answered.key
        with self._changed:
            if self._waiting_bytes > _MOST_WAITING_BYTES:
                # Where a chain lacks packets the rest of it can't be decoded: it is begun anew then.
                self._broken.update(number for number, _ in self._chains.values())
                self.left_out += 1
                return
            number = self._number = self._number + 1
            chain, kept = 0, None
            if self.settings.keeps(key.device):
                chain, kept = self._picture(number, message, payload, picture)
            row = _Row(
                number,
                key.device,
                key.session,
                key.sequence,
                at_us,
                message.captured_unix_ns // 1000,
                message.audit,
                message.score if message.HasField("score") else None,
                len(payload),
                _ENCODINGS.get(message.encoding, "unknown") if payload else _without(message),
                chain,
                _ROW_BYTES + (0 if kept is None else len(kept)),
                kept,
            )
            self._waiting.append(row)
            self._waiting_bytes += row.size_bytes
            if self._idle:
                self._changed.notify_all()

    def flush(self) -> None:
        """Waits until all that was taken is written, or can't be."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or (not self._waiting and self._idle))

    def close(self) -> None:
        """Writes what waits; closing twice is fine."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A view of what is there now.

        Raises:
            Unavailable: it can't be read.
        """
        try:
            with closing(_connect(self.path)) as database:
                database.execute("PRAGMA query_only = ON")
                database.execute("BEGIN")
                yield database
        except sqlite3.Error as error:
            raise Unavailable(f"what was sent can't be read now: {' '.join(str(error).split())}") from error

    def _picture(
        self, number: int, message: edge_pb2.Input, payload: bytes, picture: Payload | None
    ) -> tuple[int, bytes | None]:
        """The chain that an input's picture is of, and what is kept of it."""
        if message.encoding == edge_pb2.ENCODING_JPEG:
            return 0, payload or None
        if picture is None or not isinstance(picture.read, ChainPicture):
            return 0, None
        chain, place = picture.read.chain, picture.read.place
        begun, known = self._chains.get(chain, (0, 0))
        if not begun or begun in self._broken:
            self._broken.discard(begun)
            begun, known = number, 0
        packets = chain.packets[known : place + 1]
        if known + len(packets) <= place and place >= known:
            return 0, None  # They were given up.
        self._chains[chain] = (begun, known + len(packets))
        chunk = edge_pb2.Chunk(
            chain=begun, place=place, first=known, packets=packets, width=chain.width, height=chain.height
        )
        return begun, chunk.SerializeToString()

    def _open(self) -> int:
        """The number of the newest row there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._prepare()
        except sqlite3.DatabaseError as error:
            if is_full(error):
                self._tell(error)
                return 0
            if self.path.is_file():
                aside = self.path.with_name(f"{self.path.name}.damaged")
                logger.warning("%s: can't be read (%s): it is set aside as %s", self.path, error, aside.name)
                with suppress(OSError):
                    self.path.replace(aside)
                remove_database(self.path)
        try:
            return self._prepare()
        except sqlite3.DatabaseError as error:
            raise InvalidInput(f"{self.path}: pictures can't be kept there ({error}); see `[pictures]`") from error

    def _prepare(self) -> int:
        with closing(_connect(self.path)) as database:
            database.execute(f"PRAGMA page_size = {_PAGE_BYTES:d}")
            database.execute("PRAGMA journal_mode = WAL")
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, FORMAT):
                raise sqlite3.DatabaseError(f"its format is {found}, and this infilink knows {FORMAT}")
            database.executescript(_SCHEMA)
            database.execute(f"PRAGMA user_version = {FORMAT:d}")
            return int(database.execute("SELECT coalesce(max(number), 0) FROM sent").fetchone()[0])

    def _write_on(self) -> None:
        """Writes what comes until it is closed; the thread's whole life."""
        while True:
            with self._changed:
                self._idle = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closing or self._waiting)
                self._idle = False
                # More comes soon: it is written together.
                self._changed.wait_for(lambda: self._closing, timeout=self.every_s)
                rows, self._waiting, self._waiting_bytes = self._waiting, [], 0
            if not rows:
                self._disconnect()
                return
            try:
                self._write(rows)
                self.trouble = ""
            except sqlite3.Error as error:
                self._disconnect()
                self._tell(error)
                with self._changed:
                    self.left_out += len(rows)
                    self._broken.update(row.chain for row in rows if row.chain)

    def _write(self, rows: list[_Row]) -> None:
        if not self.path.exists():  # Somebody wanted the room.
            self._disconnect()
            self._prepare()
        database = self._database
        if database is None:
            database = self._database = _connect(self.path)
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA secure_delete = OFF")
        database.execute("BEGIN IMMEDIATE")
        self._bounds.look(database)
        if _insert(database, rows) == len(rows):
            self._bounds.add((row.stream, row.size_bytes) for row in rows)
        else:  # Some were there already.
            self._bounds.forget()
            self._bounds.look(database)
        gone = self._bounds.delete(database)
        database.execute("COMMIT")
        with self._changed:
            self._broken |= gone

    def _disconnect(self) -> None:
        self._bounds.forget()
        if self._database is not None:
            # Where the disk fails it may not even be closed in order.
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _tell(self, error: sqlite3.Error) -> None:
        trouble = "the disk is full" if is_full(error) else " ".join(str(error).split())
        if trouble != self.trouble:
            logger.warning("%s: pictures that are sent can't be kept: %s", self.path, trouble)
        self.trouble = trouble


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_LOCKED_S, isolation_level=None)


def _insert(database: sqlite3.Connection, rows: list[_Row]) -> int:
    """Adds rows, but those that are there; returns how many."""
    count = 0
    for at in range(0, len(rows), _AT_ONCE):
        some = rows[at : at + _AT_ONCE]
        insert = f"INSERT OR IGNORE INTO sent VALUES {', '.join([_VALUES] * len(some))}"
        count += database.execute(insert, [value for row in some for value in row]).rowcount
    return count


def _without(message: edge_pb2.Input) -> str:
    return "features" if message.HasField("features") else "nothing"

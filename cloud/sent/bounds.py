"""Holds what is kept of what was sent within its bounds: the oldest goes."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from .settings import PicturesConfig

_AT_ONCE = 64
_DAY_US = 86_400 * 10**6


class Bounds:
    """What each stream's rows take, and the deletion of what is too old or too much; for the one thread that writes.

    Rows are counted as they come and go: to add them all up each time would take as long as there are many.

    Args:
        settings: how much is kept.
        keep_days: what is older goes; 0: at any age.
        clock_us: Unix time.
    """

    def __init__(self, settings: PicturesConfig, keep_days: float, clock_us: Callable[[], int]) -> None:
        self.settings = settings
        self.keep_days = keep_days
        self.clock_us = clock_us
        self._sizes = Counter[str]()
        self._version = -1

    def forget(self) -> None:
        """Counts anew next time: a write failed, or the database was opened anew."""
        self._version = -1

    def look(self, database: sqlite3.Connection) -> None:
        """Counts what is there where another process has changed it; in a transaction, before anything is written."""
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._sizes = Counter(dict(database.execute("SELECT stream, sum(size_bytes) FROM sent GROUP BY stream")))
            self._version = version

    def add(self, sizes: Iterable[tuple[str, int]]) -> None:
        """Counts rows that were written: the stream and the size of each."""
        for stream, size_bytes in sizes:
            self._sizes[stream] += size_bytes

    def delete(self, database: sqlite3.Connection) -> set[int]:
        """Deletes what is too old, and the oldest of what is too much; gives the chains that are gone."""
        return self._delete_old(database) | self._delete_surplus(database)

    def _delete_old(self, database: sqlite3.Connection) -> set[int]:
        if not self.keep_days:
            return set()
        before_us = self.clock_us() - int(self.keep_days * _DAY_US)
        oldest = f"SELECT number, chain FROM sent WHERE at_us < ? ORDER BY number LIMIT {_AT_ONCE}"
        rows = database.execute(oldest, (before_us,)).fetchall()
        # What may not be kept for longer is gone from the disk. What has to make room is soon written over.
        database.execute("PRAGMA secure_delete = ON")
        gone = self._delete(database, rows)
        database.execute("PRAGMA secure_delete = OFF")
        return gone

    def _delete_surplus(self, database: sqlite3.Connection) -> set[int]:
        """Deletes the oldest of streams that have too much; of all, of the one that has most."""
        gone = set[int]()
        while self._sizes:
            stream, size_bytes = max(self._sizes.items(), key=lambda item: item[1])
            total_bytes = self._sizes.total()
            surplus = max(size_bytes - self.settings.keep_stream_bytes, total_bytes - self.settings.keep_bytes)
            if surplus <= 0:
                break
            oldest = f"SELECT number, chain, size_bytes FROM sent WHERE stream = ? ORDER BY at_us LIMIT {_AT_ONCE}"
            rows, freed = [], 0
            for number, chain, row_bytes in database.execute(oldest, (stream,)).fetchall():
                if freed >= surplus:
                    break
                freed += row_bytes
                rows.append((number, chain))
            gone |= self._delete(database, rows)
        return gone

    def _delete(self, database: sqlite3.Connection, rows: list[Any]) -> set[int]:
        """Deletes rows, and what can't be decoded without them; gives the chains that are gone."""
        chains = {chain for _, chain in rows if chain}
        # The index of chains has those alone.
        for what, values in (("number IN", [number for number, _ in rows]), ("chain > 0 AND chain IN", [*chains])):
            if values:
                gone = f"DELETE FROM sent WHERE {what} ({', '.join('?' * len(values))}) RETURNING stream, size_bytes"
                for stream, size_bytes in database.execute(gone, values).fetchall():
                    self._sizes[stream] -= size_bytes
        self._sizes = +self._sizes
        return chains

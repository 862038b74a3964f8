"""What the coordinator learnt of its links while it served, on disk: a revoked link stays revoked over a restart.

Of each device how far its answers may be trusted, and of each context how well each way to answer does there.
"""

import io
import json
import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..links.trust.live import LiveTrust
from ..outputs import Array

logger = logging.getLogger(__name__)

MOST_DEVICES = 10_000
"""So many devices' trust is kept on disk; the one unseen for longest is forgotten."""
_CONTEXTS = "contexts"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS learnt (
    number INTEGER PRIMARY KEY, links TEXT NOT NULL, name TEXT NOT NULL, kept_s REAL NOT NULL, value BLOB NOT NULL,
    UNIQUE (links, name)
);
"""


class Learnt:
    """Kept in the ledger's file, for one state of the links: what was learnt of others says nothing of these.

    Args:
        path: the SQLite file.
        links: tells one state of the links from another.
        devices: how many devices' trust is held in memory, at least.

    Raises:
        InvalidInput: the file can't be opened.
    """

    def __init__(self, path: Path, links: str, *, devices: int) -> None:
        self.path = path
        self.links = links
        self._most = devices
        self._trust: OrderedDict[str, LiveTrust] = OrderedDict()
        self._audited: dict[str, int] = {}
        self._lock = threading.Lock()
        try:
            self._file = sqlite3.connect(path, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            with self._file:
                self._file.executescript(_SCHEMA)
                self._file.execute("DELETE FROM learnt WHERE links != ?", (links,))
        except sqlite3.Error as error:
            raise InvalidInput(f"{path}: can't be opened: {error}; give another `ledger`") from error

    def trust(self, device: str) -> LiveTrust:
        """The live trust of a device's answers: all of its sessions share it, and it goes on where it was left."""
        live = self._trust.get(device)
        if live is None:
            live = self._trust[device] = self._read_trust(device)
            self._audited[device] = live.audited
        self._trust.move_to_end(device)
        return live

    def contexts(self) -> Mapping[str, Array] | None:
        """What `keep` was last given; None: nothing, or it can't be read."""
        found = self._find(_CONTEXTS)
        if found is None:
            return None
        try:
            with np.load(io.BytesIO(found), allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError) as error:
            logger.warning("%s: what was learnt of contexts is damaged (%s) and begins anew", self.path, error)
            return None

    def changed(self) -> dict[str, bytes]:
        """The devices' trust that changed since this was last asked: for `keep`, which may run in another thread."""
        rows = {}
        for device, live in self._trust.items():
            if live.audited != self._audited[device]:
                self._audited[device] = live.audited
                rows[_row(device)] = json.dumps(live.as_dict()).encode()
        while len(self._trust) > self._most:
            del self._audited[self._trust.popitem(last=False)[0]]
        return rows

    def keep(self, trust: Mapping[str, bytes], contexts: Mapping[str, Array] | None = None) -> None:
        """Writes what is given. A failure is told and costs what was learnt since, nothing else.

        Args:
            trust: what `changed` gave.
            contexts: arrays, whole; None: as they were.
        """
        rows = dict(trust)
        if contexts is not None:
            file = io.BytesIO()
            np.savez_compressed(file, **contexts)  # type: ignore[arg-type]  # its stub takes names for its options
            rows[_CONTEXTS] = file.getvalue()
        try:
            # Whoever waited for an earlier call may be gone, and the call itself not.
            with self._lock, self._file:
                self._file.executemany(
                    "INSERT OR REPLACE INTO learnt (links, name, kept_s, value) VALUES (?, ?, ?, ?)",
                    [(self.links, name, time.time(), value) for name, value in rows.items()],
                )
                newest = "SELECT number FROM learnt ORDER BY number DESC LIMIT ?"
                self._file.execute(f"DELETE FROM learnt WHERE number NOT IN ({newest})", (MOST_DEVICES,))
        except sqlite3.Error as error:
            logger.warning("%s: what was learnt while serving can't be kept: %s", self.path, error)

    def close(self) -> None:
        """Closes the file; closing twice is fine."""
        with self._lock:
            self._file.close()

    def _read_trust(self, device: str) -> LiveTrust:
        found = self._find(_row(device))
        if found is None:
            return LiveTrust()
        try:
            return LiveTrust.from_dict(json.loads(found))
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("%s: the trust of device %r is damaged (%r) and begins anew", self.path, device, error)
            return LiveTrust()

    def _find(self, name: str) -> bytes | None:
        row = self._file.execute("SELECT value FROM learnt WHERE links = ? AND name = ?", (self.links, name)).fetchone()
        return None if row is None else bytes(row[0])


def _row(device: str) -> str:
    return f"device {device}"

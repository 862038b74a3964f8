"""What the coordinator learned about its links while serving, on disk: a revoked link stays revoked after a restart.

For each device the trust in its answers.
"""

import json
import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from ..errors import InvalidInput
from ..links.trust.live import LiveTrust

logger = logging.getLogger(__name__)

MOST_DEVICES = 10_000
"""How many devices' trust is kept on disk; the least recently saved is deleted first."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS learnt (
    number INTEGER PRIMARY KEY, links TEXT NOT NULL, name TEXT NOT NULL, kept_s REAL NOT NULL, value BLOB NOT NULL,
    UNIQUE (links, name)
);
"""


class LearnedState:
    """The learned state of one version of the links, in the ledger's file; that of other versions is deleted.

    Args:
        path: the SQLite file.
        links: identifies the version of the links.
        devices: how many devices' trust is kept in memory, at least.

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
        """The live trust in a device's answers, shared by all its sessions; it continues from what was saved."""
        live = self._trust.get(device)
        if live is None:
            live = self._trust[device] = self._read_trust(device)
            self._audited[device] = live.audited
        self._trust.move_to_end(device)
        return live

    def changed(self) -> dict[str, bytes]:
        """The devices' trust that changed since the last call, for `save`, which may run in another thread."""
        rows = {}
        for device, live in self._trust.items():
            if live.audited != self._audited[device]:
                self._audited[device] = live.audited
                rows[_row(device)] = json.dumps(live.as_dict()).encode()
        while len(self._trust) > self._most:
            del self._audited[self._trust.popitem(last=False)[0]]
        return rows

    def save(self, trust: Mapping[str, bytes]) -> None:
        """Writes what `changed` returned; if that fails, it is logged and only what was learned since is lost."""
        try:
            # A cancelled caller leaves its call running in its thread: calls may overlap.
            with self._lock, self._file:
                self._file.executemany(
                    "INSERT OR REPLACE INTO learnt (links, name, kept_s, value) VALUES (?, ?, ?, ?)",
                    [(self.links, name, time.time(), value) for name, value in trust.items()],
                )
                newest = "SELECT number FROM learnt ORDER BY number DESC LIMIT ?"
                self._file.execute(f"DELETE FROM learnt WHERE number NOT IN ({newest})", (MOST_DEVICES,))
        except sqlite3.Error as error:
            logger.warning("%s: what was learned while serving can't be saved: %s", self.path, error)

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
            logger.warning("%s: the trust of device %r is damaged (%r) and starts empty", self.path, device, error)
            return LiveTrust()

    def _find(self, name: str) -> bytes | None:
        row = self._file.execute("SELECT value FROM learnt WHERE links = ? AND name = ?", (self.links, name)).fetchone()
        return None if row is None else bytes(row[0])


def _row(device: str) -> str:
    return f"device {device}"

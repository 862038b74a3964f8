"""What the coordinator learned about its links while serving, on disk: a revoked link stays revoked after a restart.

For each device the trust in its answers, and by how much they agree more or less than was learnt.
"""

import json
import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InvalidInput
from ..links.expectation.live import LiveExpectation
from ..links.trust.live import LiveTrust

logger = logging.getLogger(__name__)

MOST_ROWS = 20_000
"""How many rows are kept on disk, of which a device has two; the least recently saved is deleted first."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS learnt (
    number INTEGER PRIMARY KEY, links TEXT NOT NULL, name TEXT NOT NULL, kept_s REAL NOT NULL, value BLOB NOT NULL,
    UNIQUE (links, name)
);
"""


@dataclass
class DeviceState:
    """What was learned from one device, shared by all its sessions.

    Attributes:
        trust: in its answers.
        expectation: by how much they agree more or less than was learnt.
    """

    trust: LiveTrust
    expectation: LiveExpectation
    saved: dict[str, object] = field(default_factory=dict)


class LearnedState:
    """The learned state of one version of the links, in the ledger's file; that of other versions is deleted.

    Args:
        path: the SQLite file.
        links: identifies the version of the links.
        targets: the models that are answered for.
        devices: how many devices' state is kept in memory, at least.

    Raises:
        InvalidInput: the file can't be opened.
    """

    def __init__(self, path: Path, links: str, targets: Sequence[str], *, devices: int) -> None:
        self.path = path
        self.links = links
        self.targets = tuple(targets)
        self._most = devices
        self._devices: OrderedDict[str, DeviceState] = OrderedDict()
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

    def of(self, device: str) -> DeviceState:
        """What was learned from a device; it continues from what was saved."""
        state = self._devices.get(device)
        if state is None:
            state = self._devices[device] = DeviceState(self._read_trust(device), self._read_expectation(device))
            state.saved = _version(state)
        self._devices.move_to_end(device)
        return state

    def changed(self) -> dict[str, bytes]:
        """What changed since the last call, for `save`, which may run in another thread."""
        rows = {}
        for device, state in self._devices.items():
            version = _version(state)
            if version["trust"] != state.saved["trust"]:
                rows[f"device {device}"] = json.dumps(state.trust.as_dict()).encode()
            if version["expectation"] != state.saved["expectation"]:
                arrays = {name: array.tolist() for name, array in state.expectation.as_arrays().items()}
                rows[f"expectation {device}"] = json.dumps({"targets": self.targets, **arrays}).encode()
            state.saved = version
        while len(self._devices) > self._most:
            self._devices.popitem(last=False)
        return rows

    def save(self, rows: Mapping[str, bytes]) -> None:
        """Writes what `changed` returned; if that fails, it is logged and only what was learned since is lost."""
        try:
            # A cancelled caller leaves its call running in its thread: calls may overlap.
            with self._lock, self._file:
                self._file.executemany(
                    "INSERT OR REPLACE INTO learnt (links, name, kept_s, value) VALUES (?, ?, ?, ?)",
                    [(self.links, name, time.time(), value) for name, value in rows.items()],
                )
                newest = "SELECT number FROM learnt ORDER BY number DESC LIMIT ?"
                self._file.execute(f"DELETE FROM learnt WHERE number NOT IN ({newest})", (MOST_ROWS,))
        except sqlite3.Error as error:
            logger.warning("%s: what was learned while serving can't be saved: %s", self.path, error)

    def close(self) -> None:
        """Closes the file; closing twice is fine."""
        with self._lock:
            self._file.close()

    def _read_trust(self, device: str) -> LiveTrust:
        found = self._find(f"device {device}")
        if found is None:
            return LiveTrust()
        try:
            return LiveTrust.from_dict(json.loads(found))
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("%s: the trust of device %r is damaged (%r) and starts empty", self.path, device, error)
            return LiveTrust()

    def _read_expectation(self, device: str) -> LiveExpectation:
        expectation, found = LiveExpectation(self.targets), self._find(f"expectation {device}")
        try:
            arrays = {} if found is None else json.loads(found)
            if tuple(arrays.get("targets", ())) == self.targets:
                expectation.restore(arrays)
        except (AttributeError, ValueError, InvalidInput) as error:
            logger.warning("%s: what %r showed is damaged (%r) and starts empty", self.path, device, error)
        return expectation

    def _find(self, name: str) -> bytes | None:
        row = self._file.execute("SELECT value FROM learnt WHERE links = ? AND name = ?", (self.links, name)).fetchone()
        return None if row is None else bytes(row[0])


def _version(state: DeviceState) -> dict[str, object]:
    """Differs from what it was before if anything was learned since."""
    return {"trust": state.trust.audited, "expectation": state.expectation.as_arrays()["weight"].tobytes()}

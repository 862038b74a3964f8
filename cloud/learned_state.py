"""What the coordinator learned about its links while serving, on disk: a revoked link stays revoked after a restart.

For each device the trust in its answers, and by how much they agree more or less than was learnt.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ..errors import InvalidInput, Overloaded
from ..links.expectation.live import LiveExpectation
from ..links.trust.live import LiveTrust
from .ledger.database import Database, told
from .ledger.tables import LEARNT

logger = logging.getLogger(__name__)

MOST_ROWS = 20_000
"""How many rows are kept on disk, of which a device has two; the least recently saved is deleted first."""

_MOST_AHEAD = 64


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
    """The learned state of one version of the links, in the ledger's database; that of other versions is deleted.

    Args:
        database: the ledger's; whoever gave it closes it.
        links: identifies the version of the links.
        targets: the models that are answered for.
        devices: how many devices' state is kept in memory, at least.

    Raises:
        InvalidInput: the database can't be written.
    """

    def __init__(self, database: Database, links: str, targets: Sequence[str], *, devices: int) -> None:
        self.database = database
        self.links = links
        self.targets = tuple(targets)
        self._most = devices
        self._devices: OrderedDict[str, DeviceState] = OrderedDict()
        # Read for a Hello that may be refused still: that is to take no other's place.
        self._ahead: OrderedDict[str, DeviceState] = OrderedDict()
        with database.failures_named(), database.write() as connection:
            connection.execute(delete(LEARNT).where(LEARNT.c.links != links))

    def renewed(self, targets: Sequence[str]) -> "LearnedState":
        """The same for other models that are answered for; what is to be kept was saved."""
        return LearnedState(self.database, self.links, targets, devices=self._most)

    async def recall(self, device: str) -> None:
        """Reads what was saved of a device, in a thread, so that `of` finds it in memory.

        Raises:
            Overloaded: what was saved can't be read now: to begin anew would forget it.
        """
        if device in self._devices:
            return
        read = await asyncio.to_thread(self._read, device)
        # Whoever was asked for the same device meanwhile has what is learned by now.
        if device not in self._devices:
            self._ahead.setdefault(device, read)
        while len(self._ahead) > _MOST_AHEAD:
            self._ahead.popitem(last=False)

    def of(self, device: str) -> DeviceState:
        """What was learned from a device; it continues from what was saved, which is read at once if it was not before.

        Raises:
            Overloaded: what was saved can't be read now: to begin anew would forget it.
        """
        ahead = self._ahead.pop(device, None)
        if device not in self._devices:
            self._devices[device] = self._read(device) if ahead is None else ahead
        self._devices.move_to_end(device)
        return self._devices[device]

    def changed(self, in_use: Collection[str] = ()) -> dict[str, bytes]:
        """What changed since the last call, for `save`, which may run in another thread.

        Args:
            in_use: the devices that go on; of the others those are forgotten that were asked for longest ago.
        """
        rows = {}
        for device, state in self._devices.items():
            version = _version(state)
            if version["trust"] != state.saved["trust"]:
                rows[f"device {device}"] = json.dumps(state.trust.as_dict()).encode()
            if version["expectation"] != state.saved["expectation"]:
                arrays = {name: array.tolist() for name, array in state.expectation.as_arrays().items()}
                rows[f"expectation {device}"] = json.dumps({"targets": self.targets, **arrays}).encode()
            state.saved = version
        unused = [device for device in self._devices if device not in in_use]
        for device in unused[: max(0, len(self._devices) - self._most)]:
            del self._devices[device]
        return rows

    def save(self, rows: Mapping[str, bytes]) -> None:
        """Writes what `changed` returned; if that fails, it is logged and only what was learned since is lost."""
        if not rows:
            return
        mine = (LEARNT.c.links == self.links) & (LEARNT.c.name == bindparam("saved"))
        new = [
            {"links": self.links, "name": name, "kept_s": time.time(), "value": value} for name, value in rows.items()
        ]
        newest = select(LEARNT.c.number).order_by(LEARNT.c.number.desc()).offset(MOST_ROWS)
        try:
            with self.database.write() as connection:
                connection.execute(delete(LEARNT).where(mine), [{"saved": name} for name in rows])
                connection.execute(insert(LEARNT), new)
                connection.execute(delete(LEARNT).where(LEARNT.c.number.in_(newest)))
        except SQLAlchemyError as error:
            logger.warning("%s: what was learned while serving can't be saved: %s", self.database.name, told(error))

    def _read(self, device: str) -> DeviceState:
        kept = self._find(device)
        state = DeviceState(self._read_trust(device, kept), self._read_expectation(device, kept))
        state.saved = _version(state)
        return state

    def _read_trust(self, device: str, kept: Mapping[str, bytes]) -> LiveTrust:
        found = kept.get(f"device {device}")
        if found is None:
            return LiveTrust()
        try:
            return LiveTrust.from_dict(json.loads(found))
        except (KeyError, TypeError, ValueError) as error:
            name = self.database.name
            logger.warning("%s: the trust of device %r is damaged (%r) and starts empty", name, device, error)
            return LiveTrust()

    def _read_expectation(self, device: str, kept: Mapping[str, bytes]) -> LiveExpectation:
        expectation, found = LiveExpectation(self.targets), kept.get(f"expectation {device}")
        try:
            arrays = {} if found is None else json.loads(found)
            if tuple(arrays.get("targets", ())) == self.targets:
                expectation.restore(arrays)
        except (AttributeError, ValueError, InvalidInput) as error:
            logger.warning("%s: what %r showed is damaged (%r) and starts empty", self.database.name, device, error)
        return expectation

    def _find(self, device: str) -> dict[str, bytes]:
        names = (f"device {device}", f"expectation {device}")
        of = (LEARNT.c.links == self.links) & LEARNT.c.name.in_(names)
        try:
            with self.database.read() as connection:
                return {row.name: row.value for row in connection.execute(select(LEARNT).where(of))}
        except SQLAlchemyError as error:
            logger.warning("%s: what was learned of %r can't be read: %s", self.database.name, device, told(error))
            raise Overloaded("the ledger does not answer: try again later") from error


def _version(state: DeviceState) -> dict[str, object]:
    """Differs from what it was before if anything was learned since."""
    return {"trust": state.trust.audited, "expectation": state.expectation.as_arrays()["weight"].tobytes()}

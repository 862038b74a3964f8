"""What becomes of each device: paused, drained, revoked, as an operator says, also while it is connected."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ...errors import InvalidInput, NotAllowed, Overloaded
from ..security.caller import Caller
from ..security.tokens import remove_of_device
from ..sessions.bounds import is_name
from ..sessions.session import Session
from .entries import FleetEntries, FleetEntry, State

if TYPE_CHECKING:
    from ..coordinator import Coordinator

logger = logging.getLogger(__name__)

Action = Literal["pause", "drain", "resume", "revoke"]
_STATES: dict[Action, State] = {"pause": "paused", "drain": "drained", "resume": "", "revoke": "revoked"}
_DONE: dict[Action, str] = {
    "pause": "paused: it holds its inputs",
    "drain": "drained: it finishes what is on its way, ends its connections and stays away",
    "resume": "resumed",
    "revoke": "revoked: what it proves itself with holds no more",
}
_AGAIN_S = 60.0
"""When a device that is drained asks again whether it may come."""


class Fleet:
    """The devices of one coordinator.

    Args:
        coordinator: whose.
        clock_ns: Unix time.

    Attributes:
        on_revoked: is told of each device that is revoked.
        enrolls: whether new devices can enroll here; where they can't, an operator brings back what was revoked.
    """

    def __init__(self, coordinator: "Coordinator", *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.coordinator = coordinator
        self.clock_ns = clock_ns
        self.entries = FleetEntries(coordinator.ledger.database)
        self.on_revoked: Callable[[str], None] = lambda device: None
        self.enrolls: Callable[[], bool] = lambda: False
        self._changing = asyncio.Lock()

    def check(self, device: str) -> None:
        """Makes sure that a device may be, or stay, connected.

        Raises:
            Overloaded: it is drained; it is told when to ask again.
            NotAllowed: it is revoked.
        """
        entry = self.entries.of(device)
        if entry.state == "drained":
            raise Overloaded(f"{device} is drained by {entry.by}: it is to stay away", retry_after_s=_AGAIN_S)
        if entry.state == "revoked":
            raise NotAllowed(f"{device} was revoked by {entry.by}: {self._way_back(device)}")

    def check_hello(self, device: str, caller: Caller) -> None:
        """Makes sure that who calls may begin a stream of a device.

        Raises:
            Overloaded: it is drained; it is told when to ask again.
            NotAllowed: it is revoked, or who calls had what it shows before it was.
        """
        self.check(device)
        revoked_s = self.entries.of(device).revoked_s
        if revoked_s and caller.since_s <= revoked_s:
            raise NotAllowed(f"what {caller.name} shows is from before {device} was revoked: give it something newer")

    def admit(self, session: Session) -> None:
        """A session has a connection."""
        session.held = self.entries.of(session.key.device).state == "paused"

    async def change(self, device: str, action: Action, by: Caller) -> FleetEntry:
        """Says what becomes of a device; what is connected obeys at once, and it is kept over restarts.

        Args:
            device: its name; it need not be known.
            action: what.
            by: who says so.

        Raises:
            InvalidInput: that can't be a device; or it is revoked, and only a new enrollment brings it back, as far as
                new devices can enroll here.
            Overloaded: that can't be kept now; all stays as it was.
        """
        if not is_name(device):
            raise InvalidInput("`device`: 1 to 100 letters, digits, '.', '_', '-'")
        async with self._changing:
            before, now_us = self.entries.of(device), self.clock_ns() // 1000
            is_back = before.state == "revoked" and action == "resume" and not self.enrolls()
            if before.state == "revoked" and action != "revoke" and not is_back:
                raise InvalidInput(f"{device} is revoked: {self._way_back(device)}")
            entry = replace(before, state=_STATES[action], by=by.name, since_us=now_us)
            if action == "revoke":
                entry = replace(entry, revoked_s=now_us // 1_000_000)
            elif is_back and self.coordinator.config.tls_client_ca is None:
                # Nobody shows anything of its own here that could be newer.
                entry = replace(entry, revoked_s=0)
            await asyncio.to_thread(self.entries.save, entry)
            if action == "revoke":
                self.on_revoked(device)
                await asyncio.to_thread(self._remove_tokens, device)
        self.note(device, f"{_DONE[action]} (by {by.name})")
        self._obey(device)
        return entry

    def revoked_s(self, device: str) -> float:
        """Up to which second of Unix time what a device was given proves nothing any more; 0: it was not revoked."""
        return self.entries.of(device).revoked_s

    async def enrolled(self, entry: FleetEntry) -> None:
        """Takes note of a device that has enrolled: whatever was said of it before is over.

        Raises:
            Overloaded: that can't be kept now; all stays as it was.
        """
        async with self._changing:
            await asyncio.to_thread(self.entries.save, entry)
        self.note(entry.name, f"enrolled with a {entry.enrolled} of its own (code by {entry.by})")
        self._obey(entry.name)

    async def renewed(self, device: str, *, since_s: float, expires_s: float) -> None:
        """Takes note that a device has the next certificate.

        Args:
            device: its name.
            since_s: Unix time when the one that it has shown was made.
            expires_s: until when the next one holds.

        Raises:
            NotAllowed: it was revoked since.
            Overloaded: that can't be kept now; all stays as it was.
        """
        async with self._changing:
            entry = self.entries.of(device)
            if entry.revoked_s and since_s <= entry.revoked_s:
                raise NotAllowed(f"{device} was revoked since that was given to it: {self._way_back(device)}")
            entry = replace(entry, enrolled="certificate", expires_us=int(expires_s * 1e6))
            await asyncio.to_thread(self.entries.save, entry)
        self.note(
            device, f"its certificate is renewed: it holds until {datetime.fromtimestamp(expires_s, UTC):%Y-%m-%d}"
        )

    def _way_back(self, device: str) -> str:
        """How a revoked device comes back, in words."""
        return f"enroll it anew (`infilink enroll {device}`)" if self.enrolls() else "an operator may resume it"

    def _obey(self, device: str) -> None:
        """Has the streams of a device do what was said."""
        for session in [each for each in self.coordinator.sessions.values() if each.key.device == device]:
            self.admit(session)
            if session.connection is None:
                continue
            try:
                self.check(device)
            except (NotAllowed, Overloaded):
                # Inputs that were read are still answered; then it is told why.
                session.connection.stop()

    def _remove_tokens(self, device: str) -> None:
        """Tidies the file of tokens; what is from before the revocation counts for nothing there as well."""
        path = self.coordinator.config.tokens
        try:
            if path is not None:
                remove_of_device(path, device)
        except (InvalidInput, OSError) as error:
            logger.warning("%s: its token stays in the file, and is refused: %s", device, error)

    def note(self, device: str, text: str) -> None:
        """Writes down what was done with a device, for whoever runs the coordinator."""
        logger.info("%s: %s", device, text)
        self.coordinator.ledger.journal("fleet", text, device=device)

"""The places for devices: each stream holds one, and where all are taken, the one that uses it least gives way."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .session import Session, SessionKey

SILENT_S = 120.0
"""A stream that says nothing for so long is ended: an agent reports every two seconds, but a slow line may be busy with
one large picture."""
_QUIET_S = 10.0
_IDLE_S = 60.0


@dataclass
class Place:
    """One stream's place.

    Attributes:
        since_s: when it was taken.
        heard_s: when something was heard last.
        input_s: when an input was; None: none has been.
    """

    since_s: float
    heard_s: float
    input_s: float | None = None


class Places:
    """Who holds a place, and who gives way to a newcomer where there is none left.

    First those that were silent longest, from ten seconds on; then those that sent no input for longest, from a minute
    on. They may come again: a camera on which nothing happens gives way to others that have something to send.

    Args:
        most: how many there are.
        clock: seconds that never go back.
    """

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.clock = clock
        self._taken: dict[SessionKey, Place] = {}

    def take(self, key: SessionKey) -> Place:
        """A place for a stream of this session."""
        now_s = self.clock()
        self._taken[key] = Place(now_s, now_s)
        return self._taken[key]

    def heard(self, place: Place, *, is_input: bool) -> None:
        """A stream has said something."""
        place.heard_s = self.clock()
        if is_input:
            place.input_s = place.heard_s

    def leave(self, key: SessionKey, place: Place) -> None:
        """A stream has ended."""
        if self._taken.get(key) is place:
            del self._taken[key]

    def make_room(self, sessions: Mapping[SessionKey, Session]) -> Session | None:
        """The session whose stream is to give way to a newcomer; None: there is room, or all use theirs."""
        connected = {key: self._taken[key] for key in self._taken if key in sessions and sessions[key].connection}
        if len(connected) < self.most:
            return None
        now_s = self.clock()
        silent = {key: now_s - place.heard_s for key, place in connected.items()}
        idle = {key: now_s - (place.input_s or place.since_s) for key, place in connected.items()}
        for since_s, least_s in ((silent, _QUIET_S), (idle, _IDLE_S)):
            key = max(since_s, key=lambda each: since_s[each])
            if since_s[key] >= least_s:
                return sessions[key]
        return None

"""The sessions of a spool: the one that inputs are added to, and earlier ones that still have some to send."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .spool_rows import Key, SpoolSession

_RESERVED = 256
"""So many sequences are reserved ahead: what was sent before it was synced is never sent as another input."""


class SpoolSessions:
    """Not safe for several threads: whoever uses it has a lock.

    Args:
        live: whether the source is; a recording's inputs are the same under the same sequences whenever it is read.

    Attributes:
        present: the one that new inputs belong to.
    """

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self.present = SpoolSession(uuid.uuid4().hex, "")
        self._known: dict[str, SpoolSession] = {}
        self._on_disk = self._dirty = False
        self._written = self.present

    def look(self, found: Iterable[SpoolSession]) -> None:
        """Takes note of what is on disk."""
        self._known.update({session.id: session for session in found})
        self._on_disk = self.present.id in self._known

    def can_go_on(self, source: str) -> bool:
        """Whether the newest one is of this source, and has not ended."""
        newest = next(reversed(self._known.values()), None)
        return newest is not None and newest.source == source and not newest.ended

    def begin(self, source: str, results: str) -> None:
        """Goes on with the newest one, if it can be gone on with; else begins one."""
        if self.can_go_on(source):
            newest = next(reversed(self._known.values()))
            self.present, self._on_disk = replace(newest, results=results), True
        else:
            self.present, self._on_disk = SpoolSession(uuid.uuid4().hex, source, results=results), False
        self._dirty = True

    @property
    def next_sequence(self) -> int:
        """One more than the largest sequence that any input may have had."""
        return max(max(each.reserved, each.position + 1) for each in (*self._known.values(), self.present))

    @property
    def ids(self) -> list[str]:
        """Of all that are known, the oldest first."""
        return [*self._known]

    def get(self, session: str) -> SpoolSession:
        """A session by its id; of one that was never written the present one."""
        return self.present if session == self.present.id else self._known.get(session, self.present)

    def change(self, **values: Any) -> None:
        """Changes what is known of the present one."""
        self.present = replace(self.present, **values)
        self._dirty = True

    def move_results(self, path: str, to: str) -> list[SpoolSession]:
        """The sessions whose results file has another name now, with that."""
        moved = [replace(each, results=to) for each in self._known.values() if each.results == path]
        self._known.update({each.id: each for each in moved})
        return moved

    def note(self, sequence: int, *, is_writable: bool) -> str:
        """Takes note of an input that was decided on; returns the session that it belongs to."""
        if self.live and not is_writable and self._on_disk and sequence >= self.present.reserved:
            # Nothing can be reserved now: in a session of its own no sequence was used before.
            self.present = replace(self.present, id=uuid.uuid4().hex, reserved=0)
            self._on_disk, self._dirty = False, True
        if sequence > self.present.position:
            self.present = replace(self.present, position=sequence)
        return self.present.id

    def may_go(self, key: Key) -> bool:
        """Whether an input may be sent before it is synced."""
        is_reserved = not self.live or not self._on_disk or key.sequence < self.present.reserved
        return is_reserved or key.session != self.present.id

    def to_write(self, inputs: int, *, closing: bool = False) -> SpoolSession | None:
        """What is to be written of the present one, so many inputs after the last time; None: nothing.

        `closing`: nothing more is sent, and what was reserved is given back.
        """
        present = self.present
        if closing and self.live:
            return replace(present, reserved=present.position + 1)
        if not self.live:
            return present if self._dirty or present != self._written else None
        if self._dirty or present.position + _RESERVED // 2 >= present.reserved:
            reserved = max(present.reserved, present.position + 1 + _RESERVED + 4 * inputs)
            return replace(present, reserved=reserved)
        return None

    def written(self, session: SpoolSession) -> None:
        """Takes note that this was written."""
        if session.id == self.present.id:
            self.present = replace(self.present, reserved=session.reserved)
            self._on_disk, self._written = True, session
            self._dirty = False
        self._known[session.id] = session

"""In which order a session's inputs go out on one connection."""

import heapq
from collections import deque
from collections.abc import Container

from .spool import Spool
from .spool_file import SpoolFile
from .spool_rows import Head, Key, SpoolRow
from .spool_settings import Order

_AHEAD = 64
_TRIES = 16


class SpoolDrain:
    """Gives the inputs of one session, each once, but for those that `again` gives back.

    Args:
        spool: where they are.
        session: its id.
        order: "oldest": in their order. "live": what was captured within `late_s` first, the newest of it before the
            rest, then the others in their order. "value": those first whose gate gave them the highest score.
    """

    def __init__(self, spool: Spool, session: str, order: Order) -> None:
        self.spool = spool
        self.session = session
        self.order = order
        self._ahead: deque[Head] = deque()
        self._cursor = -1
        self._behind = spool.behind
        self._again: list[tuple[int, Head]] = []
        self._returned: deque[Head] = deque()

    def take(self, skip: Container[Key], count: int) -> SpoolRow | None:
        """The next input; None: there is none that may be sent now.

        Args:
            skip: those that were sent on this connection and have no answer yet.
            count: how many these are.
        """
        for _ in range(_TRIES):
            found = self._pick(skip, count)
            if found is None:
                return None
            head = found.head if isinstance(found, SpoolRow) else found
            if head.taken_s < self.spool.clock() - self.spool.settings.age_s:
                # It is given up when the bounds are looked at next.
                continue
            row = found if isinstance(found, SpoolRow) else self.spool.load(found)
            # Else it is gone, or damaged: then the next one.
            if row is not None:
                return row
        return None

    def again(self, head: Head) -> None:
        """Gives an input back, which is to be sent again, once it is admitted."""
        self._returned.append(head)

    def admit(self) -> None:
        """Has go first what was given back; call it where `skip` is made: what comes back later is still in that."""
        while self._returned:
            head = self._returned.popleft()
            heapq.heappush(self._again, (head.key.sequence, head))

    def _pick(self, skip: Container[Key], count: int) -> SpoolRow | Head | None:
        if self.order == "value":
            return self._dearest(skip, count)
        found = self._newest(skip, count) if self.order == "live" else None
        return found if found is not None else self._oldest(skip)

    def _oldest(self, skip: Container[Key]) -> SpoolRow | Head | None:
        while self._again:
            _, head = heapq.heappop(self._again)
            if self.spool.is_waiting(head.key) and head.key not in skip:
                return head
        if self._behind != self.spool.behind:
            # What an earlier run had left out lies before what was read.
            self._behind, self._cursor = self.spool.behind, -1
        while True:
            last = self.spool.last.get(self.session)
            if not self._ahead and last is not None and last.key.sequence > self._cursor:
                self._ahead.extend(self.spool.disk.heads(self._read_ahead))
                self._cursor = self._ahead[-1].key.sequence if self._ahead else last.key.sequence
            if not self._ahead:
                break
            head = self._ahead.popleft()
            if self.spool.is_waiting(head.key) and head.key not in skip:
                return head
        return self.spool.pick(self.session, skip)

    def _read_ahead(self, file: SpoolFile) -> list[Head]:
        return file.unanswered(self.session, after=self._cursor, limit=_AHEAD)

    def _newest(self, skip: Container[Key], count: int) -> SpoolRow | Head | None:
        """The newest of what is not late yet."""
        since_s = self.spool.clock() - self.spool.settings.late_s
        row = self.spool.pick(self.session, skip, "live")
        if row is not None:
            return row if row.head.taken_s >= since_s else None
        last = self.spool.last.get(self.session)
        if last is None or last.taken_s < since_s:
            return None
        heads = self.spool.disk.heads(lambda file: file.newest(self.session, limit=count + _AHEAD))
        fresh = (head for head in heads if head.taken_s >= since_s and head.key not in skip)
        return next((head for head in fresh if self.spool.is_waiting(head.key)), None)

    def _dearest(self, skip: Container[Key], count: int) -> SpoolRow | Head | None:
        row = self.spool.pick(self.session, skip, "value")
        heads = self.spool.disk.heads(lambda file: file.dearest(self.session, limit=count + _AHEAD))
        head = next((head for head in heads if head.key not in skip and self.spool.is_waiting(head.key)), None)
        # Of equal ones the older, which is the one on disk.
        return row if head is None or (row is not None and row.head.value > head.value) else head

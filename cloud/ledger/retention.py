"""How long the ledger keeps what it has: by age, and by how much it is."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, func, select

from .database import Database
from .tables import ANSWERS, AUDITS, JOURNAL

_AT_ONCE = 500
_DAY_US = 86_400 * 1_000_000
_ROWS = select(ANSWERS.c.number, ANSWERS.c.size_bytes)


@dataclass
class Retention:
    """What is kept: the newest, as long as neither limit is passed. What was noted beside goes with its time.

    Attributes:
        keep_days: an answer that is older is deleted; 0: at any age.
        keep_bytes: what all answers may take together, about; 0: any amount.
        deleted: how many answers were deleted so far.
    """

    keep_days: float = 0.0
    keep_bytes: int = 0
    deleted: int = 0
    _surplus_bytes: int = field(default=0, init=False)

    def delete_some(self, database: Database, now_us: int) -> bool:
        """Deletes up to some hundred answers that are not kept any longer; whether there may be more."""
        with database.write() as connection:
            rows = self._too_old(connection, now_us) or self._too_many(connection)
            if rows:
                # Numbers rise with time, and so do the answers that go.
                numbers = [row.number for row in rows]
                deleted = connection.execute(delete(ANSWERS).where(ANSWERS.c.number.in_(numbers))).rowcount
                self.deleted += deleted
            self._delete_notes(connection, now_us)
        self._surplus_bytes -= sum(row.size_bytes for row in rows)
        return bool(rows)

    def measure(self, database: Database) -> None:
        """Sums up what there is, once for all that is deleted then: no answer waits for this to be written."""
        if self.keep_bytes:
            with database.read() as connection:
                there_bytes = int(connection.execute(select(func.sum(ANSWERS.c.size_bytes))).scalar() or 0)
            self._surplus_bytes = there_bytes - self.keep_bytes

    def _too_old(self, connection: Connection, now_us: int) -> Sequence[Any]:
        if not self.keep_days:
            return ()
        old = ANSWERS.c.answered_us < now_us - int(self.keep_days * _DAY_US)
        return connection.execute(_ROWS.where(old).limit(_AT_ONCE)).all()

    def _too_many(self, connection: Connection) -> Sequence[Any]:
        if self._surplus_bytes <= 0:
            return ()
        oldest = connection.execute(_ROWS.order_by(ANSWERS.c.number).limit(_AT_ONCE)).all()
        before_bytes = itertools.accumulate((row.size_bytes for row in oldest), initial=0)
        return [row for row, size_bytes in zip(oldest, before_bytes, strict=False) if size_bytes < self._surplus_bytes]

    def _delete_notes(self, connection: Connection, now_us: int) -> None:
        """The journal and the audits of a time whose answers are gone."""
        first = connection.execute(select(func.min(ANSWERS.c.answered_us))).scalar()
        before = now_us - int(self.keep_days * _DAY_US) if self.keep_days else None
        if self.deleted and first is not None:
            before = max(first, before or first)
        if before is not None:
            for table in (JOURNAL, AUDITS):
                connection.execute(delete(table).where(table.c.at_us < before))

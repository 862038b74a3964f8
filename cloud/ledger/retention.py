"""How long the ledger keeps what it has: by age, and by how much it is."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from .database import Database
from .tables import ANSWERS, AUDITS, JOURNAL

_AT_ONCE = 500
_DAY_US = 86_400 * 1_000_000


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

    def delete_some(self, database: Database, now_us: int) -> bool:
        """Deletes up to some hundred answers that are not kept any longer; whether there may be more."""
        with database.write() as connection:
            numbers = self._too_old(connection, now_us) or self._too_many(connection)
            if numbers:
                # Numbers rise with time, and so do the answers that go.
                deleted = connection.execute(delete(ANSWERS).where(ANSWERS.c.number.in_(numbers))).rowcount
                self.deleted += deleted
            self._delete_notes(connection, now_us)
        return bool(numbers)

    def _too_old(self, connection: Connection, now_us: int) -> list[int]:
        if not self.keep_days:
            return []
        old = ANSWERS.c.answered_us < now_us - int(self.keep_days * _DAY_US)
        return list(connection.execute(select(ANSWERS.c.number).where(old).limit(_AT_ONCE)).scalars())

    def _too_many(self, connection: Connection) -> list[int]:
        if not self.keep_bytes:
            return []
        surplus = int(connection.execute(select(func.sum(ANSWERS.c.size_bytes))).scalar() or 0) - self.keep_bytes
        oldest = select(ANSWERS.c.number, ANSWERS.c.size_bytes).order_by(ANSWERS.c.number).limit(_AT_ONCE)
        numbers: list[int] = []
        for row in connection.execute(oldest).all() if surplus > 0 else ():
            if surplus <= 0:
                break
            numbers.append(row.number)
            surplus -= row.size_bytes
        return numbers

    def _delete_notes(self, connection: Connection, now_us: int) -> None:
        """The journal and the audits of a time whose answers are gone."""
        first = connection.execute(select(func.min(ANSWERS.c.answered_us))).scalar()
        before = now_us - int(self.keep_days * _DAY_US) if self.keep_days else None
        if self.deleted and first is not None:
            before = max(first, before or first)
        if before is not None:
            for table in (JOURNAL, AUDITS):
                connection.execute(delete(table).where(table.c.at_us < before))

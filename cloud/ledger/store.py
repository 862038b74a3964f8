"""Puts rows into the ledger's database and finds them again: it waits for the database, so it runs in threads."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from ...errors import InfilinkError, InvalidInput
from ...protos import edge_pb2
from .database import Database, told
from .rows import Answered, InputKey, SpecIds, answer_message, answer_rows
from .tables import ANSWERS, RESULTS, SPECS

logger = logging.getLogger(__name__)

Answer = edge_pb2.CoordinatorMessage


@dataclass(frozen=True)
class Note:
    """A row of a table beside the answers."""

    table: Any
    row: Mapping[str, Any]


class Store:
    """The rows of one ledger; one thread writes, another may find meanwhile.

    Args:
        database: where.
        clock_ns: Unix time.
    """

    def __init__(self, database: Database, clock_ns: Callable[[], int]) -> None:
        self.database = database
        self.clock_ns = clock_ns
        self._specs = SpecIds()
        self._number, self._known_specs = 0, set[int]()
        with database.failures_named():
            self._look_again()

    def write(self, group: Sequence[Answered | Note]) -> list[Answer | InfilinkError | None]:
        """Writes rows in one transaction; if one in it can't be written, in halves, so that the others cost few more.

        Returns:
            What stands for each; for the first of them alone, where the others can't be written now.

        Raises:
            DBAPIError: nothing can be written now.
        """
        if len(group) == 1:
            return [self._write_one(group[0])]
        try:
            self._insert(group)
        except Exception as error:
            if self.database.trouble(error) is not None:
                raise
        else:
            return [item.message if isinstance(item, Answered) else None for item in group]
        half = len(group) // 2
        written = self.write(group[:half])
        if len(written) < half:
            return written
        try:
            return [*written, *self.write(group[half:])]
        except Exception as error:
            if self.database.trouble(error) is None:
                raise
            return written  # Written once: they are not to be tried again with the others.

    def _write_one(self, item: Answered | Note) -> Answer | InfilinkError | None:
        failure: Exception | None = None
        for _ in range(2):
            try:
                self._insert([item])
                return item.message if isinstance(item, Answered) else None
            except Exception as error:
                if self.database.trouble(error) is not None:
                    raise
                failure = error
            if isinstance(item, Answered) and isinstance(failure, IntegrityError):
                found = self.find(item.key)
                if found is not None:
                    return found
                self._look_again()
        logger.warning("%s: a row can't be kept: %s", self.database.name, told(failure))
        return InvalidInput("the ledger can't keep this answer")

    def _look_again(self) -> None:
        """Another process has written to the ledger: what it numbered and named is not to be so again."""
        with self.database.read() as connection:
            self._number = connection.execute(select(func.max(ANSWERS.c.number))).scalar() or 0
            self._known_specs = set(connection.execute(select(SPECS.c.id)).scalars())

    def _insert(self, group: Sequence[Answered | Note]) -> None:
        now_us, number = self.clock_ns() // 1000, self._number
        answers, results, notes = [], [], dict[Any, list[Mapping[str, Any]]]()
        specs: dict[int, str] = {}
        kept: list[tuple[Answered, int, list[tuple[str, str]]]] = []
        for item in group:
            if isinstance(item, Note):
                notes.setdefault(item.table, []).append(item.row)
                continue
            number += 1
            answer, rows, named = answer_rows(item, number, now_us, self._specs)
            answers.append(answer)
            results += rows
            kept.append((item, number, [(row["model"], row["classes"]) for row in rows]))
            specs |= {spec: text for spec, text in named.items() if spec not in self._known_specs}
        spec_rows = [{"id": spec, "spec": text} for spec, text in specs.items()]
        tables: list[tuple[Any, list[Any]]] = [(SPECS, spec_rows), (ANSWERS, answers), (RESULTS, results)]
        with self.database.write() as connection:
            for table, rows in (*tables, *notes.items()):
                if rows:
                    self.database.insert(connection, table, rows)
        self._number = number
        self._known_specs.update(specs)
        for answered, its_number, classes in kept:
            answered.kept.number, answered.kept.answered_us, answered.kept.classes = its_number, now_us, classes

    def find_latest(self, key: InputKey) -> int:
        """The highest sequence of a key's session that was answered; -1: none was."""
        with self.database.read() as connection:
            of = (ANSWERS.c.device == key.device) & (ANSWERS.c.session == key.session)
            found = connection.execute(select(func.max(ANSWERS.c.sequence)).where(of)).scalar()
        return -1 if found is None else int(found)

    def find(self, key: InputKey) -> Answer | None:
        """The answer that an input got; None: it has none."""
        with self.database.read() as connection:
            of = (ANSWERS.c.device == key.device) & (ANSWERS.c.session == key.session)
            row = connection.execute(
                select(ANSWERS.c.number, ANSWERS.c.executed_s).where(of, ANSWERS.c.sequence == key.sequence)
            ).first()
            if row is None:
                return None
            sent = (RESULTS.c.answer == row.number) & (RESULTS.c.origin != "local")
            outputs = connection.execute(select(RESULTS.c.output).where(sent).order_by(RESULTS.c.place)).scalars().all()
        return answer_message(key.sequence, row.executed_s, outputs)

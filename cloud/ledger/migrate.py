"""A ledger of format 1 as one of this format: each answer was a blob, by (device, session, sequence)."""

import time
from collections.abc import Iterator
from contextlib import suppress

from google.protobuf.message import DecodeError
from sqlalchemy import Connection, text

from ...protos import edge_pb2
from .rows import Answered, InputKey, SpecIds, answer_rows
from .tables import ANSWERS, METADATA, RESULTS

FIRST = 1
_AT_ONCE = 500


def migrate(connection: Connection) -> int:
    """Converts the ledger, in the caller's transaction.

    When an answer was given was not kept: all of them count as given now.

    Returns:
        How many answers it held.
    """
    connection.execute(text("ALTER TABLE answers RENAME TO answers_1"))
    METADATA.create_all(connection)
    now_us, specs, count = time.time_ns() // 1000, SpecIds(), 0
    for group in _groups(connection):
        made = [answer_rows(answered, number, now_us, specs) for number, answered in group]
        connection.execute(ANSWERS.insert(), [answer for answer, _, _ in made])
        if results := [row for _, rows, _ in made for row in rows]:
            connection.execute(RESULTS.insert(), results)
        count += len(made)
    connection.execute(text("DROP TABLE answers_1"))
    return count


def _groups(connection: Connection) -> Iterator[list[tuple[int, Answered]]]:
    """The answers of a ledger of format 1 with their numbers, some at a time."""
    last, fields = -1, "number, device, session, sequence, answer"
    statement = text(f"SELECT {fields} FROM answers_1 WHERE number > :last ORDER BY number LIMIT :most")
    while rows := connection.execute(statement, {"last": last, "most": _AT_ONCE}).all():
        last, group = rows[-1].number, []
        for row in rows:
            message = edge_pb2.CoordinatorMessage()
            with suppress(DecodeError):
                message.ParseFromString(row.answer)
                group.append((row.number, Answered(InputKey(row.device, row.session, row.sequence), message)))
        if group:
            yield group

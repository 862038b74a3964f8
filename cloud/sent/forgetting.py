"""Deletes what was sent of inputs that the ledger no longer has, also while a coordinator adds to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import select, tuple_

from ...errors import InvalidInput
from ..ledger.database import Database
from ..ledger.tables import ANSWERS

_AT_ONCE = 200
_LOCKED_S = 30.0


def forget_unanswered(path: Path, database: Database) -> int:
    """Deletes the pictures, and all else that was kept, of inputs that have no answer in a ledger.

    Pictures that can't be decoded without one of them go, too.

    Args:
        path: the file with what was sent; it may be missing.
        database: the ledger's.

    Returns:
        How many inputs' went.

    Raises:
        InvalidInput: the file can't be written.
    """
    if not path.exists():
        return 0
    count, last = 0, 0
    try:
        with closing(sqlite3.connect(path, timeout=_LOCKED_S, isolation_level=None)) as sent:
            # What somebody wants gone is not left on the disk.
            sent.execute("PRAGMA secure_delete = ON")
            newest = sent.execute("SELECT max(number) FROM sent").fetchone()[0] or 0
            while last < newest:
                some = (
                    "SELECT number, stream, session, sequence, chain FROM sent WHERE number > ? ORDER BY number LIMIT ?"
                )
                rows = sent.execute(some, (last, _AT_ONCE)).fetchall()
                if not rows:
                    break
                last = rows[-1][0]
                count += _forget(sent, rows, database)
    except sqlite3.Error as error:
        raise InvalidInput(f"{path}: the pictures of what was deleted can't be deleted: {error}") from error
    return count


def _forget(sent: sqlite3.Connection, rows: list[tuple[int, str, str, int, int]], database: Database) -> int:
    key = tuple_(ANSWERS.c.device, ANSWERS.c.session, ANSWERS.c.sequence)
    names = {(stream, session, sequence) for _, stream, session, sequence, _ in rows}
    with database.read() as connection:
        there = {
            (row.device, row.session, row.sequence)
            for row in connection.execute(
                select(ANSWERS.c.device, ANSWERS.c.session, ANSWERS.c.sequence).where(key.in_(names))
            )
        }
    gone = [(number, chain) for number, *name, chain in rows if tuple(name) not in there]
    if not gone:
        return 0
    sent.execute("BEGIN IMMEDIATE")
    count = sent.executemany("DELETE FROM sent WHERE number = ?", [(number,) for number, _ in gone]).rowcount
    chains = {chain for _, chain in gone if chain}
    count += sent.executemany("DELETE FROM sent WHERE chain = ?", [(chain,) for chain in chains]).rowcount
    sent.execute("COMMIT")
    return count

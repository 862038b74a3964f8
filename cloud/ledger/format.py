"""The ledger's format, and whether a file has it: without the database's library, which not everybody has."""

import sqlite3
from contextlib import closing
from pathlib import Path

from ...errors import InvalidInput
from ...files import check_format

FORMAT = 2
"""Of the whole ledger, the learned state in it included. In 1 an answer was one blob, with nothing beside it."""
READS = (1, FORMAT)


def check_ledger(path: Path) -> None:
    """Makes sure that a file is a ledger that this version reads; nothing is written to it.

    Raises:
        InvalidInput: it is something else, or a newer infilink wrote it.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            database.execute("SELECT sequence FROM answers LIMIT 1")
            found = database.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise InvalidInput(f"{path}: is no ledger ({error})") from error
    check_format(found or 1, READS, path=path, what="a ledger")

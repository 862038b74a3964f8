"""Opening a spool that may be damaged: the file is set aside, and all of it that is whole goes into a new one."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from ..disk_state import is_damaged
from .spool_file import SESSION, Change, DamagedFile, SpoolFile, head_of, session_of
from .spool_rows import SpoolRow

logger = logging.getLogger(__name__)

_AT_ONCE = 64


def open_spool_file(path: Path) -> SpoolFile:
    """Opens a spool's file; a damaged one is set aside first, and what of it is whole is taken over.

    Raises:
        InvalidInput: another agent uses it, or a newer infilink wrote it.
        OSError, sqlite3.Error: it can't be opened.
    """
    try:
        return SpoolFile(path)
    except DamagedFile as error:
        return rescue(path, str(error))
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        return rescue(path, str(error))
    except UnicodeDecodeError:
        # SQLite's complaint names what it found there, and Python can't read that as a text.
        return rescue(path, "its tables have no readable names")


def rescue(path: Path, why: str) -> SpoolFile:
    """Sets a damaged file aside and begins a new one with all that is whole.

    Args:
        path: the file; nobody has it open.
        why: what is wrong with it.

    Raises:
        InvalidInput: another agent uses it.
        OSError, sqlite3.Error: no new one can be begun.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for kind in ("-wal", "-shm", ""):
        part = path.with_name(f"{path.name}{kind}")
        if part.exists():
            part.rename(aside.with_name(f"{aside.name}{kind}"))
    file = SpoolFile(path)
    taken, lost = 0, 0
    with closing(sqlite3.connect(aside)) as damaged:
        _take_over_notes(damaged, file)
        batch: list[SpoolRow] = []
        for row in _rows(damaged):
            if row is None:
                lost += 1
                continue
            taken += 1
            batch.append(row)
            if len(batch) == _AT_ONCE:
                file.write(Change(rows=batch))
                batch = []
        file.write(Change(rows=batch))
    logger.error(
        "%s: is damaged (%s): it is now %s; %d inputs of it are whole and go on, %d are not",
        path,
        why,
        aside.name,
        taken,
        lost,
    )
    return file


def _take_over_notes(damaged: sqlite3.Connection, file: SpoolFile) -> None:
    with suppress(sqlite3.Error, TypeError, ValueError):
        file.write(Change(about={name: bytes(value) for name, value in damaged.execute("SELECT * FROM about")}))
    with suppress(sqlite3.Error, TypeError, ValueError):
        for row in damaged.execute(f"SELECT {SESSION} FROM sessions ORDER BY number").fetchall():
            file.write(Change(session=session_of(row)))


def _rows(damaged: sqlite3.Connection) -> Iterator[SpoolRow | None]:
    """Every row that can be found, in its order; None for one that is damaged."""
    for number in _numbers(damaged):
        try:
            sql = "SELECT head, message, facts, checksum FROM payloads WHERE number = ?"
            place, message, facts, checksum = damaged.execute(sql, (number,)).fetchone()
            row = SpoolRow(head_of(json.loads(place)), bytes(message), bytes(facts))
            yield row if row.checksum == checksum else None
        except (sqlite3.Error, TypeError, ValueError, OverflowError):
            yield None


def _numbers(damaged: sqlite3.Connection) -> list[int]:
    """The rows' numbers: from the first one up to where it can't be read, and from the last one down to there."""
    found: set[int] = set()
    for way in ("ASC", "DESC"):
        with suppress(sqlite3.Error, UnicodeDecodeError):
            for (number,) in damaged.execute(f"SELECT number FROM payloads ORDER BY number {way}"):
                if number in found:
                    break
                found.add(number)
    return sorted(found)

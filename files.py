"""Files that are whole or not there, and that say which format they have."""

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InvalidInput

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Where the system refuses to write on for another reason than a full disk (a quota, the largest file), SQLite calls
# that an error of writing.
_DATABASE_FULL = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
)


class _NoRoom(InvalidInput):
    """A full disk, already told of as one."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the path to write to; when the block ends, what was written stands at `path`, in the place of what did.

    Where the block raises, what stood there before stays, and nothing is left beside it, also none of the files that
    SQLite keeps beside a database. The file's folder is made if
    it is missing. The name to write to carries the process's and the thread's number, so that two that write the same
    file don't write into each other's; the last to end wins.

    Args:
        path: where the file shall be.

    Raises:
        InvalidInput: there is no room for it.
        OSError: it can't be written there.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_native_id()}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    # Of a process that had this number and was killed.
    part.unlink(missing_ok=True)
    try:
        with room_for(path):
            yield part
            part.replace(path)
    finally:
        remove_database(part)


def write_secret(path: Path, content: bytes) -> None:
    """Writes a file that only its user can read, from its first byte on.

    Raises:
        InvalidInput: there is no room for it.
        OSError: it can't be written there.
    """
    with replacing(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Says of a full disk, in whatever way it shows, which file it was that found no room.

    Raises:
        InvalidInput: there is no room for the file.
    """
    try:
        yield
    except (_NoRoom, OSError, sqlite3.Error) as error:
        if not is_full(error):
            raise
        raise _NoRoom(f"{path}: can't be written: the disk is full; make room, or give another place") from error


def remove_database(path: Path) -> None:
    """Removes a file, and what SQLite keeps beside it if it is a database; it may be gone already."""
    for name in (path.name, *(f"{path.name}-{kind}" for kind in ("wal", "shm", "journal"))):
        path.with_name(name).unlink(missing_ok=True)


def is_full(error: BaseException) -> bool:
    """Whether an error of the system or of SQLite says that a disk is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    if isinstance(error, _NoRoom):
        return True  # Of the part that is written; whoever asked for the whole is told its name.
    return getattr(error, "sqlite_errorcode", None) in _DATABASE_FULL


def check_format(found: object, reads: Collection[int], *, path: Path | str, what: str) -> None:
    """Makes sure that a file has a format that this version reads.

    Args:
        found: the number that the file gives.
        reads: the numbers that are read.
        path: the file, or how to name it.
        what: what it is: "a trace".

    Raises:
        InvalidInput: another format; the message says how to go on.
    """
    if found in reads:
        return
    known = f"{min(reads)} to {max(reads)}" if len(reads) > 1 else f"{max(reads)}"
    if not isinstance(found, int) or isinstance(found, bool):
        how = "it is damaged"
    elif found < min(reads):
        how = f"convert it: infilink upgrade {path}"
    else:
        how = "a newer infilink wrote it: install that version, or a newer one, here too"
    raise InvalidInput(f"{path}: is {what} of format {found}, and this version reads {known}; {how}")


def json_format(text: str) -> object:
    """The number that a file's JSON gives as its `format`.

    It is asked for before all else is read, as a newer format may hold what an older version knows nothing of. 1 where
    there is none: the first files gave none, and whoever reads on says what is wrong with the others.
    """
    with suppress(ValueError):
        data = json.loads(text)
        return data.get("format", 1) if isinstance(data, dict) else 1
    return 1


def mark_format(database: sqlite3.Connection, current: int, *, path: Path, what: str) -> None:
    """Makes sure that a SQLite file has a format that this version reads, and marks it with the one that it writes.

    The number is the file's `user_version`. Files of the first format were not marked.

    Args:
        database: opened for writing.
        current: the format that this version writes; it reads all before it.
        path: the file.
        what: what it is: "a ledger".

    Raises:
        InvalidInput: a newer infilink wrote the file.
        sqlite3.Error: it can't be read or written.
    """
    found = database.execute("PRAGMA user_version").fetchone()[0]
    check_format(found or 1, range(1, current + 1), path=path, what=what)
    if found != current:
        database.execute(f"PRAGMA user_version = {current:d}")

"""What keeps a file of the agent from being written now, in words: a full or read-only disk is a state, no end."""

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

from ..errors import InvalidInput
from ..files import is_full

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PASSING = (errno.EIO, errno.EROFS, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ESTALE)


def why_not_writable(error: BaseException, path: Path, *, was_open: bool = True) -> str:
    """Why a file can't be written at this moment, where that may pass; empty: the error says something else.

    Args:
        error: what the system or SQLite said.
        path: the file, or where it shall be.
        was_open: whether it could be opened before: then it is the disk that fails, and else perhaps the path.
    """
    if is_full(error):
        return "the disk is full"
    code = _code(error)
    if code in _LOCKED:
        return "another program has locked it"
    if code == sqlite3.SQLITE_READONLY or is_read_only(path):
        return "the disk is read-only"
    if was_open and (
        code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) or getattr(error, "errno", None) in _PASSING
    ):
        return f"the disk fails ({error})"
    return ""


def is_damaged(error: BaseException) -> bool:
    """Whether an error of SQLite says that a file is no whole database, or has lost what tables it has."""
    # What we ask for is there in every file that we have made.
    is_missing = _code(error) == sqlite3.SQLITE_ERROR and str(error).startswith("no such ")
    return is_missing or _code(error) in _DAMAGED


def is_read_only(path: Path) -> bool:
    """Whether a file's disk, as far as its folders exist, takes no writing."""
    for folder in (path, *path.parents):
        if folder.exists():
            return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    return False


def _code(error: BaseException) -> int:
    """SQLite's primary code; -1: it is none of its errors."""
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF if isinstance(error, sqlite3.Error) else -1


def lock_beside(path: Path, *, advice: str) -> int:
    """Makes this the only one that uses a file, until what is returned is closed, or the agent ends.

    Args:
        path: the file; the lock is beside it, as SQLite has locks of its own.
        advice: what to do if another one uses it.

    Raises:
        InvalidInput: another one does.
        OSError: there is no room for the lock.
    """
    file = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise InvalidInput(f"{path}: another agent uses it: end one of them, or {advice}") from error
    return file

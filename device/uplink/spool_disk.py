"""The spool's file as one that may be full, read-only, failing or damaged for a time: a state, and it goes on after."""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ...errors import InfilinkError
from ..disk_state import is_damaged, why_not_writable
from .spool_file import Change, DamagedFile, SpoolFile
from .spool_rescue import open_spool_file, rescue
from .spool_rows import Head, Key, SpoolRow

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


class SpoolDisk:
    """One spool's file, opened, or to be.

    Args:
        path: the file.

    Attributes:
        trouble: why it can't be written now; empty: it can.
        opened: how often it was opened anew: what is in it may be less than before.

    Raises:
        InvalidInput: another agent uses it, or a newer infilink wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self.opened = 0
        self._file: SpoolFile | None = None
        self._damage = ""
        try:
            self._open()
        except (OSError, sqlite3.Error, DamagedFile) as error:
            self._take_error(error)

    def read(self, read: Callable[[SpoolFile], Found], otherwise: Found) -> Found:
        """What is read of the file; `otherwise`, while it can't be."""
        try:
            return otherwise if self._file is None else read(self._file)
        except sqlite3.Error as error:
            if is_damaged(error):
                # The next write mends it.
                self._damage, self.trouble = str(error), f"it is damaged ({error})"
            return otherwise

    def heads(self, read: Callable[[SpoolFile], list[Head]]) -> list[Head]:
        """Inputs that are read of it; none, while it can't be."""
        return self.read(read, [])

    def load(self, head: Head) -> SpoolRow | None:
        """An input's row; None: it is not there, or can't be read now.

        Raises:
            DamagedRow: it is not as it was written.
        """
        return self.read(lambda file: file.load(head.key), None)

    def write(self, change: Change) -> frozenset[Key] | None:
        """Writes all of it, synced; returns what waits no more, as `SpoolFile.write`; None: that was not possible."""
        gone: frozenset[Key] = frozenset()
        try:
            if self._damage:
                self._rescue()
            if self._file is None:
                self._open()
            assert self._file is not None
            if change:
                gone = self._file.write(change)
        except (OSError, sqlite3.Error, DamagedFile, InfilinkError, ValueError, OverflowError) as error:
            self._take_error(error)
            return None
        if self.trouble:
            logger.warning("%s: can be written again", self.path)
            self.trouble = ""
        return gone

    def close(self) -> None:
        """Closes it; closing twice is fine."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        self._file = open_spool_file(self.path)
        self.opened += 1

    def _rescue(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._file = rescue(self.path, self._damage)
        self._damage = ""
        self.opened += 1

    def _take_error(self, error: Exception) -> None:
        if is_damaged(error):
            # At the next attempt.
            self._damage = self._damage or str(error)
        reason = why_not_writable(error, self.path) or str(error)
        if not self.trouble:
            logger.error(
                "the spool %s can't be written: %s; inputs wait in memory, and it is tried again", self.path, reason
            )
        self.trouble = reason

"""Results as JSON lines: one object for each input, into a file that is rotated by its size, or to standard output."""

import json
import os
import sys
from itertools import pairwise
from typing import TextIO

from ...errors import InvalidInput
from .delivered import Delivered, EventPicture, Item
from .settings import JsonLinesConfig


class JsonLines:
    """Writes each input, once all of it is known, as a line.

    Args:
        config: where to.

    Raises:
        InvalidInput: the file can't be written.
    """

    wants_pictures = False

    def __init__(self, config: JsonLinesConfig) -> None:
        self.config = config
        self._to_stdout = str(config.path) == "-"
        self._size_bytes = 0
        self._file: TextIO | None = None
        try:
            self._open()
        except OSError as error:
            raise InvalidInput(f"sinks: {config.path}: can't be written: {error}") from error

    def take(self, delivered: Delivered) -> None:
        """Writes a line."""
        if not self.config.events_only:
            self._write(delivered)

    def take_event(self, event: EventPicture) -> None:
        """Writes a line of `"type": "event"`."""
        self._write(event)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None and not self._to_stdout:
            self._file.close()
        self._file = None

    def _write(self, item: Item) -> None:
        if self._file is None:
            self._open()
        assert self._file is not None
        line = json.dumps(item.as_json(), ensure_ascii=False, separators=(",", ":")) + "\n"
        size_bytes = len(line.encode())
        if not self._to_stdout and self._size_bytes and self._size_bytes + size_bytes > self.config.size_bytes:
            self._rotate()
        self._file.write(line)
        # Whoever follows the file sees the line at once.
        self._file.flush()
        self._size_bytes += size_bytes

    def _open(self) -> None:
        if self._to_stdout:
            self._file = sys.stdout
            return
        self.config.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.config.path.open("a", encoding="utf-8")
        self._size_bytes = os.fstat(self._file.fileno()).st_size

    def _rotate(self) -> None:
        self.close()
        path = self.config.path
        aside = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, self.config.files))]
        aside[-1].unlink(missing_ok=True)
        for newer, older in reversed(list(pairwise(aside))):
            if newer.exists():
                newer.replace(older)
        self._open()

"""Results as JSON lines: one object for each input, into a file that is rotated by its size, or to standard output."""

import errno
import io
import json
import os
import stat
from itertools import pairwise

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
        self._file: io.FileIO | None = None
        self._is_regular = False
        try:
            if not self._to_stdout:
                self._open()
        except OSError as error:
            if error.errno != errno.ENXIO:
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
        if self._file is not None:
            self._file.close()
        self._file = None

    def _write(self, item: Item) -> None:
        line = json.dumps(item.as_json(), ensure_ascii=False, separators=(",", ":")) + "\n"
        if self._to_stdout:
            print(line, end="", flush=True)
            return
        content = line.encode()
        file = self._file or self._open()
        size_bytes = os.fstat(file.fileno()).st_size if self._is_regular else 0
        if size_bytes and size_bytes + len(content) > self.config.size_bytes:
            file, size_bytes = self._rotate(), 0
        try:
            # At once, so that whoever follows the file sees whole lines.
            done = file.write(content)
        except BrokenPipeError:
            self.close()  # The next one who reads it begins with a whole line.
            raise
        if done != len(content) and self._is_regular:
            file.truncate(size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> io.FileIO:
        """Opens the file, or what else is there: of that nothing is put aside.

        Raises:
            OSError: it can't be written; ENXIO: it is a pipe that nobody reads now.
        """
        path = self.config.path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # To open a pipe would wait until somebody reads it.
            number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise OSError(errno.ENXIO, f"nobody reads {path}") if error.errno == errno.ENXIO else error from error
        os.set_blocking(number, True)
        self._file = io.FileIO(number, "a")
        self._is_regular = stat.S_ISREG(os.fstat(number).st_mode)
        return self._file

    def _rotate(self) -> io.FileIO:
        self.close()
        path = self.config.path
        aside = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, self.config.files))]
        aside[-1].unlink(missing_ok=True)
        for newer, older in reversed(list(pairwise(aside))):
            if newer.exists():
                newer.replace(older)
        return self._open()

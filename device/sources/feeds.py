"""Where lines come from: files, one after another, or what is piped in; and lines of bytes, none of them too long."""

import codecs
import os
import queue
import select
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...errors import InfilinkError, InvalidInput, Unavailable
from .complaints import Complaints
from .folder import Files
from .names import STDIN

LONGEST_LINE = 2**22
"""The longest line or message, in bytes; a longer one is left out."""

_READ_BYTES = 2**18
_WAITING = 4096
_BYTES_EACH = 2**12
"""What waits counts as a block for each so many bytes of it: 16 MiB are as much as can wait."""
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Block:
    """Some lines that came together.

    Attributes:
        lines: without their ends.
        arrived_s: when they came; None: they were there.
        begins: whether a file begins with them.
        ends: whether a file ends with them.
    """

    lines: list[bytes]
    arrived_s: float | None = None
    begins: bool = False
    ends: bool = False


class Feed(Protocol):
    """Gives lines until there are no more.

    Attributes:
        live: whether they come when they are made.
        has_files: whether each file can be an input.
        file_count: how many files there are; None: not known.
    """

    live: bool
    has_files: bool
    file_count: int | None

    def blocks(self) -> Iterator[Block]:
        """Every block of lines; going on where an earlier loop stopped.

        Raises:
            Unavailable: what they come from is gone.
        """

    def close(self) -> None:
        """Ends it; closing twice is fine."""


class Splitter:
    """Makes lines of bytes as they come; what is too long is left out.

    Args:
        complaints: told of it.
    """

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._rest = b""
        self._too_long = False

    def take(self, data: bytes) -> list[bytes]:
        """The lines that are whole with these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._too_long and lines:
            lines, self._too_long = lines[1:], False
        if len(self._rest) > LONGEST_LINE:
            if not self._too_long:
                self._complain()
            self._too_long, self._rest = True, b""
        return [line.removesuffix(b"\r") for line in lines if self._fits(line)]

    def finish(self) -> list[bytes]:
        """The last line, if no end of line is behind it."""
        rest, self._rest = self._rest, b""
        return [] if not rest or self._too_long else [rest.removesuffix(b"\r")]

    def _fits(self, line: bytes) -> bool:
        if len(line) <= LONGEST_LINE:
            return True
        self._complain()
        return False

    def _complain(self) -> None:
        self._complaints.add("too long", f"a line is longer than {LONGEST_LINE // 2**20} MiB: it is left out")


class FileFeed:
    """Gives the lines of files, one after another.

    Args:
        files: which files.
        complaints: told of what is wrong with one.
    """

    def __init__(self, files: Files, complaints: Complaints) -> None:
        self.live = files.watch
        self.has_files = True
        self.file_count = files.count
        self._files = files
        files.complaints = complaints
        self._complaints = complaints
        self._closed = False
        self._blocks = self._every()

    def blocks(self) -> Iterator[Block]:
        """Every block of lines."""
        return self._blocks

    def close(self) -> None:
        """Ends it, also while it waits for a file."""
        self._closed = True
        self._files.stop()

    def check_there(self) -> None:
        """Makes sure that there is a first file to look at, where the others may come later.

        Raises:
            InvalidInput: there is none yet.
        """
        if self.live and not self._files.are_there:
            raise InvalidInput(
                "holds no file yet that shows what its inputs are: give `channels` and `time_column` (or - for none)"
            )

    def _every(self) -> Iterator[Block]:
        for path, came_s in self._files:
            if self._closed:
                return
            try:
                yield from self._of(path, came_s)
            except OSError as error:
                if self._files.count == 1:
                    raise InvalidInput(f"{path}: can't be read ({error.strerror})") from error
                self._complaints.add("can't be read", f"{path}: can't be read ({error.strerror}); left out")

    def _of(self, path: Path, came_s: float | None) -> Iterator[Block]:
        splitter = Splitter(self._complaints)
        begins = True
        with path.open("rb") as file:
            decode = _decoder(file.read(4))
            file.seek(0)
            old: bool | None = None
            while not self._closed and (data := file.read(_READ_BYTES)):
                text = data if decode is None else decode(data)
                # Some spreadsheets end lines as Macs did before 2001.
                old = b"\r" in text and b"\n" not in text if old is None else old
                lines = splitter.take(text.replace(b"\r", b"\n") if old else text)
                if lines:
                    yield Block(lines, came_s, begins)
                    begins = False
        yield Block(splitter.finish(), came_s, begins, ends=True)


def _decoder(head: bytes) -> Callable[[bytes], bytes] | None:
    """What makes UTF-8 of a file that is UTF-16 or UTF-32, and takes the mark off one that says UTF-8."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
        (_plain(head, 1), "utf-16-le"),
        (_plain(head, 0), "utf-16-be"),
    ):
        if mark and head.startswith(mark):
            decoder = codecs.getincrementaldecoder(name)("surrogateescape" if "8" in name else "replace")
            return lambda data: decoder.decode(data).encode("utf-8", "surrogateescape")
    return None


def _plain(head: bytes, high: int) -> bytes:
    """The head itself, if each second byte of it from `high` on, and no other, is 0: UTF-16 without a mark."""
    return head if len(head) == 4 and not any(head[high::2]) and all(head[1 - high :: 2]) else b""


class _Waiting(queue.Queue[Block | InfilinkError | None]):
    """A queue that is full by its blocks, or by what they hold."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._held_bytes = 0

    def _qsize(self) -> int:
        return super()._qsize() + self._held_bytes // _BYTES_EACH

    def _put(self, item: Block | InfilinkError | None) -> None:
        super()._put(item)
        self._held_bytes += _held(item)

    def _get(self) -> Block | InfilinkError | None:
        item: Block | InfilinkError | None = super()._get()
        self._held_bytes -= _held(item)
        return item


def _held(item: object) -> int:
    """What a block takes, with Python's own share of each line."""
    return sum(len(line) + 64 for line in item.lines) if isinstance(item, Block) else 0


class ThreadFeed:
    """Gives lines that a thread reads as they come, each with the time of its arrival.

    Args:
        name: the source's, for what is said.
        complaints: told of lines that are lost.
        loses: whether the oldest go when nobody takes them; else the reader waits.
    """

    has_files = False
    file_count: int | None = None
    live = True

    def __init__(self, name: str, complaints: Complaints, *, loses: bool) -> None:
        self.name = name
        self._complaints = complaints
        self._loses = loses
        self._queue = _Waiting(_WAITING)
        self._closed = threading.Event()

    def start(self, read: Callable[[], None]) -> None:
        """Starts the thread.

        Args:
            read: its whole life: it calls `put`, and in the end `end`.
        """
        threading.Thread(target=read, name="lines", daemon=True).start()

    @property
    def is_closed(self) -> bool:
        """Whether nobody wants any more."""
        return self._closed.is_set()

    def put(self, lines: list[bytes], arrived_s: float | None) -> None:
        """Adds lines that have just come; in the reader's thread."""
        if not lines:
            return
        block = Block(lines, arrived_s)
        while not self.is_closed:
            try:
                self._queue.put(block, timeout=0 if self._loses else _LOOK_EVERY_S)
                return
            except queue.Full:
                if self._loses:
                    self._complaints.add("lost", "lines come faster than they are taken: the oldest are left out")
                    self._drop()

    def end(self, error: InfilinkError | None = None) -> None:
        """Says that no more will come, and why if that is an error; in the reader's thread."""
        while not self.is_closed:
            try:
                self._queue.put(error, timeout=_LOOK_EVERY_S)
                return
            except queue.Full:
                if self._loses:
                    self._drop()

    def blocks(self) -> Iterator[Block]:
        """Every block of lines.

        Raises:
            Unavailable: what they come from is gone.
        """
        while not self.is_closed:
            try:
                found = self._queue.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                continue
            if isinstance(found, Block):
                yield found
                continue
            self.close()
            if found is not None:
                raise found
            return

    def first(self, within_s: float | None) -> Block:
        """The first block, for a look at it.

        Args:
            within_s: how long to wait for it; None: until it comes.

        Raises:
            Unavailable: none came in time.
        """
        try:
            found = self._queue.get(timeout=within_s)
        except queue.Empty:
            raise Unavailable(
                f"{self.name}: nothing came within {within_s:g} s to tell what its inputs are; give `channels` or "
                '`modality = "text"`, or check that it sends'
            ) from None
        if isinstance(found, Block):
            return found
        raise found or InvalidInput(f"{self.name}: ended before anything came")

    def close(self) -> None:
        """Ends it."""
        self._closed.set()

    def _drop(self) -> None:
        with suppress(queue.Empty):
            self._queue.get_nowait()

    def bytes_of(self, file: int, most_bytes: int) -> Iterator[bytes]:
        """What a file that does not wait gives, as soon as it is there, until this is closed; from its thread.

        Nothing, again and again, where nobody writes to it any more.

        Raises:
            OSError: it can't be read.
        """
        while not self.is_closed:
            if not select.select([file], [], [], _LOOK_EVERY_S)[0] or self.is_closed:
                continue
            # Somebody else may have been faster.
            with suppress(BlockingIOError):
                yield os.read(file, most_bytes)


class PipeFeed(ThreadFeed):
    """Gives the lines that are piped in (`-`), or written into a pipe that has a name; none is ever lost.

    Args:
        where: "-", or the pipe's path.
        complaints: told of lines that are too long.
        stays: whether a pipe that has a name is read on with its next writer; else it ends with its last one.

    Raises:
        Unavailable: the pipe can't be opened.
    """

    def __init__(self, where: str, complaints: Complaints, *, stays: bool = False) -> None:
        super().__init__(where, complaints, loses=False)
        self._stays = stays and where != STDIN
        try:
            self._file = os.dup(0) if where == STDIN else os.open(where, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise Unavailable(f"{where}: can't be opened ({error.strerror})") from error
        self.live = not stat.S_ISREG(os.fstat(self._file).st_mode)
        self.start(self._read)

    def _read(self) -> None:
        splitter = Splitter(self._complaints)
        started = False
        try:
            for came in self.bytes_of(self._file, _READ_BYTES):
                arrived_s = time.monotonic() if self.live else None
                data = came if started else came.removeprefix(codecs.BOM_UTF8)
                if not data and not started and self.name != STDIN:
                    # Nobody has opened it for writing yet.
                    self._closed.wait(_LOOK_EVERY_S)
                    continue
                self.put(splitter.take(data) if data else splitter.finish(), arrived_s)
                if not data and not self._stays:
                    break
                started = bool(data)
            self.end()
        except OSError as error:
            self.end(Unavailable(f"{self.name}: can't be read ({error.strerror})"))
        finally:
            os.close(self._file)

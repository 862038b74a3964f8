"""The files of a folder, a pattern or a path, in order; and those that come later, once they are whole."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import InvalidInput
from .complaints import Complaints
from .names import is_hidden, listed, natural

_LOOK_EVERY_S = 0.5
_UNFINISHED = (".part", ".tmp", ".temp", ".crdownload", ".download", ".swp")


class Files:
    """The files that a source names, each once; going on where an earlier loop stopped.

    With `watch` it never ends: a file that comes is given when it has not changed between two looks, so that nobody
    reads half of one. What is written beside and renamed is whole at once, and is given at the second look, too.

    Args:
        kind: which kind of files.
        where: a path, a folder or a pattern.
        watch: whether to wait for more.
        alive: called at each look.
        wait: waits for so many seconds; None: as long as it is not stopped.
        clock: seconds that do not go back.

    Attributes:
        count: how many there are; None: more may come.
        first: the first of them; None: nobody knows which will be.
        complaints: told of files that change after they were given; None: nobody is.
    """

    def __init__(
        self,
        kind: str,
        where: str,
        *,
        watch: bool,
        alive: Callable[[], None] = lambda: None,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.complaints: Complaints | None = None
        self.kind = kind
        self.where = where
        self.watch = watch
        self._alive = alive
        self._stopped = threading.Event()
        self._wait = self._stopped.wait if wait is None else wait
        self._clock = clock
        if watch and not Path(where).is_dir():
            raise InvalidInput(f"{where}: `watch` is for folders")
        paths = [] if watch else listed(kind, where)
        self.count = None if watch else len(paths)
        self.first = paths[0] if paths else None
        self._paths = self._watched() if watch else iter(paths)

    @property
    def are_there(self) -> bool:
        """Whether any are there now."""
        return bool(self._look())

    def now(self) -> float | None:
        """When a file that is there now came; None: nobody watches for that."""
        return self._clock() if self.watch else None

    def stop(self) -> None:
        """Waits for no more of them."""
        self._stopped.set()

    def __iter__(self) -> Iterator[tuple[Path, float | None]]:
        """Every file, with the time when it came, if that is watched for."""
        for path in self._paths:
            yield path, self.now()

    def _watched(self) -> Iterator[Path]:
        given: dict[Path, tuple[int, int]] = {}
        seen: dict[Path, tuple[int, int]] = {}
        while not self._stopped.is_set():
            found = self._look()
            # What was deleted is forgotten, and given again if it comes again.
            given = {path: state for path, state in given.items() if path in found}
            new = [path for path, state in found.items() if path not in given and seen.get(path) == state]
            for path in [each for each, state in given.items() if state != found[each]]:
                given[path] = found[path]
                self._tell(path)
            for path in sorted(new, key=lambda path: (found[path][0], natural(str(path)))):
                given[path] = found[path]
                yield path
            seen = found
            self._alive()
            self._wait(_LOOK_EVERY_S)

    def _tell(self, path: Path) -> None:
        if self.complaints is not None:
            self.complaints.add(
                "changed later",
                f"{path}: has changed after it was read: what is new in it is left out; write beside and rename",
            )

    def _look(self) -> dict[Path, tuple[int, int]]:
        """Every file that may be whole: when it was changed, and its size."""
        found = {}
        try:
            paths = listed(self.kind, self.where)
        except (InvalidInput, OSError):
            return {}  # Empty, or gone for a while: more may come.
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue
            if status.st_size and path.suffix.lower() not in _UNFINISHED and not is_hidden(Path(path.name)):
                found[path] = (status.st_mtime_ns, status.st_size)
        return found


def files_of(kind: str, where: str, *, watch: bool, alive: Callable[[], None] = lambda: None) -> Files:
    """The files of a source.

    Raises:
        InvalidInput: there are none, or what is to be watched is no folder.
    """
    return Files(kind, where, watch=watch, alive=alive)

"""Files that are whole or not there: written beside their place and renamed into it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the path to write to; when the block ends, what was written stands at `path`, in the place of what did.

    Where the block raises, what stood there before stays, and nothing is left beside it. The file's folder is made if
    it is missing. The name to write to carries the process's and the thread's number, so that two that write the same
    file don't write into each other's; the last to end wins.

    Args:
        path: where the file shall be.

    Raises:
        OSError: it can't be written there.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_native_id()}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    # Of a process that had this number and was killed.
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

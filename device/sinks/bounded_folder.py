"""A folder for the files of one sink, within bounds: the oldest files go first."""

import os
import re
from pathlib import Path

from ...errors import InvalidInput


class BoundedFolder:
    """Looks after files of certain endings in a folder; others, and those of other names, are left alone.

    Args:
        folder: made if it is missing.
        most_bytes: what the files may take together.
        prefix: what the files' names begin with.
        endings: what they end in, each with its dot; files that differ in the ending alone go together.

    Raises:
        InvalidInput: there can be no such folder, or nothing can be written there.
    """

    def __init__(self, folder: Path, most_bytes: int, *, prefix: str, endings: tuple[str, ...]) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self.prefix = prefix
        self.endings = endings
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"{folder}: is no folder that can be written to: {error}") from error
        if not os.access(folder, os.W_OK):
            raise InvalidInput(f"{folder}: can't be written to")

    def path(self, name: str, ending: str) -> Path:
        """The file of a name, in which only letters, digits, dots and dashes are kept, and which is free."""
        self.folder.mkdir(parents=True, exist_ok=True)  # Somebody may have tidied up.
        name = self.prefix + re.sub(r"[^A-Za-z0-9._-]", "_", name)
        path = self.folder / f"{name}{ending}"
        number = 2
        while path.exists():
            path = self.folder / f"{name}-{number}{ending}"
            number += 1
        return path

    def make_room(self, new_bytes: int = 0, *, keep: frozenset[Path] = frozenset()) -> int:
        """Removes the oldest files until all, and as many bytes more, are within the bound; returns how many went.

        Args:
            new_bytes: what is about to be written.
            keep: files that are being written: they count, and stay.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        found: list[tuple[int, Path, int]] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.startswith(self.prefix) and entry.name.endswith(self.endings) and entry.is_file():
                    stat = entry.stat()
                    found.append((stat.st_mtime_ns, Path(entry.path), stat.st_size))
        total = new_bytes + sum(size for _, _, size in found)
        removed = 0
        for _, path, size in sorted(found):
            if total <= self.most_bytes:
                break
            if path not in keep:
                path.unlink(missing_ok=True)
                total -= size
                removed += 1
        return removed

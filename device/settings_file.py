"""The agent's TOML while it runs: whether it was edited, and what it says then."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from .config import DeviceConfig, load_config

logger = logging.getLogger(__name__)

Look = tuple[int, int, int]
"""What tells cheaply whether a file may have changed."""


def look_at(path: Path) -> Look | None:
    """A file's time, size and number; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class SettingsFile:
    """A TOML file with the agent's settings, read again when it has changed.

    Args:
        path: the file.
        overrides: what stands in its settings' place, as for `load_config`.
    """

    def __init__(self, path: Path, overrides: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.overrides = overrides
        self._seen: Look | None = None
        self._digest = b""

    def load(self) -> DeviceConfig:
        """What it says.

        Raises:
            InvalidInput: a setting is wrong; the message names the file, the key and what is allowed.
        """
        self._seen, self._digest = look_at(self.path), self._read()
        return load_config(self.path, self.overrides)

    def changed(self) -> DeviceConfig | None:
        """What it says since it was last read; None: the same. What is wrong in it is logged, once."""
        seen = look_at(self.path)
        if seen == self._seen:
            return None
        self._seen, digest = seen, self._read()
        if digest == self._digest:
            return None
        self._digest = digest
        try:
            return load_config(self.path, self.overrides)
        except InvalidInput as error:
            logger.warning("%s; everything goes on as it was", error)
            return None

    def _read(self) -> bytes:
        try:
            return hashlib.sha256(self.path.read_bytes()).digest()
        except OSError:
            return b""

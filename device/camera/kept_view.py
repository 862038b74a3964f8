"""The view that a gate's promise is of, on disk: a camera that is turned while the agent is away is told afterwards."""

import logging
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...files import replacing
from .view import View

logger = logging.getLogger(__name__)

_KEPT_S = 7 * 86_400.0
"""An older one tells too little: a place changes within weeks, too."""
_MOST_BYTES = 2**20


class KeptView:
    """Keeps one stream's view in a file beside its spool.

    Args:
        path: the file.
        gate: the digest of the gate whose promise is of the view; with another gate it is none.
        unix_s: Unix time.
    """

    def __init__(self, path: Path, gate: str, *, unix_s: Callable[[], float] = time.time) -> None:
        self.path = path
        self.gate = gate
        self.unix_s = unix_s
        self._writer: threading.Thread | None = None

    def read(self) -> View | None:
        """The view that was kept; None: there is none that tells anything."""
        try:
            about = self.path.stat()
            # A clock may have been set back, too: what lies ahead is as new as can be.
            if about.st_size > _MOST_BYTES or self.unix_s() - about.st_mtime > _KEPT_S:
                return None
            # NumPy leaves the file open where it is no archive.
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            return View.of(arrays) if str(arrays.pop("gate")) == self.gate else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("%s: what the camera saw can't be read, and is learnt anew: %s", self.path, error)
            return None

    def keep(self, view: View) -> None:
        """Writes a view beside whatever goes on: a slow card holds up no capture."""
        if self._writer is not None and self._writer.is_alive():
            return
        arrays = {name: array.copy() for name, array in view.arrays().items()} | {"gate": np.asarray(self.gate)}
        self._writer = threading.Thread(target=self._write, args=(arrays,), name="camera-view", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Waits until what was given is written."""
        if self._writer is not None:
            self._writer.join()

    def _write(self, arrays: dict[str, Any]) -> None:
        try:
            with replacing(self.path) as part, part.open("wb") as file:
                np.savez(file, **arrays)
        except (OSError, ValueError) as error:
            logger.warning("%s: what the camera sees can't be kept: %s", self.path, error)

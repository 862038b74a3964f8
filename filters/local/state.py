"""What a gate has learnt at work, in one .npz file that outlives a restart."""

import json
import logging
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...files import check_format, replacing
from ...outputs import Array

logger = logging.getLogger(__name__)

SAVE_S = 60.0
"""The time of capture between two savings: as much is lost where the process is killed."""
_FORMAT = 1
_PLAIN = "plain"


@dataclass(frozen=True)
class Learnt:
    """What came of learning at work since a gate was opened.

    Attributes:
        inputs: how many inputs it has learnt from.
        better: how often what it had learnt was better than what it came from, by the audit, and took its place.
        worse: how often it was worse, and was given up.
    """

    inputs: int = 0
    better: int = 0
    worse: int = 0


class StateFile:
    """Writes and reads the file; one gate, one file.

    Args:
        path: where it is, or will be.
        began: the digest of the gate's own file, so that it goes on from nothing else.
    """

    def __init__(self, path: Path, began: str) -> None:
        self.path = path
        self.began = began
        self._saved_s: float | None = None
        self._told = False

    def load(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """The arrays and plain values that were saved; None: nothing was yet.

        Raises:
            InvalidInput: it is damaged, or another file's.
        """
        if not self.path.is_file():
            return None
        try:
            # A file that is no archive would be left open by NumPy.
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                arrays = {name: np.asarray(found[name]) for name in found.files}
            plain = json.loads(str(arrays.pop(_PLAIN)))
            written, began = plain.pop("format"), plain.pop("began")
        except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise InvalidInput(f"{self.path}: holds nothing that was learnt at work: delete it ({error})") from error
        check_format(written, (_FORMAT,), path=self.path, what="what was learnt at work")
        if began != self.began:
            raise InvalidInput(
                f"{self.path}: what it holds was learnt by another file than this gate's: give that one, or another "
                "place for `update`"
            )
        return arrays, plain

    def due(self, captured_s: float) -> bool:
        """Whether it is time to save again; the clock begins with the first question."""
        if self._saved_s is None or captured_s < self._saved_s:
            self._saved_s = captured_s
        if captured_s - self._saved_s < SAVE_S:
            return False
        self._saved_s = captured_s
        return True

    def save(self, arrays: Mapping[str, Array], plain: Mapping[str, Any]) -> None:
        """Writes it, whole or not at all; that it can't be written is said once, and ends no stream."""
        found: dict[str, Any] = dict(arrays)
        found[_PLAIN] = np.asarray(json.dumps({**plain, "format": _FORMAT, "began": self.began}))
        try:
            with replacing(self.path) as part, part.open("wb") as file:
                np.savez(file, **found)
        except (OSError, InvalidInput) as error:
            if not self._told:
                logger.warning("%s: what is learnt can't be saved (told once): %s", self.path, error)
            self._told = True


class Learning(ABC):
    """What gates that learn at work have in common: what came of it, and a state that outlives a restart."""

    _state: StateFile
    _learnt_before = 0
    _inputs = 0
    _better = 0
    _worse = 0

    @property
    def changed(self) -> bool:
        """Whether it has learnt anything, now or before a restart, so that what was certified holds no more."""
        return self._learnt_before + self._inputs > 0

    def learnt(self) -> Learnt:
        """What came of it since it was opened."""
        return Learnt(self._inputs, self._better, self._worse)

    def close(self) -> None:
        """Saves what it has learnt; closing twice is fine."""
        if self._inputs:
            self._state.save(*self._as_arrays())

    @abstractmethod
    def _as_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """All that it has learnt, for the state file."""

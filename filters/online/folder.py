"""The folder in which a device keeps what its filter has learnt while it was at work."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidInput
from ..spec import FilterSpec, load_filter
from .labels import Labels, load_labels

BEGAN, UPDATE = "began as", "update"
"""What an updated filter's file says in its `versions`: the digest of the file it began as, and its number."""


@dataclass(frozen=True)
class OnlineFolder:
    """Where things stand in it; one device, one folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def filter(self) -> Path:
        """The newest filter: an ordinary filter file."""
        return self.path / "filter.onnx"

    @property
    def state(self) -> Path:
        """Weights, memory and window, as the last update left them."""
        return self.path / "state.pt"

    @property
    def labels(self) -> Path:
        """The labels that the next update learns from: there until it has."""
        return self.path / "labels.npz"

    @property
    def pending(self) -> Path:
        """The labels of a period that a restart came into."""
        return self.path / "pending.npz"

    @property
    def log(self) -> Path:
        """What the last update said."""
        return self.path / "update.log"

    def newest(self, first: Path) -> Path:
        """The filter to go on with: the folder's, if it has one, else `first`.

        Raises:
            InvalidInput: the folder's began as another filter than `first`.
        """
        if not self.filter.is_file():
            return first
        spec, _ = load_filter(self.filter)
        if spec.versions.get(BEGAN) != digest_of(first):
            raise InvalidInput(
                f"{self.path}: what it holds began as another filter than {first}; give that one, or an empty folder"
            )
        return self.filter

    def waiting(self, updates: int) -> bool:
        """Whether there are labels that the update after `updates` others was learning from when it was interrupted.

        Raises:
            InvalidInput: the file with them is damaged.
        """
        return self.labels.is_file() and load_labels(self.labels)[1]["update"] == updates + 1

    def unfinished(self, began: str) -> Labels | None:
        """The labels of the period that the last run ended in, if it began as this filter.

        Raises:
            InvalidInput: the file with them is damaged.
        """
        if not self.pending.is_file():
            return None
        labels, facts = load_labels(self.pending)
        return labels if facts["began"] == began else None


def updates_of(spec: FilterSpec) -> int:
    """How many updates made a filter what it is."""
    return int(spec.versions.get(UPDATE, "0"))


def digest_of(path: Path) -> str:
    """By what a file is known again."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

"""How a filter at work is to be updated, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidInput


@dataclass(frozen=True)
class LiveUpdate:
    """How a filter at work is updated.

    Attributes:
        folder: where what it learns is kept, and found again after a restart.
        share: how many of all inputs it may keep, above 0 and below 1, only to hear what the models say of them.
        period_s: the time between two updates, in seconds of capture.
    """

    folder: Path
    share: float = 0.05
    period_s: float = 3600.0

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise InvalidInput(f"update_share must be above 0 and below 1, not {self.share:g}; try 0.05")
        if not self.period_s > 0.0:
            raise InvalidInput(f"update_period_s must be above 0, not {self.period_s:g}; try 3600")


@dataclass(frozen=True)
class LiveStats:
    """What came of it since the gate was opened.

    Attributes:
        asked: inputs that were kept only to hear what the models say of them.
        labelled: inputs of which it heard that: these, and those that the filter kept.
        updates: how often a new filter came into service.
        failed: how many updates failed; the filter that was in service stayed.
    """

    asked: int = 0
    labelled: int = 0
    updates: int = 0
    failed: int = 0

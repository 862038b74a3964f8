"""The settings of the spool: where inputs are kept until they are answered, how much of them, and how they go out."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from ...settings import Table

Full = Literal["drop_oldest", "drop_lowest_value", "block_source"]
Order = Literal["oldest", "live", "value"]


class SpoolSettings(Table):
    """The table [spool] of device.toml; `DEFAULT_TOML` says what each key is for."""

    folder: Path | None = None
    size_bytes: int = Field(default=2**30, ge=2**20)
    age_s: float = Field(default=30 * 86400.0, gt=0)
    count: int = Field(default=100_000, ge=1)
    full: Full | None = None
    order: Order | None = None
    late_s: float = Field(default=10.0, gt=0)
    sync_every_s: float = Field(default=0.2, gt=0, le=60)
    memory_bytes: int = Field(default=16 * 2**20, ge=2**20)
    bytes_per_s: int = Field(default=0, ge=0)
    bytes_a_day: int = Field(default=0, ge=0)
    calls_a_day: int = Field(default=0, ge=0)

    @property
    def in_order(self) -> bool:
        """Whether an input that is dropped takes no later one with it that refers to it."""
        return self.full != "drop_lowest_value"

    def when_full(self, *, live: bool) -> Full:
        """What is done when there is no more room: a recording waits, a live source can't."""
        return self.full or ("drop_oldest" if live else "block_source")

    def order_of(self, queue: str, *, live: bool) -> Order:
        """In which order the inputs of a stream go out that has this `queue`: of a recording nothing is newer."""
        return self.order or ("live" if live and queue == "latest" else "oldest")

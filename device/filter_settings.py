"""The settings of filters that come from the coordinator: whether any may, and where they are kept."""

from pathlib import Path
from typing import Literal

from ..settings import Table

Allowed = Literal["no", "proven", "any"]


class FilterSettings(Table):
    """The table [filters] of device.toml; `DEFAULT_TOML` says what each key is for."""

    from_coordinator: Allowed = "proven"
    folder: Path | None = None

"""The settings of filters that come from the coordinator: whether any may, and where they are kept."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Allowed = Literal["no", "proven", "any"]


class FilterSettings(BaseModel):
    """The table [filters] of device.toml; `DEFAULT_TOML` says what each key is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_coordinator: Allowed = "proven"
    folder: Path | None = None

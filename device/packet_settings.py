"""The agent's `[packets]` table: which packets of a video are decoded."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ..filters.packets.at_work import Gating
from ..filters.packets.spec import PacketSpec, load_packets
from ..settings import Table

Share = Annotated[float, Field(gt=0, le=1)]


class PacketSettings(Table):
    """Settings of a packet gate; `DEFAULT_TOML` says what each is for."""

    gate: Path
    budget: Literal["auto"] | Share = "auto"
    explore: float = Field(default=0.02, ge=0, le=1)

    def open(self) -> tuple[PacketSpec, Gating]:
        """The gate's file, and what its decoder needs of it.

        Raises:
            InvalidInput: it is no packet gate.
        """
        spec = load_packets(self.gate)
        return spec, Gating(spec.policy, self.explore)

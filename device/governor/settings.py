"""The `[governor]` table: the limits from which on an agent leaves something out, and what it leaves out then."""

import platform
from pathlib import Path
from typing import Literal

from pydantic import Field

from ...settings import Table

OF_STREAM = ("on", "accuracy", "every")
"""What can be otherwise for a stream; the limits are the device's."""
# A Raspberry Pi slows itself down from 80 on; processors of PCs are made for 100, and work at 80.
_HOT_C = 90.0 if platform.machine() in ("x86_64", "AMD64") else 75.0


class GovernorSettings(Table):
    """The governor's settings; a limit of 0 is not looked at.

    Attributes:
        on: whether anything is left out at all.
        temperature_c: of the processor; where none is set 90 on x86-64, 75 elsewhere.
        throttling: whether the firmware's flags (Raspberry Pi) count.
        cpu_share: of all processors that the agent may use, over a minute.
        memory_free_share: of the device's memory, or its container's.
        battery_share: while it is discharged.
        disk_free_bytes: where results and spool lie.
        round_trip_s: from sending an input to its answer.
        lost_share: of the kept inputs, those that the link could not take.
        send_bytes_per_s: what all streams may send together; 0: as much as the link takes.
        up_after_s: how long a reading must be at its limit.
        down_after_s: how long all readings must be at ease.
        highest: the level that is never exceeded.
        accuracy: what a gate is asked for at `stricter`; None: twice the loss that was promised.
        every: at `slower`, one of so many inputs is decided on.
        sysfs: where the system's own figures lie.
    """

    on: bool = True
    temperature_c: float = Field(default=_HOT_C, ge=0, le=150)
    throttling: bool = True
    cpu_share: float = Field(default=0.97, ge=0, le=1)
    memory_free_share: float = Field(default=0.06, ge=0, lt=0.5)
    battery_share: float = Field(default=0.2, ge=0, lt=0.6)
    disk_free_bytes: int = Field(default=256 * 2**20, ge=0)
    round_trip_s: float = Field(default=10.0, ge=0)
    lost_share: float = Field(default=0.2, ge=0, le=1)
    send_bytes_per_s: float = Field(default=0.0, ge=0)
    up_after_s: float = Field(default=20.0, gt=0)
    down_after_s: float = Field(default=60.0, gt=0)
    highest: Literal["stricter", "slower", "features", "local"] = "local"
    accuracy: float | None = Field(default=None, gt=0, lt=1)
    every: int = Field(default=2, ge=2, le=1000)
    sysfs: Path = Path("/sys")

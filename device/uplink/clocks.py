"""Whether this device's clock and the coordinator's agree well enough for deadlines."""

import logging
from collections.abc import Callable

from ..config import DeviceConfig

logger = logging.getLogger(__name__)


class Clocks:
    """Compares this device's clock with the coordinator's.

    Args:
        config: what deadlines inputs have; without any the clocks do not matter.
        clock_ns: Unix time here.

    Attributes:
        behind_s: how far this one is behind the coordinator's (negative: ahead), once that was told; else 0.
    """

    def __init__(self, config: DeviceConfig, clock_ns: Callable[[], int]) -> None:
        self.config = config
        self.clock_ns = clock_ns
        self.behind_s = 0.0
        self._hello_ns = 0

    def begin(self) -> None:
        """Takes note that Hello is sent."""
        self._hello_ns = self.clock_ns()

    def compare(self, theirs_ns: int) -> None:
        """Warns, once, of a clock by which deadlines mean nothing; `theirs_ns` was read after Hello and before now."""
        if not theirs_ns or not self.config.deadline_s or self.behind_s:
            return
        behind_s = (max(0, theirs_ns - self.clock_ns()) - max(0, self._hello_ns - theirs_ns)) / 1e9
        if abs(behind_s) > self.config.deadline_s / 2:
            self.behind_s = behind_s
            logger.warning(
                "this device's clock is %.1f s %s that of %s: with deadline_s = %g %s; set both clocks (NTP), or leave "
                "deadline_s out",
                abs(behind_s),
                "behind" if behind_s > 0 else "ahead of",
                self.config.coordinator,
                self.config.deadline_s,
                "its inputs are refused as late" if behind_s > 0 else "its late inputs are not refused",
            )

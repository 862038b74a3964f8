"""What happens to devices, for whoever runs the coordinator: in the log and the journal, no more than can be read."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ...traces.stream_names import split_name
from ..ledger.ledger import Ledger
from ..metrics import Metrics
from ..security.quotas import Rate

logger = logging.getLogger(__name__)

# Of a device so many at once, and then one in so much time: whatever it says of itself, it may say it all day.
_AT_ONCE, _EVERY_S = 60, 30.0
# Of all together, as names are easily invented: so many a second, and at once so many for each that may be connected.
_TOGETHER_PER_S, _TOGETHER_AT_ONCE = 5.0, 8


@dataclass
class _Device:
    """How much may be said of a device, and what was left out since the last time."""

    rate: Rate
    left_out: int = 0


class Noting:
    """Notes what happens to devices, and counts what is too much.

    Args:
        ledger: has the journal.
        metrics: counts all that happens, noted or not.
        devices: how many may be connected.
        clock: seconds that never go back.
    """

    def __init__(
        self, ledger: Ledger, metrics: Metrics, *, devices: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ledger = ledger
        self.metrics = metrics
        self.clock = clock
        self._most = 2 * devices
        burst_s = max(_AT_ONCE, _TOGETHER_AT_ONCE * devices) / _TOGETHER_PER_S
        self._together = Rate(_TOGETHER_PER_S, burst_s=burst_s, clock=clock)
        self._devices: OrderedDict[str, _Device] = OrderedDict()

    def note(self, name: str, kind: str, text: str, *, level: int = logging.WARNING) -> bool:
        """Notes what happened to a stream; False: too much of its device, or of all, was noted lately.

        Args:
            name: the stream's.
            kind: "connected", "trust", ...: what to look for it by.
            text: what a person reads.
            level: of the line in the log.
        """
        self.metrics.event(kind)
        device = self._device(split_name(name)[0])
        if device.rate.owed_s or self._together.owed_s:
            device.left_out += 1
            return False
        device.rate.take(1)
        self._together.take(1)
        if device.left_out:
            text = f"{text} ({device.left_out} more were not noted since the last time)"
            device.left_out = 0
        logger.log(level, "%s: %s", name, text)
        self.ledger.journal(kind, text, device=name)
        return True

    def _device(self, name: str) -> _Device:
        rate = Rate(1 / _EVERY_S, burst_s=_AT_ONCE * _EVERY_S, clock=self.clock)
        device = self._devices.setdefault(name, _Device(rate))
        self._devices.move_to_end(name)
        while len(self._devices) > self._most:
            self._devices.popitem(last=False)
        return device

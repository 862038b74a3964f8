"""The spool's own time: it goes on over restarts and reboots, and never back, whatever the machine's clock does."""

import json
import time
from collections.abc import Callable
from contextlib import suppress

_KNOWN_AFTER_S = 1_577_836_800.0
"""2020: a machine whose clock says less does not know what time it is."""
_LONGEST_OFF_S = 366 * 86400.0
"""A clock that went on by more between two runs is or was wrong: what waits would be given up as too old for it."""


class SpoolClock:
    """Seconds that rise with the monotonic clock while the agent runs, and by the machine's clock between two runs.

    Args:
        saved: what `save` gave in the run before; empty: there was none, and it begins as the monotonic clock.
        floor_s: it begins later than this.
        monotonic: seconds that do not go back, as live inputs are stamped with.
        unix_ns: the machine's clock.

    Attributes:
        offset_s: how far it is ahead of the monotonic clock.
    """

    def __init__(
        self,
        saved: bytes = b"",
        *,
        floor_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic = monotonic
        self._unix_ns = unix_ns
        now_s, begins_s = monotonic(), floor_s
        known = False
        with suppress(ValueError, KeyError, TypeError):
            data = json.loads(saved)
            then_s, then_unix_s = float(data["clock_s"]), float(data["unix_s"])
            known = True
            # Between two runs only the machine's clock knows; where that went back or years ahead, no time has passed.
            between_s = unix_ns() / 1e9 - then_unix_s if then_unix_s > _KNOWN_AFTER_S else 0.0
            begins_s = max(floor_s, then_s + (between_s if 0.0 <= between_s <= _LONGEST_OFF_S else 0.0))
        self.offset_s = begins_s - now_s if known or begins_s > now_s else 0.0

    def __call__(self) -> float:
        """The time now."""
        return self._monotonic() + self.offset_s

    def save(self) -> bytes:
        """What the next run goes on from."""
        return json.dumps({"clock_s": self(), "unix_s": self._unix_ns() / 1e9}).encode()

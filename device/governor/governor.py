"""The governor: looks once a second at the device and its link, and says how much is to be left out."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .ladder import LEVELS, Ladder, Level, Trend
from .pressures import pressures
from .sensors import Readings, Sensors
from .settings import GovernorSettings
from .traffic import Counts, Traffic

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_WORDS = {
    Level.FULL: "full: nothing is left out",
    Level.STRICTER: "stricter filter",
    Level.SLOWER: "lower rate",
    Level.FEATURES: "features only",
    Level.LOCAL: "local only: nothing is sent",
}


class Member(Protocol):
    """One stream, as the governor knows it.

    Attributes:
        levels: those that change anything there.
    """

    levels: tuple[Level, ...]

    def counts(self) -> Counts:
        """What it has counted so far; called once a second, from the governor's thread."""


class Governor:
    """One agent's.

    Args:
        settings: the limits.
        sensors: reads the device.
        clock: seconds that never go back.
        look_every_s: how often it looks.

    Attributes:
        level: the level now; read by every stream for every input, so it is a plain attribute.
        reason: what it was raised by, in words; empty at `FULL`.
        readings: the last ones.
    """

    def __init__(
        self,
        settings: GovernorSettings,
        sensors: Sensors,
        *,
        clock: Callable[[], float] = time.monotonic,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self.settings = settings
        self.sensors = sensors
        self.clock = clock
        self.look_every_s = look_every_s
        self.level = Level.FULL
        self.reason = ""
        self.readings = Readings()
        self._ladder = Ladder(up_after_s=settings.up_after_s, down_after_s=settings.down_after_s)
        self._trend = Trend(settings.up_after_s)
        self._traffic = Traffic()
        self._members: dict[str, Member] = {}
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="governor", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def use(self, settings: GovernorSettings) -> None:
        """Goes by other limits from now on."""
        self.settings = settings
        self._ladder.up_after_s, self._ladder.down_after_s = settings.up_after_s, settings.down_after_s

    def close(self) -> None:
        """Ends the thread; closing twice is fine."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def governs(self, name: str, member: Member) -> Iterator[None]:
        """Counts a stream in while the body runs."""
        with self._changing:
            self._members[name] = member
        try:
            yield
        finally:
            with self._changing:
                self._members.pop(name, None)

    def look(self) -> None:
        """Reads everything once, and goes up or down the ladder."""
        now_s = self.clock()
        with self._changing:
            members = [*self._members.values()]
        helping = {level for member in members for level in member.levels}
        most = Level[self.settings.highest.upper()]
        self._ladder.levels = tuple(level for level in LEVELS if level in helping | {Level.FULL} and level <= most)
        self.readings = self._traffic.read((member.counts() for member in members), self.sensors.read(now_s), now_s)
        before = self.level
        if self._ladder.look(self._trend.see(pressures(self.settings, self.readings), now_s), now_s):
            self.level, self.reason = self._ladder.level, self._ladder.reason
            self._tell(before)

    def _tell(self, before: Level) -> None:
        was = _WORDS[before].partition(":")[0]
        if self.level > before:
            logger.warning("governor: %s (was: %s): %s", _WORDS[self.level], was, self.reason)
        else:
            logger.warning(
                "governor: %s (was: %s): everything is at ease for %.0f s",
                _WORDS[self.level],
                was,
                self._ladder.wait_s,
            )

    def _run(self) -> None:
        while not self._closed.wait(self.look_every_s):
            try:
                self.look()
            except Exception:  # whatever a device's files hold, its streams go on
                if not self._failed:
                    logger.exception("governor: can't look; it tries on (logged once)")
                self._failed = True

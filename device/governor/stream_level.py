"""What the governor's level means for one stream."""

from collections.abc import Callable

from .governor import Governor
from .ladder import LEVELS, Level


class StreamLevel:
    """Follows the governor, from one stream's capture loop: no lock, no system call.

    Args:
        governor: the agent's; None: this stream is not governed.
        every: at `slower` and above, one of so many inputs is decided on.
        change: carries out a level; called from the capture loop, once per change.

    Attributes:
        levels: those that change anything on this stream, `FULL` among them.
        level: the level that is carried out.
        left_out: how many inputs were.
    """

    def __init__(self, governor: Governor | None, *, every: int, change: Callable[[Level], None]) -> None:
        self.governor = governor
        self.every = every
        self.levels: tuple[Level, ...] = LEVELS
        self.change = change
        self.level = self._seen = Level.FULL
        self.left_out = 0
        self._since = 0

    @property
    def reason(self) -> str:
        """What the level was raised by, in words."""
        return "" if self.governor is None or self.level is Level.FULL else self.governor.reason

    def takes(self) -> bool:
        """Whether the next input is decided on."""
        if self.governor is None:
            return True
        if self.governor.level is not self._seen:
            self._follow(self.governor.level)
        if self.level < Level.SLOWER:
            return True
        self._since -= 1
        if self._since > 0:
            self.left_out += 1
            return False
        self._since = self.every
        return True

    def _follow(self, level: Level) -> None:
        self._seen = level
        found = max(each for each in self.levels if each <= level)
        if found is not self.level:
            self.level = found
            self._since = 0
            self.change(found)

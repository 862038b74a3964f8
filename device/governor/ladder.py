"""The ladder of what an agent leaves out: a state machine that climbs under pressure and comes back when that ends."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

_SOON = 2.0
_LONGEST = 16.0
_SMOOTHED = 0.2
_FALLS = 0.02


class Level(IntEnum):
    """How much is left out; each level includes those before it."""

    FULL = 0
    """Nothing is."""
    STRICTER = 1
    """The gate keeps fewer: its threshold is that of a lower accuracy."""
    SLOWER = 2
    """One of every few inputs is decided on, the others are answered by what is known."""
    FEATURES = 3
    """No frame travels, only what a stem makes of it."""
    LOCAL = 4
    """Nothing is sent."""

    @property
    def text(self) -> str:
        """As it stands in results and reports."""
        return self.name.lower()


LEVELS = tuple(Level)


@dataclass(frozen=True)
class Pressure:
    """One reading, as the ladder takes it.

    Attributes:
        name: the reading's.
        value: 0 and less: at ease; 1: at its limit; 2: as far beyond the limit as that is from ease.
        highest: the level up to which it can push: beyond that nothing is left out that would help.
        text: the reading and its limit, in words.
        falls: whether it becomes less already: then what is left out now is enough.
    """

    name: str
    value: float
    highest: Level
    text: str
    falls: bool = False


class Trend:
    """Finds the readings that fall: heat takes minutes to follow what was left out.

    Args:
        over_s: over how long a reading is compared.
    """

    def __init__(self, over_s: float) -> None:
        self.over_s = over_s
        self._seen: dict[str, deque[tuple[float, float]]] = {}

    def see(self, pressures: Sequence[Pressure], now_s: float) -> list[Pressure]:
        """The same readings, with those marked that fall."""
        self._seen = {each.name: self._seen.get(each.name, deque()) for each in pressures}
        return [replace(each, falls=self._falls(self._seen[each.name], each.value, now_s)) for each in pressures]

    def _falls(self, seen: deque[tuple[float, float]], value: float, now_s: float) -> bool:
        # Smoothed, as a board's sensor says half a degree, or none.
        smooth = value if not seen else seen[-1][1] + _SMOOTHED * (value - seen[-1][1])
        seen.append((now_s, smooth))
        while len(seen) > 2 and seen[1][0] <= now_s - self.over_s:
            seen.popleft()
        return smooth < seen[0][1] - _FALLS


class Ladder:
    """Where on the ladder an agent is.

    It goes up one level when some reading has been at its limit for `up_after_s` without falling, at once where one is
    far beyond it, and down one level when all have been at ease for `down_after_s`; between ease and limit it stays.
    Where it has to go up again soon after it went down, it waits twice as long the next time, 16 times as long at most:
    so it neither flaps nor stays up once the pressure has ended.

    Args:
        up_after_s: how long a reading must be at its limit.
        down_after_s: how long all must be at ease.
        longest: the most that this wait is multiplied by; 1: it always is the same.

    Attributes:
        level: the level now.
        reason: what it was last raised by, in words; empty at `FULL`.
        levels: those that change anything here, `FULL` among them; the others are passed over.
        wait_s: how long all must be at ease now.
    """

    def __init__(self, *, up_after_s: float, down_after_s: float, longest: float = _LONGEST) -> None:
        self.up_after_s = up_after_s
        self.down_after_s = down_after_s
        self.longest = longest
        self.level = Level.FULL
        self.reason = ""
        self.levels: tuple[Level, ...] = LEVELS
        self.wait_s = down_after_s
        self._pressed_s: float | None = None
        self._eased_s: float | None = None
        self._descended_s: float | None = None

    def look(self, pressures: Sequence[Pressure], now_s: float) -> bool:
        """Takes the readings of a moment; returns whether the level has changed.

        Args:
            pressures: of everything that can be read now; what can't be read presses nothing.
            now_s: seconds that never go back.
        """
        pressing = [
            each for each in pressures if each.value >= 1.0 and not each.falls and self._above(each.highest) is not None
        ]
        if pressing:
            self._eased_s = None
            self._pressed_s = now_s if self._pressed_s is None else self._pressed_s
            worst = max(pressing, key=lambda each: each.value)
            if worst.value >= 2.0 or now_s - self._pressed_s >= self.up_after_s:
                self._climb(worst, now_s)
                return True
            return False
        self._pressed_s = None
        # A reading that could not push up to here does not hold it here.
        if self.level is Level.FULL or any(each.value > 0.0 and each.highest >= self.level for each in pressures):
            self._eased_s = None
            return False
        self._eased_s = now_s if self._eased_s is None else self._eased_s
        if now_s - self._eased_s < self.wait_s:
            return False
        self._descend(now_s)
        return True

    def _above(self, highest: Level) -> Level | None:
        """The next level, up to `highest`."""
        return next((level for level in self.levels if self.level < level <= highest), None)

    def _climb(self, worst: Pressure, now_s: float) -> None:
        found = self._above(worst.highest)
        assert found is not None, "what presses can be given way to"
        if self._descended_s is not None:
            again = now_s - self._descended_s <= _SOON * self.wait_s
            self.wait_s = min(2.0 * self.wait_s, self.longest * self.down_after_s) if again else self.down_after_s
            self._descended_s = None
        self.level, self.reason = found, worst.text
        self._pressed_s = None

    def _descend(self, now_s: float) -> None:
        self.level = max(level for level in self.levels if level < self.level)
        if self.level is Level.FULL:
            self.reason = ""
        self._descended_s = now_s
        self._eased_s = None

"""In which context an input came: which camera group, at which hour, with how much going on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from time import gmtime
from typing import Literal

from ...errors import InvalidInput

Activity = Literal["quiet", "busy"]

BUSY = 0.1
"""From which share of change between two exact outputs of a model on a stream it is busy."""
_KEPT = 0.9


@dataclass(frozen=True)
class Context:
    """What is alike enough to be planned for alike.

    Attributes:
        group: of cameras; "" if there are none.
        hour: of the day, 0 to 23, UTC.
        activity: how much goes on.
    """

    group: str
    hour: int
    activity: Activity


class Groups:
    """Which devices belong together.

    Args:
        patterns: per group the names of its devices, `*` and `?` allowed; the first group that fits counts.

    Raises:
        InvalidInput: a group without a name or without a pattern.
    """

    def __init__(self, patterns: Mapping[str, Sequence[str]]) -> None:
        for group, names in patterns.items():
            if not group or not names:
                raise InvalidInput(f"groups: {group!r} needs a name and one device at least, such as 'camera-*'")
        self._patterns = {group: tuple(names) for group, names in patterns.items()}

    def of(self, device: str) -> str:
        """A device's group; "" if it has none."""
        fits = (group for group, names in self._patterns.items() if any(fnmatchcase(device, name) for name in names))
        return next(fits, "")


class ActivityMeter:
    """How much goes on, from how far each exact output of a stream differs from the one before."""

    def __init__(self) -> None:
        self._change = 0.0
        self._seen = 0.0

    def add(self, agreement: float) -> None:
        """Records the agreement of a model's exact output with its last one."""
        self._change = _KEPT * self._change + (1.0 - _KEPT) * (1.0 - agreement)
        self._seen = _KEPT * self._seen + (1.0 - _KEPT)

    @property
    def activity(self) -> Activity:
        """Quiet until something else was seen."""
        return "busy" if self._seen > 0.0 and self._change / self._seen >= BUSY else "quiet"


def context_of(group: str, activity: Activity, now_s: float) -> Context:
    """The context of an input that came at `now_s`, Unix time."""
    return Context(group, gmtime(now_s).tm_hour, activity)

"""How a result cache is run, whatever it holds."""

from dataclasses import dataclass
from typing import Literal

from ...errors import InvalidInput
from .index import APPROXIMATE_ABOVE
from .result_key import AT_LEAST

Eviction = Literal["lru", "lfu"]
EVICTIONS: tuple[Eviction, ...] = ("lru", "lfu")


@dataclass(frozen=True)
class CacheSettings:
    """How a result cache is run.

    Attributes:
        capacity: how many results it holds at most.
        neighbours: K, how many of the nearest are asked.
        ttl_s: after so many seconds on the caller's clock a result expires; None: never.
        eviction: which result makes room: "lru", the one unused for longest; "lfu", the one used least often.
        step: a scalar's step, where results count as the same, in its unit; None: half of its tolerance.
        at_least: the agreement from which vectors, masks and boxes by place count as the same, from 0 to 1.
        approximate_above: how many results are searched exactly.

    Raises:
        InvalidInput: one of these is out of its range.
    """

    capacity: int = 1000
    neighbours: int = 10
    ttl_s: float | None = None
    eviction: Eviction = "lru"
    step: float | None = None
    at_least: float = AT_LEAST
    approximate_above: int = APPROXIMATE_ABOVE

    def __post_init__(self) -> None:
        for name in ("capacity", "neighbours", "approximate_above"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.ttl_s is not None and not 0.0 < self.ttl_s < float("inf"):
            raise InvalidInput(f"ttl_s must be a number of seconds above 0, or None for never, not {self.ttl_s:g}")
        if self.eviction not in EVICTIONS:
            raise InvalidInput(f"eviction must be {' or '.join(EVICTIONS)}, not {self.eviction!r}")
        if self.step is not None and not 0.0 < self.step < float("inf"):
            raise InvalidInput(f"step must be a number above 0, or None for half of the tolerance, not {self.step:g}")
        if not 0.0 < self.at_least <= 1.0:
            raise InvalidInput(f"at_least must be above 0 and at most 1, not {self.at_least:g}")

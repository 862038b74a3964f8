"""The memory budget: reserved from before a model is loaded, and compared with what the models really take."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import OutOfMemory
from ...units import format_bytes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MemoryStats:
    """The memory of all models' processes together.

    Attributes:
        limit_bytes: the budget; None: no limit.
        reserved_bytes: what the loaded models need by what was measured of them so far.
        memory_bytes: what they took at the last sample.
        peak_bytes: the most they took at any sample.
        samples: how often they were measured.
        violations: how many samples exceeded the budget.
    """

    limit_bytes: int | None
    reserved_bytes: int
    memory_bytes: int
    peak_bytes: int
    samples: int
    violations: int


class MemoryBudget:
    """How much memory the models' processes may take together.

    Args:
        limit_bytes: the budget; None: no limit.
        needs: what each model takes, measured before; a model that is not named counts as 0.
    """

    def __init__(self, limit_bytes: int | None, needs: Mapping[str, int]) -> None:
        self.limit_bytes = limit_bytes
        self._needs = dict(needs)
        self._reserved: set[str] = set()
        self._memory_bytes = 0
        self._peak_bytes = 0
        self._samples = 0
        self._violations = 0
        self._above = False

    @property
    def reserved(self) -> frozenset[str]:
        """The models with a reservation: those that are loaded, or on their way in or out."""
        return frozenset(self._reserved)

    @property
    def reserved_bytes(self) -> int:
        """What the models with a reservation need."""
        return sum(self.need(name) for name in self._reserved)

    def need(self, name: str) -> int:
        """What a model needs by what was measured of it so far."""
        return self._needs.get(name, 0)

    def reserve(self, name: str) -> None:
        """Reserves a model's memory; call it before the model is loaded.

        Raises:
            OutOfMemory: not enough of the budget is free.
        """
        needed = self.need(name)
        if self.limit_bytes is not None and self.reserved_bytes + needed > self.limit_bytes:
            free = self.limit_bytes - self.reserved_bytes
            raise OutOfMemory(f"model {name!r}", needed_bytes=needed, free_bytes=max(0, free))
        self._reserved.add(name)

    def release(self, name: str) -> None:
        """Frees a model's reservation; call it after its process has ended."""
        self._reserved.discard(name)

    def sample(self, taken: Mapping[str, int]) -> None:
        """Records what each model's process takes now; a model needs from now on the most that it ever took."""
        for name, size_bytes in taken.items():
            self._needs[name] = max(self.need(name), size_bytes)
        self._memory_bytes = sum(taken.values())
        self._peak_bytes = max(self._peak_bytes, self._memory_bytes)
        self._samples += 1
        above = self.limit_bytes is not None and self._memory_bytes > self.limit_bytes
        self._violations += above
        if above and not self._above:
            most = ", ".join(f"{name} {format_bytes(size_bytes)}" for name, size_bytes in taken.items())
            logger.warning("the budget of %s is exceeded: %s", format_bytes(self.limit_bytes or 0), most)
        self._above = above

    def stats(self) -> MemoryStats:
        """The figures so far."""
        return MemoryStats(
            limit_bytes=self.limit_bytes,
            reserved_bytes=self.reserved_bytes,
            memory_bytes=self._memory_bytes,
            peak_bytes=self._peak_bytes,
            samples=self._samples,
            violations=self._violations,
        )

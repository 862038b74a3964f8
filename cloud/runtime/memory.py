"""A place's memory budget: reserved from before a model is loaded, and compared with what the models really take."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import OutOfMemory
from ...units import format_bytes
from .meter import Reading

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MemoryStats:
    """The memory of all models together, in one place.

    Attributes:
        limit_bytes: the budget; None: no limit.
        reserved_bytes: what the loaded models need by what was measured of them so far.
        memory_bytes: what they took at the last sample.
        peak_bytes: the most they took at any sample.
        samples: how often they were measured.
        violations: how many samples exceeded the budget.
        buffers_bytes: what inputs on their way took at the last sample; they have a limit of their own.
    """

    limit_bytes: int | None
    reserved_bytes: int
    memory_bytes: int
    peak_bytes: int
    samples: int
    violations: int
    buffers_bytes: int = 0


class MemoryBudget:
    """How much memory the models may take together in one place: the machine's own, or a card's.

    Args:
        limit_bytes: the budget; None: no limit.
        needs: what each model takes, measured before.
        first_bytes: what is kept free for the first load of a model that is not named there.
        place: what the place is called, in messages.
    """

    def __init__(
        self, limit_bytes: int | None, needs: Mapping[str, int], *, first_bytes: int = 0, place: str = "host"
    ) -> None:
        self.limit_bytes = limit_bytes
        self.first_bytes = first_bytes
        self.place = place
        self._needs = dict(needs)
        self._reserved: set[str] = set()
        self._shared_bytes = 0
        self._memory_bytes = 0
        self._buffers_bytes = 0
        self._peak_bytes = 0
        self._samples = 0
        self._violations = 0
        self._above = False

    @property
    def reserved(self) -> frozenset[str]:
        """The models with a reservation: those that are loaded, or on their way in or out."""
        return frozenset(self._reserved)

    @property
    def shared_bytes(self) -> int:
        """What is taken that belongs to no single model: a card's context, and what did not come back."""
        return self._shared_bytes

    @property
    def reserved_bytes(self) -> int:
        """What the models with a reservation need, and what belongs to none of them."""
        return sum(self.need(name) for name in self._reserved) + self._shared_bytes

    def need(self, name: str) -> int:
        """What a model needs by what was measured of it so far."""
        return self._needs.get(name, self.first_bytes)

    def learn(self, name: str, size_bytes: int) -> None:
        """A model was measured: it needs that, whatever was known of it."""
        self._needs[name] = size_bytes

    def expect(self, name: str, like: str) -> None:
        """A model is expected to need what another does, as far as that is known."""
        if like in self._needs:
            self._needs[name] = self._needs[like]

    def forget(self, name: str) -> None:
        """A model is gone, or another version of it comes: what was measured of it counts no more."""
        self._needs.pop(name, None)

    @property
    def is_exceeded(self) -> bool:
        """Whether the models with a reservation have grown beyond the budget."""
        return self.limit_bytes is not None and self.reserved_bytes > self.limit_bytes

    def has_room(self, name: str) -> bool:
        """Whether a model's memory could be reserved now."""
        return self.limit_bytes is None or self.reserved_bytes + self.need(name) <= self.limit_bytes

    def check_room(self, name: str) -> None:
        """Makes sure that a model's memory could be reserved now.

        Raises:
            OutOfMemory: not enough of the budget is free.
        """
        if self.limit_bytes is not None and not self.has_room(name):
            free = self.limit_bytes - self.reserved_bytes
            what = f"model {name!r}" if self.place == "host" else f"model {name!r} on {self.place}"
            raise OutOfMemory(what, needed_bytes=self.need(name), free_bytes=max(0, free))

    def reserve(self, name: str) -> None:
        """Reserves a model's memory; call it before the model is loaded.

        Raises:
            OutOfMemory: not enough of the budget is free.
        """
        self.check_room(name)
        self._reserved.add(name)

    def release(self, name: str) -> None:
        """Frees a model's reservation; call it after its process has ended."""
        self._reserved.discard(name)

    def sample(self, reading: Reading) -> None:
        """Records what is taken now; a model needs from now on the most that it ever took."""
        for name, size_bytes in reading.models.items():
            self._needs[name] = max(self._needs.get(name, 0), size_bytes)
        whole_bytes = reading.whole_bytes
        if whole_bytes is not None:
            # Models that can't be told apart take what they need; what is there beyond that belongs to none of them.
            self._shared_bytes = max(0, whole_bytes - sum(self.need(name) for name in self._reserved))
        self._memory_bytes = sum(reading.models.values()) if whole_bytes is None else whole_bytes
        self._buffers_bytes = reading.buffers_bytes
        self._peak_bytes = max(self._peak_bytes, self._memory_bytes)
        self._samples += 1
        above = self.limit_bytes is not None and self._memory_bytes > self.limit_bytes
        self._violations += above
        if above and not self._above:
            most = ", ".join(f"{name} {format_bytes(size_bytes)}" for name, size_bytes in reading.models.items())
            text = most or f"{format_bytes(self._memory_bytes)} on {self.place}"
            logger.warning("the budget of %s is exceeded: %s", format_bytes(self.limit_bytes or 0), text)
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
            buffers_bytes=self._buffers_bytes,
        )

"""One card: what is measured on it, what may be taken of it, and the one process that all its models run in."""

import logging

from ...models.shared_process import SharedProcess
from ...units import format_bytes
from .memory import MemoryBudget
from .meter import Meter, Reading

logger = logging.getLogger(__name__)

_SLACK_BYTES = 16 * 2**20
_SHARE = 0.1
"""What may stay of what was taken before it counts as not come back: so much, and this share."""


class Card:
    """A card's memory over loads and unloads.

    A process that uses a card holds a context there; its sessions hold arenas, and the libraries workspaces. All of it
    counts. What of it belongs to a model is told by what a load added. Once the process holds no model for the first
    time, what is left is its baseline; where later more stays than that, it is due to be recycled: it is ended, and its
    models are loaded into a new one.

    Args:
        place: what it is called: "cuda:0".
        meter: measures it.
        budget: of its memory.
        process: the process.

    Attributes:
        baseline_bytes: what its process took when it held no model for the first time; None: it always held one.
        context_bytes: what another one took, when models were measured.
        recycled: how often it was ended as too much did not come back.
    """

    def __init__(self, place: str, meter: Meter, budget: MemoryBudget, process: SharedProcess) -> None:
        self.place = place
        self.meter = meter
        self.budget = budget
        self.process = process
        self.baseline_bytes: int | None = None
        self.context_bytes = 0
        self.recycled = 0

    @property
    def models_bytes(self) -> int:
        """How much of the budget models may take: what the process takes by itself is taken off."""
        limit_bytes = self.budget.limit_bytes or self.meter.total_bytes
        return max(0, limit_bytes - max(self.context_bytes, self.baseline_bytes or 0))

    def taken_bytes(self) -> int:
        """What is taken now."""
        return self.meter.read().whole_bytes or 0

    def loaded(self, name: str, before_bytes: int) -> None:
        """A model was loaded and warmed up: it needs what is taken now beyond what was taken before."""
        reading = self.meter.read()
        whole_bytes = reading.whole_bytes or 0
        self.budget.learn(name, max(0, whole_bytes - before_bytes))
        self.budget.sample(reading)

    def unloaded(self, name: str, before_bytes: int) -> None:
        """A model was unloaded, its reservation is released: what came back of it, and whether that is all.

        Args:
            name: the model.
            before_bytes: what was taken before.
        """
        reading = self.meter.read()
        self.budget.sample(reading)
        if not self.budget.reserved and self.process.pid is not None:
            whole_bytes = reading.whole_bytes or 0
            if self.baseline_bytes is None:
                self.baseline_bytes = whole_bytes
            # The first to be loaded was measured together with the context that came with it.
            self.budget.learn(name, max(0, min(self.budget.need(name), before_bytes - whole_bytes)))

    @property
    def is_due(self) -> bool:
        """Whether more than the baseline stays that belongs to no model, so that the process is to be recycled."""
        if self.baseline_bytes is None:
            return False
        limit = self.budget.limit_bytes or self.meter.total_bytes
        allowed = self.baseline_bytes * (1.0 + _SHARE) + _SLACK_BYTES
        # To load all others again is worth it only where much is lost.
        return self.budget.shared_bytes > allowed + (_SHARE * limit if self.budget.reserved else 0.0)

    def end_process(self) -> None:
        """Ends the process, which holds no model any more; all that it took is free then."""
        logger.info(
            "%s: %s did not come back: its process is ended, the next load begins a new one",
            self.place,
            format_bytes(max(0, self.budget.shared_bytes - (self.baseline_bytes or 0))),
        )
        self.process.close()
        self.recycled += 1
        self.budget.sample(Reading(whole_bytes=self.taken_bytes()))

"""How many processes a model has: another one while its inputs wait for them, one less when they have nothing to do."""

import logging
import math
from collections.abc import Collection

from ...errors import InfilinkError
from ...models.providers import HOST
from .pool import ModelPool

logger = logging.getLogger(__name__)

# Looked at at the intervals at which memory is measured: so many looks in a row make a change.
_SHORT_LOOKS, _IDLE_LOOKS = 2, 120


class Scaling:
    """Gives a model more processes, as far as processors allow, and the budget once all models are loaded.

    Args:
        pool: the models.
        cores: how many processors models may use.
        threads: of one inference.
        fixed: the models whose number of processes was set.
    """

    def __init__(self, pool: ModelPool, *, cores: float, threads: int = 1, fixed: Collection[str] = ()) -> None:
        self.pool = pool
        self.most = math.ceil(cores / threads)
        self.fixed = fixed
        self._short: dict[str, int] = {}
        self._idle: dict[str, int] = {}

    async def adapt(self) -> None:
        """Looks at all models, and starts or ends a process of one; called at regular intervals."""
        queue = self.pool.queue
        free = [name for name in sorted(queue.loaded) if name not in self.fixed and name in self.pool.workers]
        for name in free:
            self._short[name] = self._short.get(name, 0) + 1 if queue.is_short_of(name) else 0
            is_idle = self.pool.workers[name].lanes > 1 and not queue.waiting()[name]
            self._idle[name] = self._idle.get(name, 0) + 1 if is_idle else 0
        taken = sum(self.pool.workers[name].lanes for name in queue.loaded & self.pool.workers.keys())
        shortest = max(free, key=lambda name: self._short[name], default=None)
        if shortest is not None and self._short[shortest] >= _SHORT_LOOKS and taken < self.most:
            await self._grow(shortest)
        for name in free:
            if self._idle[name] >= _IDLE_LOOKS and not self.pool.changing.locked():
                self._idle[name] = 0
                async with self.pool.changing:
                    if await self.pool.workers[name].shrink():
                        self.pool.memory.forget(name)
                        await self.pool.sample()

    async def _grow(self, name: str) -> None:
        pool = self.pool
        worker, memory = pool.workers[name], pool.budget_of(name)
        one_bytes = memory.need(name) // worker.lanes
        # What is left of a budget is for models that are not loaded, as long as there are such.
        fits = memory.limit_bytes is None or (
            memory.reserved_bytes + one_bytes <= memory.limit_bytes and pool.queue.loaded >= pool.workers.keys()
        )
        self._short[name] = 0
        if not fits or pool.places.get(name, HOST) != HOST or pool.changing.locked():
            return
        async with pool.changing:
            if name not in pool.queue.loaded:
                return
            try:
                await worker.grow()
            except InfilinkError as error:
                logger.warning("%s: no other process can be started: %s", name, error)
                return
            logger.info("%s: %d processes, as its inputs wait for them", name, worker.lanes)
            await pool.sample()
            pool.queue.wake()

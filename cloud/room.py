"""The room that residents leave: the models loaded there in turn, each until another one needs its place."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from ..errors import OutOfMemory
from .memory import MemoryBudget
from .worker import Worker


class Room:
    """Loads models on demand, as many at once as the budget has room for; the one idle for longest makes way.

    Args:
        workers: every model's worker.
        memory: asked before a load.
    """

    def __init__(self, workers: Mapping[str, Worker], memory: MemoryBudget) -> None:
        self.workers = workers
        self.memory = memory
        # In the order in which they were last used.
        self._users: dict[str, int] = {}
        self._queue = asyncio.Lock()
        self._changed = asyncio.Condition()

    def holds(self, name: str) -> bool:
        """Whether a model is loaded, or is being loaded."""
        return name in self._users

    @asynccontextmanager
    async def holding(self, name: str) -> AsyncIterator[Worker]:
        """A model's worker, loaded while the body runs; waits until there is a place for it.

        Raises:
            OutOfMemory: there would be none even if nothing else were in the room.
            InfilinkError: what `Worker.load` raises.
        """
        # A model whose load failed stays as if it were idle: its worker tries again when it is next asked.
        new = await self._claim(name)
        try:
            if new:
                await self.workers[name].load(warm_up=False)
            yield self.workers[name]
        finally:
            async with self._changed:
                self._users[name] = self._users.pop(name) - 1
                self._changed.notify_all()

    async def _claim(self, name: str) -> bool:
        """Counts one more user of a model; true if there is room for it now but it has to be loaded."""
        if name in self._users:
            self._users[name] += 1
            return False
        # One after another: a large model that waits for room is not overtaken by small ones for ever.
        async with self._queue:
            if name in self._users:
                self._users[name] += 1
                return False
            await self._make_room(name)
            self._users[name] = 1
            return True

    async def _make_room(self, name: str) -> None:
        while True:
            try:
                return self.memory.reserve(name)
            except OutOfMemory:
                if not self._users:
                    raise
            async with self._changed:
                idle = next((other for other, users in self._users.items() if not users), None)
                if idle is None:
                    await self._changed.wait()
            if idle is not None:
                await self._drop(idle)

    async def _drop(self, name: str) -> None:
        del self._users[name]
        await self.workers[name].unload()
        self.memory.release(name)

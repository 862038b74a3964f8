"""The room that the budget gives: residents stay in it, the others are loaded beside them in turn."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from ...errors import OutOfMemory
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
        self._residents: dict[str, AsyncExitStack] = {}
        self._queue = asyncio.Lock()
        # Only the head of the queue waits for it.
        self._changed = asyncio.Event()
        self._leaving: dict[str, asyncio.Task[None]] = {}

    def holds(self, name: str) -> bool:
        """Whether a model is loaded, or is being loaded."""
        return name in self._users

    async def settle(self, name: str) -> None:
        """Makes a model a resident: loaded and warm, from now until `release`.

        Raises:
            OutOfMemory: there would be no place for it even if only the residents were in the room.
            InfilinkError: what `Worker.load` raises.
        """
        stack = AsyncExitStack()
        await stack.enter_async_context(self.holding(name, warm_up=True))
        self._residents[name] = stack

    async def release(self, name: str) -> None:
        """Makes a resident one of the others: it stays loaded until its place is needed."""
        await self._residents.pop(name).aclose()

    @asynccontextmanager
    async def holding(self, name: str, *, warm_up: bool = False) -> AsyncIterator[Worker]:
        """A model's worker, loaded while the body runs; waits until there is a place for it.

        Args:
            name: the model's.
            warm_up: whether its first output is to be as fast as the others, which takes longer to load.

        Raises:
            OutOfMemory: there would be none even if only the residents were in the room.
            InfilinkError: what `Worker.load` raises.
        """
        # A model whose load failed stays as if it were idle: its worker tries again when it is next asked.
        new = await self._claim(name)
        try:
            if new:
                await self.workers[name].load(warm_up=warm_up)
            yield self.workers[name]
        finally:
            self._users[name] = self._users.pop(name) - 1
            self._changed.set()

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
            if name not in self._leaving:
                try:
                    return self.memory.reserve(name)
                except OutOfMemory:
                    if self._users.keys() <= self._residents.keys() and not self._leaving:
                        raise
            idle = next((other for other, users in self._users.items() if not users), None)
            if idle is not None and not self._leaving:
                del self._users[idle]
                # A task of its own: its room is given back also if whoever waits here goes away.
                self._leaving[idle] = asyncio.create_task(self._unload(idle))
            self._changed.clear()
            await self._changed.wait()

    async def _unload(self, name: str) -> None:
        try:
            await self.workers[name].unload()
        finally:
            self.memory.release(name)
            del self._leaving[name]
            self._changed.set()

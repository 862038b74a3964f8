"""The models loaded within the memory budget: residents are pinned, others are loaded on demand and evicted."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from ...errors import OutOfMemory
from .memory import MemoryBudget
from .worker import Worker


class ModelPool:
    """Loads models on demand, as many at once as fit the budget; the least recently used idle one is evicted.

    Args:
        workers: every model's worker.
        memory: the budget; a model is loaded only once its memory is reserved there.
    """

    def __init__(self, workers: Mapping[str, Worker], memory: MemoryBudget) -> None:
        self.workers = workers
        self.memory = memory
        # How many leases each loaded model has, the least recently used first.
        self._users: dict[str, int] = {}
        self._residents: dict[str, AsyncExitStack] = {}
        self._queue = asyncio.Lock()
        # Set when a lease ends or a model is unloaded; only the head of the queue waits for it.
        self._changed = asyncio.Event()
        self._leaving: dict[str, asyncio.Task[None]] = {}

    async def sample(self) -> None:
        """Measures what the models take now.

        The pool does this after every load and before every unload; to see more of what happens between, call it at
        intervals.
        """
        self.memory.sample(await asyncio.to_thread(self._measure))

    def is_loaded(self, name: str) -> bool:
        """Whether a model is loaded, or is being loaded."""
        return name in self._users

    async def pin(self, name: str) -> None:
        """Makes a model a resident: loaded and warmed up, and not evicted until `unpin`.

        Raises:
            OutOfMemory: it does not fit beside the residents, even with every other model evicted.
            InfilinkError: what `Worker.load` raises.
        """
        stack = AsyncExitStack()
        await stack.enter_async_context(self.lease(name, warm_up=True))
        self._residents[name] = stack
        # Whoever waited for this model to be evictable does so in vain, and may have nothing left to wait for.
        self._changed.set()

    async def unpin(self, name: str) -> None:
        """Makes a resident evictable again: it stays loaded until its memory is needed."""
        await self._residents.pop(name).aclose()

    @asynccontextmanager
    async def lease(self, name: str, *, warm_up: bool = False) -> AsyncIterator[Worker]:
        """A model's worker, which stays loaded while the body runs; waits until there is memory for it.

        Args:
            name: the model.
            warm_up: whether to run it once after loading, so that its first output is as fast as later ones.

        Raises:
            OutOfMemory: it does not fit beside the residents, even with every other model evicted.
            InfilinkError: what `Worker.load` raises.
        """
        # A model whose load failed counts as loaded and idle: its worker tries again at the next inference.
        new = await self._claim(name)
        try:
            if new:
                await self.workers[name].load(warm_up=warm_up)
                await self.sample()
            yield self.workers[name]
        finally:
            self._users[name] = self._users.pop(name) - 1
            self._changed.set()

    async def _claim(self, name: str) -> bool:
        """Counts one more lease of a model; true if its memory is reserved now but it has to be loaded."""
        if name in self._users:
            self._users[name] += 1
            return False
        # One after another, so that small models do not keep a large one waiting for ever.
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
                # A task of its own: the memory is released even if the caller that waits here is cancelled.
                self._leaving[idle] = asyncio.create_task(self._unload(idle))
            self._changed.clear()
            await self._changed.wait()

    async def _unload(self, name: str) -> None:
        try:
            await self.sample()
            await self.workers[name].unload()
        finally:
            self.memory.release(name)
            del self._leaving[name]
            self._changed.set()

    def _measure(self) -> dict[str, int]:
        """What each model's process takes.

        They are measured one after another. A process that ended meanwhile is left out: the one measured after it may
        have been loaded into the memory that it freed, and the sum would be of two that never ran at once.
        """
        taken = {name: (worker.pid, worker.measure()) for name, worker in self.workers.items()}
        return {name: size for name, (pid, size) in taken.items() if size and self.workers[name].pid == pid}

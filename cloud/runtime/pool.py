"""The models that are loaded, within the memory budget."""

import asyncio
from collections.abc import Mapping

from .memory import MemoryBudget
from .run_queue import RunQueue
from .worker import Worker


class ModelPool:
    """Loads and unloads models; whoever calls it decides which, one at a time.

    Args:
        workers: every model's worker.
        memory: the budget; a model is loaded only once its memory is reserved there.
        queue: runs those that are loaded.
    """

    def __init__(self, workers: Mapping[str, Worker], memory: MemoryBudget, queue: RunQueue) -> None:
        self.workers = workers
        self.memory = memory
        self.queue = queue

    async def load(self, name: str) -> float:
        """Loads a model and warms it up, so that its first output is as fast as the others.

        Returns the seconds of processors that it took.

        Raises:
            OutOfMemory: not enough of the budget is free.
            InfilinkError: what `Worker.load` raises; its memory is free again then, whatever went wrong.
        """
        self.memory.reserve(name)
        try:
            took_s = await self.workers[name].load()
            await self.sample()
        except BaseException:
            await self._release(name)
            raise
        self.queue.loaded.add(name)
        return took_s

    async def unload(self, name: str) -> None:
        """Unloads a model once what runs on it or waits for it has ended; its memory is free when this returns."""
        self.queue.loaded.discard(name)
        await self.queue.drained(name)
        await self.sample()
        await self._release(name)

    async def sample(self) -> None:
        """Measures what the models take now.

        The pool does this after every load and before every unload; to see more of what happens between, call it at
        intervals.
        """
        self.memory.sample(await asyncio.to_thread(self._measure))

    async def _release(self, name: str) -> None:
        await self.workers[name].unload()
        self.memory.release(name)

    def _measure(self) -> dict[str, int]:
        """What each model's process takes.

        They are measured one after another. A process that ended meanwhile is left out: the one measured after it may
        have been loaded into the memory that it freed, and the sum would be of two that never ran at once.
        """
        taken = {name: (worker.pid, worker.measure()) for name, worker in self.workers.items()}
        return {name: size for name, (pid, size) in taken.items() if size and self.workers[name].pid == pid}

"""Models that are not resident take turns in the memory that is left: loaded, run, unloaded, one at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager

from ..errors import InfilinkError
from ..outputs import Array
from .memory import MemoryBudget
from .worker import Worker

logger = logging.getLogger(__name__)

_IDLE_S = 5.0


class Rotation:
    """Gives models their turn, in one of two ways.

    A stream that may wait calls `infer`: the model is loaded, runs on that very input, and is unloaded. A stream that
    must not (live, policy "latest") asks with `request`: the model is loaded in the background, the stream's next
    input gets it from `take`, and after `done` from every stream that asked it is unloaded.

    Args:
        workers: every model's worker.
        memory: asked before a load.
        idle_s: a loaded model that no input came for in this time is unloaded.
    """

    def __init__(self, workers: Mapping[str, Worker], memory: MemoryBudget, *, idle_s: float = _IDLE_S) -> None:
        self.workers = workers
        self.memory = memory
        self.idle_s = idle_s
        self._wanted: dict[str, set[Hashable]] = {}
        self._asked = asyncio.Event()
        self._loaded: str | None = None
        self._waiting: set[Hashable] = set()
        self._running = 0
        self._used = asyncio.Event()
        self._turns = asyncio.Lock()

    async def infer(self, name: str, frame: Array) -> Array:
        """The output of a rotating model for this frame, after a load; waits for its turn.

        Raises:
            OutOfMemory: there is no room for it beside what is loaded.
            ModelFailed: it failed on this frame.
        """
        async with self._turns, self._room(name) as worker:
            await worker.load()
            return await worker.infer(frame)

    def request(self, name: str, stream: Hashable) -> None:
        """Asks for `name` to be loaded and run on one of the stream's next inputs."""
        if name == self._loaded and stream in self._waiting:
            return
        self._wanted.setdefault(name, set()).add(stream)
        self._asked.set()

    def take(self, stream: Hashable) -> str | None:
        """The loaded model that this stream waits for, if there is one: run it now, then call `done`."""
        if self._loaded is None or stream not in self._waiting:
            return None
        self._waiting.discard(stream)
        self._running += 1
        return self._loaded

    def done(self) -> None:
        """Says that what `take` gave has run."""
        self._running -= 1
        self._used.set()

    def forget(self, stream: Hashable) -> None:
        """Drops everything a stream asked for: it is gone."""
        self._waiting.discard(stream)
        for streams in self._wanted.values():
            streams.discard(stream)
        self._used.set()

    async def run(self) -> None:
        """Serves requests, the oldest first, until cancelled."""
        while True:
            while not self._wanted:
                self._asked.clear()
                await self._asked.wait()
            name = next(iter(self._wanted))
            streams = self._wanted.pop(name)
            if streams:
                try:
                    await self._turn(name, streams)
                except InfilinkError as error:
                    logger.warning("can't rotate: %s", error)

    async def _turn(self, name: str, streams: set[Hashable]) -> None:
        async with self._turns, self._room(name) as worker:
            await worker.load()
            self._loaded, self._waiting = name, streams
            try:
                while self._waiting or self._running:
                    self._used.clear()
                    async with asyncio.timeout(self.idle_s):
                        await self._used.wait()
            except TimeoutError:
                logger.info("%s: no input came for it", name)
            finally:
                self._loaded, self._waiting = None, set()

    @asynccontextmanager
    async def _room(self, name: str) -> AsyncIterator[Worker]:
        """Room for a model while the body runs; its process ends with it."""
        self.memory.reserve(name)
        worker = self.workers[name]
        try:
            yield worker
        finally:
            await worker.unload()
            self.memory.release(name)

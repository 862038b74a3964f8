"""Models that are not resident take turns in the memory that the residents leave."""

import asyncio
import logging
from collections.abc import Hashable

from ...errors import InfilinkError
from ...outputs import Array
from .pool import ModelPool

logger = logging.getLogger(__name__)

_IDLE_S = 5.0


class Rotation:
    """Gives rotating models their turn, in one of two ways.

    A stream that may wait calls `infer`: the model is loaded if necessary and runs on that very input. A stream that
    must not wait (one of a live source) calls `request`: the model is loaded in the background, and the stream's next
    input gets it from `take`.

    Args:
        pool: loads the models.
        idle_s: a turn ends when no input came for the model in this time.
    """

    def __init__(self, pool: ModelPool, *, idle_s: float = _IDLE_S) -> None:
        self.pool = pool
        self.idle_s = idle_s
        self._wanted: dict[str, set[Hashable]] = {}
        self._asked = asyncio.Event()
        self._loaded: str | None = None
        self._waiting: set[Hashable] = set()
        self._running = 0
        self._used = asyncio.Event()

    async def infer(self, name: str, frame: Array) -> Array:
        """The output of a model for a frame; waits until the model is loaded.

        Raises:
            OutOfMemory: it does not fit beside the residents.
            ModelFailed: it failed on this frame.
        """
        async with self.pool.lease(name) as worker:
            return await worker.infer(frame)

    def request(self, name: str, stream: Hashable) -> None:
        """Asks for `name` to be loaded and run on one of the stream's next inputs."""
        if name == self._loaded and stream in self._waiting:
            return
        self._wanted.setdefault(name, set()).add(stream)
        self._asked.set()

    def take(self, stream: Hashable) -> str | None:
        """The loaded model that this stream waits for, if any: run it now, then call `done`."""
        if self._loaded is None or stream not in self._waiting:
            return None
        self._waiting.discard(stream)
        self._running += 1
        return self._loaded

    def done(self) -> None:
        """Reports that the model from `take` has run."""
        self._running -= 1
        self._used.set()

    def forget(self, stream: Hashable) -> None:
        """Drops all requests of a stream that has ended."""
        self._waiting.discard(stream)
        for streams in self._wanted.values():
            streams.discard(stream)
        self._used.set()

    async def run(self) -> None:
        """Serves requests, oldest first, until cancelled."""
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
                    logger.warning("a rotating model has no turn: %s", error)

    async def _turn(self, name: str, streams: set[Hashable]) -> None:
        # Set before the load, so that a stream that ends meanwhile is not waited for.
        self._waiting = streams
        try:
            async with self.pool.lease(name):
                self._loaded = name
                while self._waiting or self._running:
                    self._used.clear()
                    async with asyncio.timeout(self.idle_s):
                        await self._used.wait()
        except TimeoutError:
            logger.info("%s: its turn ends, as no input came for it", name)
        finally:
            self._loaded, self._waiting = None, set()

"""The inferences that wait for their turn: the most worth goes first, and only so many run at once."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from math import inf
from typing import TypeVar

from ...models.process_child import Inferred, InferredTensors
from ...outputs import Array
from .worker import Worker

_Reply = TypeVar("_Reply")
_Turn = tuple[float, int, asyncio.Future[None]]


class RunQueue:
    """Runs models, each on one input at a time.

    Args:
        workers: every model's worker.
        at_once: how many inferences run at once, all models together; None: one of each.

    Attributes:
        loaded: the models that may run: a worker that is asked while it is not loaded would load itself.
    """

    def __init__(self, workers: Mapping[str, Worker], *, at_once: int | None = None) -> None:
        self.workers = workers
        self.at_once = len(workers) if at_once is None else at_once
        self.loaded: set[str] = set()
        self._waiting: defaultdict[str, list[_Turn]] = defaultdict(list)
        self._running: set[str] = set()
        self._numbers = itertools.count()
        self._ended = asyncio.Event()

    async def run(
        self, name: str, frame: Array, *, worth: float = inf, within_s: float | None = None
    ) -> Inferred | None:
        """A model's output for a frame; None: its turn did not come in time, or the model was unloaded before.

        Args:
            name: the model.
            frame: its input.
            worth: of those that wait the one that is worth most goes first, the oldest first among equals.
            within_s: how long to wait for the turn; None: as long as it takes.

        Raises:
            InfilinkError: what `Worker.infer` raises.
        """
        return await self._run(name, lambda worker: worker.infer(frame), worth, within_s)

    async def run_tensors(
        self,
        name: str,
        tensors: Mapping[str, Array],
        outputs: Sequence[str] = (),
        *,
        worth: float = inf,
        within_s: float | None = None,
    ) -> InferredTensors | None:
        """A graph's own outputs for its own inputs; what `run` says, and what `Worker.infer_tensors` raises."""
        return await self._run(name, lambda worker: worker.infer_tensors(tensors, outputs), worth, within_s)

    async def _run(
        self, name: str, ask: Callable[[Worker], Awaitable[_Reply]], worth: float, within_s: float | None
    ) -> _Reply | None:
        came = asyncio.get_running_loop().create_future()
        turn = (-worth, next(self._numbers), came)
        self._waiting[name].append(turn)
        self._start()
        try:
            await asyncio.wait({came}, timeout=within_s)
            return await ask(self.workers[name]) if came.done() and name in self.loaded else None
        finally:
            if came.done():
                self._running.discard(name)
                self._start()
            else:
                self._waiting[name].remove(turn)
            self._ended.set()

    @property
    def running(self) -> Collection[str]:
        """The models that run now."""
        return self._running

    def waiting(self) -> dict[str, int]:
        """How many runs wait for their turn on each model."""
        return {name: len(self._waiting[name]) for name in self.workers}

    async def drained(self, name: str) -> None:
        """Waits until nothing runs on that model and nothing waits for it."""
        while name in self._running or self._waiting[name]:
            self._ended.clear()
            await self._ended.wait()

    def _start(self) -> None:
        """Has the next ones start, as long as not too many run."""
        while len(self._running) < self.at_once:
            first = [(min(turns), name) for name, turns in self._waiting.items() if turns and name not in self._running]
            if not first:
                return
            turn, name = min(first)
            self._waiting[name].remove(turn)
            self._running.add(name)
            turn[2].set_result(None)

"""One model's process, as the event loop sees it: loaded, asked, started again when it dies, unloaded."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from ...errors import InfilinkError, ModelFailed
from ...models.process import ModelProcess
from ...models.process_child import Inferred
from ...outputs import Array

logger = logging.getLogger(__name__)

State = Literal["unloaded", "loading", "loaded", "failed"]

_RETRY_S = 5.0
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class WorkerStats:
    """What one model did so far; `memory_bytes` as last measured."""

    state: State
    memory_bytes: int
    executions: int
    infer_s: float
    loads: int


class Worker:
    """A model in a process of its own, fed by a thread of its own: one inference at a time, in the order asked.

    Args:
        name: the model's name.
        path: its file.
        threads: how many threads one inference may use.
        infer_timeout_s: an inference that takes longer is ended with its process.
        optimized: where onnxruntime's optimized form of the file is kept between loads.
        kind: the process it runs in: for frames, or for the maps of a model's first part.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        threads: int = 1,
        infer_timeout_s: float = 30.0,
        optimized: Path | None = None,
        kind: type[ModelProcess] = ModelProcess,
    ) -> None:
        self.name = name
        self.path = path
        self.threads = threads
        self.infer_timeout_s = infer_timeout_s
        self.optimized = optimized
        self.kind = kind
        self._process: ModelProcess | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._state: State = "unloaded"
        self._memory_bytes = 0
        self._executions = 0
        self._infer_s = 0.0
        self._loads = 0
        self._busy_since: float | None = None
        self._retry_at = 0.0

    async def load(self, *, warm_up: bool = True) -> None:
        """Starts the process and loads the model; warmed up, its first output is as fast as the others.

        Raises:
            InvalidInput: the model can't be loaded.
            ModelFailed: its process ended, or was not ready in time.
        """
        await self._call(lambda: self._load(warm_up=warm_up))

    async def infer(self, frame: Array) -> Array:
        """The model's output for a frame; a process that died is started again, once.

        Raises:
            ModelFailed: the model failed on this frame, or its process does not stay alive.
        """
        inferred = await self._call(lambda: self._infer(frame))
        self._executions += 1
        self._infer_s += inferred.infer_s
        return inferred.value

    async def unload(self) -> None:
        """Ends the process; its memory is free when this returns."""
        await self._call(self._unload)

    @property
    def pid(self) -> int | None:
        """Its process; None while it has none."""
        process = self._process
        return None if process is None else process.pid

    def measure(self) -> int:
        """What the process takes now; 0 when it does not run. Also ends an inference that takes too long."""
        busy_since = self._busy_since
        if busy_since is not None and time.monotonic() - busy_since > self.infer_timeout_s:
            logger.warning("%s: no output after %g s; ending its process", self.name, self.infer_timeout_s)
            self._kill()
        process = self._process
        self._memory_bytes = 0 if process is None else process.memory_bytes()
        return self._memory_bytes

    def close(self) -> None:
        """Ends the process, whatever it is doing; closing twice is fine."""
        self._kill()
        self._thread.shutdown(cancel_futures=True)
        self._unload()

    def stats(self) -> WorkerStats:
        """What the model did so far."""
        return WorkerStats(self._state, self._memory_bytes, self._executions, self._infer_s, self._loads)

    async def _call(self, function: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _load(self, *, warm_up: bool = True) -> None:
        self._state = "loading"
        process = self.kind(self.path, threads=self.threads, optimized=self.optimized)
        try:
            process.load(warm_up=warm_up)
        except InfilinkError:
            self._state = "failed"
            raise
        self._process, self._state = process, "loaded"
        self._loads += 1
        logger.info("%s: loaded in %.2f s", self.name, process.load_s)

    def _unload(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self._state = "unloaded"

    def _infer(self, frame: Array) -> Inferred:
        if self._process is not None:
            try:
                return self._ask(self._process, frame)
            except ModelFailed as error:
                if self._process.memory_bytes():
                    raise
                logger.warning("%s; starting it again", error)
        elif time.monotonic() < self._retry_at:
            raise ModelFailed(f"{self.name}: its process does not stay alive")
        self._unload()
        self._retry_at = time.monotonic() + _RETRY_S
        self._load(warm_up=False)
        assert self._process is not None
        try:
            return self._ask(self._process, frame)
        except ModelFailed:
            if not self._process.memory_bytes():
                self._unload()
                self._state = "failed"
            raise

    def _ask(self, process: ModelProcess, frame: Array) -> Inferred:
        self._busy_since = time.monotonic()
        try:
            return process.infer(frame)
        finally:
            self._busy_since = None

    def _kill(self) -> None:
        process = self._process
        if process is not None:
            # Not close(): its pipe is in use by the worker's own thread.
            process.kill()

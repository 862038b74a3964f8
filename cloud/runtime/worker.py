"""One model as the coordinator's event loop sees it: asked in turn, in a thread of its own behind the loop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import psutil

from ...models.process_child import Inferred, InferredTensors
from ...models.supervisor import State, Supervisor
from ...outputs import Array

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class WorkerStats:
    """What one model did so far; `memory_bytes` as last measured."""

    state: State
    memory_bytes: int
    executions: int
    infer_s: float
    cpu_s: float
    loads: int


class Worker:
    """A model fed by a thread of its own: one inference at a time, in the order asked.

    Args:
        model: keeps its process running.
    """

    def __init__(self, model: Supervisor) -> None:
        self.model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=model.name)
        self._memory_bytes = 0

    async def load(self, *, warm_up: bool = True) -> float:
        """Starts the process and loads the model; what `Supervisor.load` says. Returns what it took of processors."""
        await self._call(lambda: self.model.load(warm_up=warm_up))
        with suppress(psutil.Error):
            times = psutil.Process(self.pid).cpu_times()
            return float(times.user + times.system)
        return 0.0  # It has ended already.

    async def infer(self, frame: Array) -> Inferred:
        """The model's output for a frame, and what it took; what `Supervisor.infer` says."""
        return await self._call(lambda: self._infer(frame))

    async def infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str] = ()) -> InferredTensors:
        """The graph's own outputs for its own inputs, and what they took; what `Supervisor.infer_tensors` says."""
        return await self._call(lambda: self._infer_tensors(tensors, outputs))

    async def unload(self) -> None:
        """Ends the process; its memory is free when this returns."""
        await self._call(self.model.unload)

    @property
    def pid(self) -> int | None:
        """Its process; None while it has none."""
        return self.model.pid

    def measure(self) -> int:
        """What the process takes now; 0 when it does not run."""
        self._memory_bytes = self.model.memory_bytes()
        return self._memory_bytes

    def close(self) -> None:
        """Ends the process, whatever it is doing; closing twice is fine."""
        self.model.stop()
        self._thread.shutdown(cancel_futures=True)
        self.model.unload()

    def stats(self) -> WorkerStats:
        """What the model did so far."""
        model = self.model
        taken = (model.infer_s, model.cpu_s)
        return WorkerStats(model.state, self._memory_bytes, model.executions, *taken, model.loads)

    def _infer(self, frame: Array) -> Inferred:
        model = self.model
        infer_s, cpu_s = model.infer_s, model.cpu_s
        value = model.infer(frame)
        return Inferred(value, model.infer_s - infer_s, model.cpu_s - cpu_s)

    def _infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str]) -> InferredTensors:
        model = self.model
        infer_s, cpu_s = model.infer_s, model.cpu_s
        values = model.infer_tensors(tensors, outputs)
        return InferredTensors(values, model.infer_s - infer_s, model.cpu_s - cpu_s)

    async def _call(self, function: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

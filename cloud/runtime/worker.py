"""One model as the event loop sees it: one or several processes, each with a group of inputs at a time."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import ModelFailed
from ...models.process import ModelProcess
from ...models.process_child import FRAME, Reply, Work
from ...models.supervisor import State, Supervisor
from .batching import Batching

logger = logging.getLogger(__name__)

_CLOSE_WITHIN_S = 30.0


@dataclass(frozen=True)
class WorkerStats:
    """What one model did so far; `memory_bytes` as last measured, of all its processes."""

    state: State
    memory_bytes: int
    executions: int
    infer_s: float
    cpu_s: float
    loads: int
    processes: int = 1


class Lane:
    """One process of a model: a group of inputs goes in, the event loop hears of the replies, and the next one goes in.

    The loop goes on listening to the process between two groups, and one timer sees all of them end in time: to begin
    and end both for each group costs as much as a short model.

    Args:
        model: keeps the process running.

    Attributes:
        is_busy: whether it has a group.
        idle: set while it has none and the loop does not listen: only then the process may be closed.
    """

    def __init__(self, model: Supervisor) -> None:
        self.model = model
        self.is_busy = False
        # For whoever ends it from another thread.
        self.idle = threading.Event()
        self.idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: ModelProcess | None = None
        self._pipe = -1
        self._answered: asyncio.Future[list[Reply]] | None = None
        self._timeout_s = self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, works: Sequence[Work]) -> list[Reply]:
        """The replies to a group, in its order; the process is started again if it had ended before.

        Raises:
            InvalidInput: the model can't be loaded any more.
            ProcessEnded: its process ended over this, or was ended as it took too long.
            ModelFailed: it does not stay alive.
        """
        self.is_busy = True
        self.idle.clear()
        try:
            process = self.model.process
            if process is None:
                process = await asyncio.to_thread(self.model.revive)
            replies = await self._ask(process, works)
        except ModelFailed:
            self.let_go()
            if self.model.pid is None and self.model.process is not None:
                await asyncio.to_thread(self.model.lost)
            raise
        finally:
            self.is_busy = False
            if self._loop is None:
                self.idle.set()
        self.model.count(replies)
        return replies

    def let_go(self) -> None:
        """Has the event loop listen to the process no more; on that loop, or when it has ended."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._pipe)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.is_busy:
            self.idle.set()

    def end(self) -> None:
        """Ends the process, whatever it does, and cleans up; from any thread, on the event loop if it is not busy."""
        # The event loop lets go of a pipe that ends, if it runs.
        if (loop := self._loop) is not None and (not loop.is_running() or asyncio._get_running_loop() is loop):
            self.let_go()
        self.idle.wait(_CLOSE_WITHIN_S)
        self.model.unload()

    async def _ask(self, process: ModelProcess, works: Sequence[Work]) -> list[Reply]:
        loop = asyncio.get_running_loop()
        process.send(works)
        answered: asyncio.Future[list[Reply]] = loop.create_future()
        self._answered = answered
        if self._loop is not loop or self._process is not process:
            self.let_go()
            self._loop, self._process, self._pipe = loop, process, process.fileno()
            loop.add_reader(self._pipe, self._hear, process)
        self._timeout_s = self.model.infer_timeout_s * len(works)
        self._due_s = loop.time() + self._timeout_s
        self._look_when_due(loop)
        try:
            return await answered
        except (asyncio.CancelledError, GeneratorExit):
            # Its replies would be taken for those to the next group.
            process.kill()
            raise
        finally:
            self._answered = None

    def _hear(self, process: ModelProcess) -> None:
        """The process has replied, or ended."""
        answered = self._answered
        if answered is None or answered.done():
            # Nobody asked, so it has ended: it would be heard again and again.
            self.let_go()
            return
        try:
            answered.set_result(process.receive())
        except Exception as error:  # whatever it is, else those who wait would wait for ever
            answered.set_exception(error)

    def _look_when_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has `_look` called by the time that the group is to have ended."""
        if self._timer is None or self._timer.when() > self._due_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(self._due_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends a process that takes too long, and no longer listens to one that has had nothing to do for as long."""
        self._timer = None
        answered, process = self._answered, self._process
        if answered is None or process is None:
            self.let_go()
        elif loop.time() < self._due_s:
            self._look_when_due(loop)
        elif not answered.done():
            answered.set_exception(process.hangs(self._timeout_s))


class Worker:
    """A model's processes.

    Args:
        model: keeps the first of them running; the others are like it.
        processes: how many are loaded at once.
        batching: how many inputs share a run, where its graph takes several.
    """

    def __init__(self, model: Supervisor, *, processes: int = 1, batching: Batching | None = None) -> None:
        self.model = model
        self.processes = processes
        self.batching = Batching() if batching is None else batching
        self._lanes = [Lane(model)]
        self._memory_bytes = 0
        self._ended = asyncio.Event()

    @property
    def digest(self) -> str:
        """Of the file that it runs; empty: nobody said."""
        return self.model.digest

    @property
    def lanes(self) -> int:
        """How many processes it has."""
        return len(self._lanes)

    @property
    def batches(self) -> bool:
        """Whether several inputs may share one run."""
        process = self.model.process
        return self.batching.most > 1 and process is not None and process.batches

    @property
    def repeats(self) -> bool:
        """Whether an input on which a process ended is given to the next one."""
        return self.model.repeat

    async def load(self, *, warm_up: bool = True) -> float:
        """Starts the processes and loads the model; what `Supervisor.load` says. Returns what it took of processors."""
        took_s = 0.0
        try:
            # One after another: the first writes the optimized graph that the others read.
            for lane in self._lanes[:1]:
                took_s += await self._load(lane, warm_up)
            while len(self._lanes) < self.processes:
                took_s += await self.grow()
        except BaseException:
            await self.unload()
            raise
        return took_s

    async def grow(self) -> float:
        """Starts another process; what `load` says."""
        lane = Lane(self.model.twin())
        took_s = await self._load(lane, True)
        self._lanes.append(lane)
        return took_s

    async def shrink(self) -> bool:
        """Ends a process beyond the first that has nothing to do; False: there is none."""
        for lane in self._lanes[:0:-1]:
            if not lane.is_busy:
                self._lanes.remove(lane)
                self._count(lane.model)
                lane.let_go()
                await asyncio.to_thread(lane.model.unload)
                return True
        return False

    async def run(self, works: Sequence[Work]) -> list[Reply]:
        """The replies to a group of inputs from the first process that is free; what `Lane.run` says."""
        while (lane := next((lane for lane in self._lanes if not lane.is_busy), None)) is None:
            self._ended.clear()
            await self._ended.wait()
        try:
            return await lane.run(works)
        finally:
            self._ended.set()

    async def unload(self) -> None:
        """Ends the processes once they have answered what they were given; their memory is free when this returns."""
        while any(lane.is_busy for lane in self._lanes):
            self._ended.clear()
            await self._ended.wait()
        lanes, self._lanes = self._lanes, self._lanes[:1]
        for lane in lanes:
            if lane not in self._lanes:
                self._count(lane.model)
            lane.let_go()
            await asyncio.to_thread(lane.model.unload)

    @property
    def pid(self) -> int | None:
        """Its first process; None while it has none."""
        return self.model.pid

    def measure(self) -> int:
        """What the processes take now; 0 when none runs."""
        self._memory_bytes = sum(lane.model.memory_bytes() for lane in [*self._lanes])
        return self._memory_bytes

    def close(self) -> None:
        """Ends the processes, whatever they do; closing twice is fine. Not on the event loop while they are busy."""
        lanes = [*self._lanes]
        for lane in lanes:
            lane.model.stop()
        for lane in lanes:
            lane.end()

    def stats(self) -> WorkerStats:
        """What the model did so far."""
        models = [lane.model for lane in self._lanes]
        executions, loads = sum(each.executions for each in models), sum(each.loads for each in models)
        infer_s, cpu_s = sum(each.infer_s for each in models), sum(each.cpu_s for each in models)
        return WorkerStats(self.model.state, self._memory_bytes, executions, infer_s, cpu_s, loads, len(models))

    def _count(self, gone: Supervisor) -> None:
        """What a process did stays counted."""
        first = self.model
        first.executions, first.loads = first.executions + gone.executions, first.loads + gone.loads
        first.infer_s, first.cpu_s = first.infer_s + gone.infer_s, first.cpu_s + gone.cpu_s

    async def _load(self, lane: Lane, warm_up: bool) -> float:
        await asyncio.to_thread(lane.model.load, warm_up=warm_up)
        process = lane.model.process
        if warm_up and self.batching.most > 1 and process is not None and process.batches and process.looks:
            # What the largest group takes is to be seen when memory is measured, not later.
            await lane.run([Work({FRAME: process.samples()[0]})] * self.batching.most)
        process = lane.model.process
        return 0.0 if process is None else process.cpu_s()  # It has ended already.

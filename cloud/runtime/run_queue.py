"""The inputs that wait for a model's processes: the most worth goes first, in groups, and nobody waits in vain."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from math import inf
from typing import Any
from weakref import WeakValueDictionary

from ...errors import DeadlineExceeded, InfilinkError, ModelFailed, QueueFull
from ...models.process import ProcessEnded
from ...models.process_child import FRAME, Inferred, InferredTensors, Reply, Work
from ...outputs import Array
from ...protos.tracing import part
from ..metrics import Metrics
from .batching import few
from .input_pool import Held, InputPool
from .waiting import Run, Waiting, full
from .worker import Worker

# What an answer takes beyond its share of the models' time: decoding, the way, the ledger; and times vary.
_CAUTION = 1.3
_BELIEVED = 0.1
"""How much of what a run took is believed of the last one."""
_MOST_WAITING = 4096


class RunQueue:
    """Runs models on inputs, each process on one group at a time.

    Args:
        workers: every model's worker.
        at_once: how many processes run at once, all models together; None: all of them.
        inputs: the memory that inputs lie in.
        metrics: counts groups; None: nobody reads them.
        most_waiting: how many inputs may wait, all models together.
        ahead: how many inputs may be decoded, or be with their models, at once, of those for the same models (`turn`).
        clock: the time that deadlines are of.

    Attributes:
        loaded: the models that may run: a worker that is asked while it is not loaded would load itself.
        expired: how many inputs were given up as their deadline would have passed.
    """

    def __init__(
        self,
        workers: Mapping[str, Worker],
        *,
        at_once: int | None = None,
        inputs: InputPool | None = None,
        metrics: Metrics | None = None,
        most_waiting: int = _MOST_WAITING,
        ahead: int = 16,
        clock: Any = time.monotonic,
    ) -> None:
        self.workers = workers
        self.at_once = inf if at_once is None else at_once
        self.inputs = InputPool(2**28) if inputs is None else inputs
        self.metrics = Metrics() if metrics is None else metrics
        self.most_waiting = most_waiting
        self.clock = clock
        self.loaded: set[str] = set()
        self.expired = 0
        self._waiting = Waiting()
        self._groups: dict[str, int] = {}
        self._inside, self._coming = Counter[str](), Counter[str]()
        self._ahead = ahead
        # A model that hangs holds up what needs it, and nothing else.
        self._turns = WeakValueDictionary[frozenset[str], asyncio.Semaphore]()
        self._after_s = 0.0
        # What an input takes with its model, and how far apart they end while others wait; when the last one did.
        self._took_s: dict[str, float] = {}
        self._apart_s: dict[str, float] = {}
        self._last_s: dict[str, float] = {}
        self._delayed: dict[str, asyncio.TimerHandle] = {}
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    async def run(
        self,
        name: str,
        frame: Array | Held,
        *,
        worth: float = inf,
        within_s: float | None = None,
        deadline_s: float = inf,
    ) -> Inferred | None:
        """A model's output for a frame; None: its turn did not come in time, or the model was unloaded before.

        Args:
            name: the model.
            frame: its input: memory of the pool that it lies in, or else it is copied there.
            worth: of those that wait the one that is worth most goes first, the oldest first among equals.
            within_s: how long to wait for the turn; None: as long as it takes.
            deadline_s: by `clock`; it is not begun where it would end later, and not waited for any longer.

        Raises:
            QueueFull: too many wait that are worth as much, or others came that are worth more.
            DeadlineExceeded: it would have come too late.
            InfilinkError: what the model's process replied.
        """
        held = frame if isinstance(frame, Held) else self.inputs.copy({FRAME: frame})
        reply = await self._run(name, Work(held.sent, (), deadline_s), held, worth, within_s)
        assert reply is None or isinstance(reply, Inferred)
        return reply

    async def run_tensors(
        self,
        name: str,
        tensors: Mapping[str, Array] | Held,
        outputs: Sequence[str] = (),
        *,
        worth: float = inf,
        within_s: float | None = None,
        deadline_s: float = inf,
    ) -> InferredTensors | None:
        """A graph's own outputs for its own inputs; what `run` says."""
        held = tensors if isinstance(tensors, Held) else self.inputs.copy(tensors)
        reply = await self._run(name, Work(held.sent, tuple(outputs), deadline_s), held, worth, within_s)
        assert reply is None or isinstance(reply, InferredTensors)
        return reply

    async def _run(
        self, name: str, work: Work, held: Held, worth: float, within_s: float | None
    ) -> Inferred | InferredTensors | None:
        if (last := self._waiting.check_room(worth, self.most_waiting)) is not None:
            self._forget(*last)
            last[1].tell(full(self.most_waiting))
        loop, now_s = asyncio.get_running_loop(), self.clock()
        run = Run((-worth, next(self._numbers)), work, held, loop.create_future(), now_s)
        self._waiting.add(name, run)
        timers = []
        if within_s is not None:
            timers.append(loop.call_later(within_s, self._turn_missed, name, run))
        if work.deadline_s < inf:
            timers.append(loop.call_later(max(0.0, work.deadline_s - now_s), self._too_late, name, run))
        self._start()
        try:
            with part("model", model=name):
                reply = await run.came
        finally:
            for timer in timers:
                timer.cancel()
            self._forget(name, run)
        if not isinstance(reply, InfilinkError):
            return reply
        try:
            raise reply
        finally:
            # It leads to this frame, and that must not lead back: the input's memory would be held by a circle.
            del reply, run

    @contextmanager
    def admitted(self, names: Collection[str], deadline_s: float = inf, *, worth: float = inf) -> Iterator[None]:
        """Counts an input as one that these models are, or will be, asked about, while it is decoded and runs.

        Raises:
            DeadlineExceeded: it is too late already.
            QueueFull: too many wait already, or it would be too late by what its models took lately.
        """
        self._waiting.check_room(worth, self.most_waiting)
        if deadline_s < inf:
            now_s = self.clock()
            if now_s > deadline_s:
                raise DeadlineExceeded("the deadline passed before a model ran on it")
            late_s = now_s + _CAUTION * self.expected_s(names, worth) + 2 * self._after_s - deadline_s
            # With nothing before it one always goes: only so is it seen when things take less again.
            if late_s > 0 and any(self._before(name, worth) for name in names):
                self.expired += 1
                raise QueueFull(
                    f"the answer would be {late_s:.2g} s late: too much waits already", retry_after_s=late_s
                )
        # What is worth less than others is not before those that come after it.
        counted = tuple(names) if worth == inf else ()
        self._coming.update(counted)
        try:
            yield
        finally:
            self._coming.subtract(counted)

    @asynccontextmanager
    async def turn(self, names: Collection[str], deadline_s: float = inf) -> AsyncIterator[None]:
        """Waits until an input is among the next ones: only these are decoded, and wait for their models in memory.

        Raises:
            DeadlineExceeded: by then it would be too late.
        """
        left_s, of = deadline_s - self.clock(), frozenset(names)
        if (turns := self._turns.get(of)) is None:
            turns = self._turns[of] = asyncio.Semaphore(self._ahead)
        try:
            async with nullcontext() if left_s == inf else asyncio.timeout(max(0.0, left_s)):
                await turns.acquire()
        except TimeoutError:
            self.expired += 1
            raise DeadlineExceeded("the deadline passed before a model ran on it") from None
        try:
            if self.clock() + self._own_s(names) > deadline_s:
                self.expired += 1
                raise DeadlineExceeded("the deadline would pass before a model has run on it")
            yield
        finally:
            turns.release()

    def answered(self, after_s: float) -> None:
        """An input was answered so long after its models had run: that counts when the next ones are admitted."""
        self._after_s += _BELIEVED * (after_s - self._after_s)

    def expected_s(self, names: Collection[str], worth: float = inf) -> float:
        """How long an input would take now until all of these models have run on it.

        Each model's inputs end one after another at some distance, whatever it is that keeps them apart: its processes,
        other models beside it, decoding. So many of these distances go by as there are inputs before this one.
        """
        apart_s = {name: self._apart_s.get(name, self._took_s.get(name, 0.0)) for name in names}
        before_s = [self._before(name, worth) * apart_s[name] for name in names]
        return max(before_s, default=0.0) + self._own_s(names)

    def _own_s(self, names: Collection[str]) -> float:
        return max((self._took_s.get(name, 0.0) for name in names), default=0.0)

    def _before(self, name: str, worth: float) -> int:
        """How many inputs go before one of such worth: those that come are among those that wait then."""
        return max(self._waiting.before(name, worth) + self._inside[name], self._coming[name])

    def waiting(self) -> dict[str, int]:
        """How many runs wait for their turn, by model."""
        return {name: len(self._waiting.of(name)) for name in self.workers}

    @property
    def running(self) -> Collection[str]:
        """The models that run now."""
        return self._groups.keys()

    def wake(self) -> None:
        """A model has got another process."""
        self._start()

    def is_short_of(self, name: str) -> bool:
        """Whether a model's inputs wait for its processes alone: another one could run now."""
        waits = name in self._waiting and name in self.workers and not self._is_free(name)
        return waits and sum(self._groups.values()) < self.at_once

    async def drained(self, name: str) -> None:
        """Waits until nothing runs on that model and nothing waits for it."""
        self._start()
        while name in self._groups or name in self._waiting:
            self._ended.clear()
            await self._ended.wait()

    def _start(self) -> None:
        """Has the next groups start, as long as processes are free and not too many run."""
        for name in [name for name in self._waiting if name not in self.loaded]:
            while name in self._waiting:
                self._waiting.take(name).tell(None)
            self._ended.set()
        while sum(self._groups.values()) < self.at_once:
            ready = [name for name in self._waiting if self._is_ready(name, self._waiting.of(name))]
            if not ready:
                return
            name = min(ready, key=lambda name: self._waiting.of(name)[0])
            group = self._group(name)
            if group:
                self._groups[name] = self._groups.get(name, 0) + 1
                self._inside[name] += len(group)
                task = asyncio.get_running_loop().create_task(self._serve(name, self.workers[name], group))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _is_ready(self, name: str, runs: Sequence[Run]) -> bool:
        """Whether a model's next group may go: a process is free, and it waits for no more inputs."""
        worker = self.workers[name]
        if not self._is_free(name):
            return False
        if not worker.batches or not worker.batching.delay_s:
            return True
        now_s = self.clock()
        wait_s = worker.batching.wait_s(len(runs), now_s - min(run.since_s for run in runs))
        if wait_s > 0 and name not in self._delayed:
            self._delayed[name] = asyncio.get_running_loop().call_later(wait_s, self._delay_over, name)
        return wait_s <= 0

    def _delay_over(self, name: str) -> None:
        del self._delayed[name]
        self._start()

    def _is_free(self, name: str) -> bool:
        return self._groups.get(name, 0) < self.workers[name].lanes

    def _group(self, name: str) -> list[Run]:
        """The runs of a model that go next, without those that would be late."""
        runs, worker = self._waiting.of(name), self.workers[name]
        now_s, took_s, free = self.clock(), self._took_s.get(name, 0.0), worker.lanes - self._groups.get(name, 0)
        wanted = worker.batching.choose(len(runs)) if worker.batches else few(len(runs), took_s, free=free)
        group: list[Run] = []
        while runs and len(group) < wanted and not (group and (runs[0].alone or group[0].alone)):
            run = self._waiting.take(name)
            if now_s + took_s > run.work.deadline_s:
                self._too_late(name, run)
            elif not run.came.done():
                group.append(run)
        return group

    async def _serve(self, name: str, worker: Worker, group: list[Run]) -> None:
        """Runs a group, and tells those who wait for it."""
        began_s = self.clock()
        try:
            replies: Sequence[Reply | None] = await worker.run([run.work for run in group])
        except ProcessEnded as error:
            replies = [self._again(name, run, error, alone=len(group) == 1) for run in group]
        except InfilinkError as error:
            replies = [error.with_traceback(None)] * len(group)
        except Exception as error:  # else those who wait would wait for ever
            replies = [ModelFailed(f"{name}: {type(error).__name__}: {error}")] * len(group)
        else:
            took_s = (self.clock() - began_s) / len(group)
            _learn(self._took_s, name, took_s)
            worker.batching.ran(len(group), self.clock() - began_s)
            # Another version may be served by the time that it is told of.
            replies = [
                reply._replace(digest=worker.digest) if isinstance(reply, Inferred) else reply for reply in replies
            ]
            self.metrics.ran(name, waits_s=[began_s - run.since_s for run in group], took_s=self.clock() - began_s)
        finally:
            self._groups[name] -= 1
            self._inside[name] -= len(group)
            self._ended_group(name, len(group))
            if not self._groups[name]:
                del self._groups[name]
        for run, reply in zip(group, replies, strict=True):
            if reply is not None:
                run.tell(reply)
        self._ended.set()
        self._start()

    def _ended_group(self, name: str, size: int) -> None:
        """Measures how far apart a model's inputs end, while others wait."""
        now_s, last_s = self.clock(), self._last_s.pop(name, None)
        if last_s is not None:
            _learn(self._apart_s, name, (now_s - last_s) / size)
        # Those that have just ended do not know it yet.
        if max(len(self._waiting.of(name)) + self._inside[name], self._coming[name] - size) > 0:
            self._last_s[name] = now_s

    def _again(self, name: str, run: Run, error: ProcessEnded, *, alone: bool) -> Reply | None:
        """Has an input wait for the next process if its own ended, or it is not known that this was to blame."""
        if run.alone or name not in self.loaded or (alone and not self.workers[name].repeats):
            return error.with_traceback(None)
        run.alone = True
        self._waiting.add(name, run)
        return None

    def _turn_missed(self, name: str, run: Run) -> None:
        if self._forget(name, run):
            run.tell(None)

    def _too_late(self, name: str, run: Run) -> None:
        self._forget(name, run)
        self.expired += not run.came.done()
        run.tell(DeadlineExceeded(f"{name}: the deadline passed before its turn was over"))
        self._ended.set()

    def _forget(self, name: str, run: Run) -> bool:
        """Takes a run out of those that wait; False: it does not wait."""
        if not self._waiting.forget(name, run):
            return False
        self._ended.set()
        return True


def _learn(times_s: dict[str, float], name: str, took_s: float) -> None:
    before_s = times_s.get(name, took_s)
    times_s[name] = before_s + _BELIEVED * (took_s - before_s)

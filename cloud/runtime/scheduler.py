"""Runs the site's models as its schedule says: on which inputs they run, and which of them are loaded."""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import replace
from math import inf

from ...errors import BadOutput, DeadlineExceeded, InfilinkError, ModelFailed, QueueFull
from ...links.scheduling.loads import Load
from ...links.scheduling.schedule import Choice, SiteSchedule
from ...models.process_child import Inferred
from ...models.supervisor import RETRY_S
from ...outputs import Array
from ..metrics import Metrics
from .input_pool import Held
from .memory import MemoryBudget
from .pool import ModelPool
from .scaling import Scaling

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.05
"""What is loaded is looked at after an input came, but no more often than this."""
_BELIEVED = 0.3
"""How much of what a load takes is believed of the last one."""
_SEEN_EVERY = 8
"""Of so many looks one measures what models take, where there is no budget."""
_BUSY = 0.9
"""From this share of the compute on that was spent, there is more to run than it is enough for."""


class Scheduler:
    """Drives the site's schedule with the models' real processes.

    Args:
        pool: the models.
        schedule: decides what runs and what is loaded; None: what must run on an input does, and all of that is loaded.
        answer_within_s: a run that was chosen and whose turn does not come within this is left out.
        clock: seconds that do not go back.
        metrics: counts loads; None: nobody reads them.
        journal: is told of each load and unload: "load" or "unload", the model, and why.

    Attributes:
        late: how many runs were left out because their turn did not come in time.
        why: the last load or unload of each model, in words.
    """

    def __init__(
        self,
        pool: ModelPool,
        schedule: SiteSchedule | None = None,
        *,
        answer_within_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
        scaling: Scaling | None = None,
        journal: Callable[[str, str, str], None] = lambda kind, model, why: None,
    ) -> None:
        self.pool = pool
        self.schedule = schedule
        self.answer_within_s = answer_within_s
        self.clock = clock
        self.metrics = Metrics() if metrics is None else metrics
        self.scaling = scaling
        self.journal = journal
        self.late = 0
        self.why: dict[str, str] = {}
        self._rest_until_s: dict[str, float] = {}
        self._failing: set[str] = set()
        self._asked = asyncio.Event()

    def choose(
        self,
        stream: Hashable,
        losses: Mapping[str, float],
        *,
        factors: Mapping[str, float] | None = None,
        must: Collection[str] = (),
        frame_loss: float = 0.0,
    ) -> Choice:
        """Which models run on a stream's next input; the choice is to be given to `run`, or to `skip`.

        Args:
            stream: the input's; it has joined the schedule.
            losses: for each model that could run on it, what is expected to be lost if it does not.
            factors: how much more each model's answer matters on this input than usual.
            must: the models that run whatever they are worth, those of them that are loaded.
            frame_loss: the losses that they have to prevent together for any to run, as the frame has to travel.
        """
        if self.schedule is None:
            return Choice(tuple(must), frozenset(must))
        self._asked.set()
        return self.schedule.choose(
            stream, self.clock(), losses, loaded=self._able(), must=must, factors=factors, frame_loss=frame_loss
        )

    def is_short(self) -> bool:
        """Whether there is less compute now than is asked for."""
        return self.schedule is not None and self.schedule.is_short(self.clock())

    async def run(
        self,
        stream: Hashable,
        frame: Array | Held,
        choice: Choice,
        *,
        within_s: float | None = None,
        deadline_s: float = inf,
    ) -> dict[str, Inferred]:
        """The outputs of the chosen models; one that failed, or whose turn did not come in time, is left out.

        Args:
            stream: the input's.
            frame: uint8 BGR.
            choice: what `choose` returned.
            within_s: how long each waits for its turn; None: as long as it takes.
            deadline_s: by the clock of `RunQueue`: what would end later does not begin.

        Raises:
            ModelFailed: all failed, and there is no schedule that runs them another time.
            DeadlineExceeded, QueueFull: the same, and none of them came in time.
        """
        runs = (
            self._run(stream, frame, name, inf if name in choice.audits else choice.index[name], within_s, deadline_s)
            for name in choice.run
        )
        try:
            # A task for each costs as much as a short model does: one alone is waited for here.
            found = [await next(runs)] if len(choice.run) == 1 else await asyncio.gather(*runs)
            outputs = dict(zip(choice.run, found, strict=True))
        finally:
            self.skip(stream, choice)
        failures = [output for output in outputs.values() if isinstance(output, InfilinkError)]
        if failures and len(failures) == len(outputs) and self.schedule is None:
            late = next((error for error in failures if isinstance(error, DeadlineExceeded | QueueFull)), None)
            try:
                raise late or ModelFailed("; ".join(map(str, failures)))
            finally:
                # An error leads to this frame, and that must not lead back: the input's memory would be held.
                del late, failures, found, outputs
        return {
            name: output for name, output in outputs.items() if output is not None and not isinstance(output, Exception)
        }

    def _able(self) -> frozenset[str]:
        """The models that could run at once."""
        return frozenset(self.pool.queue.loaded) - self._resting()

    def skip(self, stream: Hashable, choice: Choice) -> None:
        """What was chosen and has not run does not run any more."""
        if self.schedule is not None:
            for name in choice.run:
                self.schedule.skipped(stream, name)

    async def keep_loaded(self) -> None:
        """Loads what is worth most and unloads what is in its way, one after another, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                async with self.pool.changing:
                    await self._shrink()
                while await self._load_next():
                    pass
            except Exception:
                logger.exception("what is loaded can't be changed; it is tried again")
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def watch(self, *, every_s: float, overload_s: float = 10.0) -> None:
        """Measures the models' memory, and says it once when there is less compute than is asked for, until cancelled.

        Args:
            every_s: the time between two measurements.
            overload_s: over how long what is spent is added up.
        """
        adapting = asyncio.create_task(self._adapt(every_s))
        try:
            await self._look(every_s, overload_s)
        finally:
            adapting.cancel()
            await asyncio.gather(adapting, return_exceptions=True)

    async def _adapt(self, every_s: float) -> None:
        """Has models get and give up processes, until cancelled; a process takes long to start."""
        while self.scaling is not None:
            await asyncio.sleep(every_s)
            try:
                await self.scaling.adapt()
            except Exception:
                logger.exception("the number of processes can't be changed; it is tried again")
                await asyncio.sleep(RETRY_S)

    async def _look(self, every_s: float, overload_s: float) -> None:
        told, since_s, spent_s = self.schedule is None, self.clock(), 0.0
        for look in itertools.count():
            await asyncio.sleep(every_s)
            # It takes some milliseconds: where nothing is to be kept within a budget, it is only to be seen.
            if look % _SEEN_EVERY == 0 or any(budget.limit_bytes is not None for budget in self.pool.budgets):
                await self.pool.sample()
            now_s = self.clock()
            if told or self.schedule is None or now_s - since_s < overload_s:
                continue
            cores = (self.schedule.spent_s - spent_s) / (now_s - since_s)
            since_s, spent_s = now_s, self.schedule.spent_s
            told = cores >= _BUSY * self.schedule.compute_cores
            if told:
                logger.info(
                    "more is worth running than %g cores can: what tells least is answered as linked or held (told "
                    "once; `infilink status` has the price of a second)",
                    self.schedule.compute_cores,
                )

    async def _run(
        self, stream: Hashable, frame: Array | Held, name: str, worth: float, within_s: float | None, deadline_s: float
    ) -> Inferred | InfilinkError | None:
        """A model's output; why it has none; or None: its turn did not come in time."""
        try:
            inferred = await self.pool.queue.run(name, frame, worth=worth, within_s=within_s, deadline_s=deadline_s)
            if inferred is None:
                self.late += 1
                return None
            self._failing.discard(name)
            self._ran(stream, name, inferred)
            return inferred
        except (DeadlineExceeded, QueueFull) as error:
            self.late += 1
            return error.with_traceback(None)
        except BadOutput as error:
            # It took its time all the same, and the next input may fare better.
            self._ran(stream, name, None)
            self._log_failure(name, f"{error} (such an output counts as none; logged once until it works again)")
            return error.with_traceback(None)
        except InfilinkError as error:
            self._log_failure(name, f"{error} (logged once until it works again)")
            self._rest_until_s[name] = self.clock() + RETRY_S
            return error.with_traceback(None)

    def _ran(self, stream: Hashable, name: str, inferred: Inferred | None) -> None:
        """Counts what a run took; None: as much as usual."""
        if self.schedule is None:
            return
        took_s = self.schedule.costs[name].infer_s
        if inferred is not None:
            # On a busy machine more goes by than is used while one of the places to run at is taken.
            share = self.schedule.compute_cores / max(1, self.pool.queue.at_once)
            took_s = max(inferred.cpu_s, share * inferred.infer_s)
        self.schedule.ran(stream, name, self.clock(), took_s)

    def _resting(self) -> frozenset[str]:
        """The models that failed lately, and are left alone for a while."""
        now_s = self.clock()
        return frozenset(name for name, until_s in self._rest_until_s.items() if until_s > now_s)

    async def _load_next(self) -> bool:
        """Makes the change that is worth most, while nobody else makes one; False: there is none."""
        async with self.pool.changing:
            load = self._next_load()
            if load is None:
                return False
            await self._load(load)
            return True

    def _next_load(self) -> Load | None:
        assert self.schedule is not None
        pool, costs = self.pool, self.schedule.costs
        for name, cost in costs.items():
            costs[name] = replace(cost, memory_bytes=pool.budget_of(name).need(name))
        loaded = pool.reserved & costs.keys()
        return self.schedule.load(
            self.clock(),
            loaded=loaded,
            busy=pool.pinned & loaded,
            never=self._resting() | pool.parked,
            must=(pool.pinned & costs.keys()) - loaded - pool.parked,
        )

    async def _shrink(self) -> None:
        """Unloads what is worth least to keep, while the loaded models of a place have grown beyond its budget."""
        for memory in self.pool.budgets:
            while memory.is_exceeded and (name := self._least(memory)):
                await self.pool.unload(name)
                self.metrics.unloaded(name, "budget")
                alone = memory.need(name) > (memory.limit_bytes or 0)
                why = "has grown beyond the budget and runs no more" if alone else "others grew into its place"
                self._say("unload", name, why)

    def _least(self, memory: MemoryBudget) -> str | None:
        """The loaded model of a place that is worth least to keep, pinned ones last; None: there is none."""
        assert self.schedule is not None
        keeping, pinned = self.schedule.stats().keeping, self.pool.pinned
        here = [name for name in self.pool.queue.loaded if self.pool.budget_of(name) is memory and name in keeping]
        return min(here, key=lambda name: (name in pinned, keeping[name]), default=None)

    async def make_room(self, name: str) -> None:
        """Unloads what is worth least to keep in a model's place, until it could be loaded there.

        Whoever calls this holds the pool's `changing`.

        Raises:
            OutOfMemory: there is no room for it beside what is pinned.
        """
        memory = self.pool.budget_of(name)
        while not memory.has_room(name):
            least = None if self.schedule is None else self._least(memory)
            if least is None or least in self.pool.pinned:
                memory.check_room(name)
                return
            await self.pool.unload(least)
            self.metrics.unloaded(least, "room")
            self._say("unload", least, f"makes room for {name}")

    async def _load(self, load: Load) -> None:
        assert self.schedule is not None
        name = load.model
        try:
            for leaving in load.unload:
                await self.pool.unload(leaving)
                self.metrics.unloaded(leaving, "room")
                self._say("unload", leaving, f"makes room for {name}")
            began_s = self.clock()
            worth = self.schedule.stats().waiting[name]
            self.schedule.loaded(name, await self.pool.load(name))
            cost = self.schedule.costs[name]
            self.metrics.loaded(name, "schedule", self.clock() - began_s)
            # One that took long on a busy machine is not believed at once.
            load_s = cost.load_s + _BELIEVED * (self.clock() - began_s - cost.load_s)
            self.schedule.costs[name] = replace(cost, load_s=load_s)
            self._say("load", name, f"loaded, as a run on all streams that wait for it prevents {worth:.3g} losses")
        except (InfilinkError, OSError) as error:
            self.metrics.load_failed(name)
            self._log_failure(name, f"{name} can't be loaded: {error} (it is tried again; logged once until it works)")
            self._rest_until_s[name] = self.clock() + RETRY_S

    def _say(self, kind: str, name: str, why: str) -> None:
        self.why[name] = why
        self.journal(kind, name, why)
        logger.info("%s: %s", name, why)

    def _log_failure(self, name: str, text: str) -> None:
        if name not in self._failing:
            logger.warning("%s", text)
        self._failing.add(name)

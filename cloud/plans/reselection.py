"""Re-selection at work: some inputs are shown to every model, and now and then the plan is looked at anew."""

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ...errors import InfilinkError
from ...links.graph import LinkGraph
from ...links.planning.options import PlanOptions
from ...links.planning.plan import Plan
from ...links.planning.planner import plan_problem
from ...links.reselection.context import ActivityMeter, Groups, context_of
from ...links.reselection.contexts import Contexts
from ...links.reselection.profile import Profiler
from ...links.reselection.review import Review, review
from ...links.table import Table
from ...models.cost import ModelCost
from ...outputs import Array
from ..config import CloudConfig

logger = logging.getLogger(__name__)

_MOST_WAITING = 64
_SAMPLES = 16
ANSWER_S = 5.0
"""How often it is chosen anew by which way each model is answered for; plans are looked at more seldom."""


@dataclass(frozen=True)
class Sample:
    """An input, and what was said of it; its frame is held only while it waits for models that did not fit.

    Attributes:
        stream: whose it is.
        captured_s: when it was captured.
        frame: what the models see.
        exact: the outputs of those that ran.
    """

    stream: "Watched"
    captured_s: float
    frame: Array
    exact: Mapping[str, Array]


@dataclass
class Watched:
    """What is known of one stream.

    Attributes:
        group: of its device.
        profiler: compares what links say with what models said on it.
        activity: how much goes on in it.
        last: each model's last exact output.
    """

    group: str
    profiler: Profiler
    activity: ActivityMeter = field(default_factory=ActivityMeter)
    last: dict[str, Array] = field(default_factory=dict)


class Reselection:
    """Collects what inputs show, and compares plans. Everything it counts is touched by one thread of its own.

    Args:
        config: the period, the share of inputs that are profiled, the groups.
        graph: the links.
        costs: what the models cost.
        budget_bytes: the memory they may use.
        seed: of the lots.
    """

    def __init__(
        self, config: CloudConfig, graph: LinkGraph, costs: Mapping[str, ModelCost], budget_bytes: int, *, seed: int = 0
    ) -> None:
        self.config = config
        self.graph = graph
        self.costs = dict(costs)
        self.budget_bytes = budget_bytes
        self.profiled = 0
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self._groups = Groups(config.groups)
        self._contexts = Contexts(graph.tables)
        self._taken = 0
        self._random = random.Random(seed)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reselection")
        # Taken by the event loop, given back by the thread.
        self._room_to_wait = threading.BoundedSemaphore(_MOST_WAITING)

    def watch(self, device: str) -> Watched:
        """What to give to `came` for a stream of that device."""
        return Watched(self._groups.of(device), Profiler(self.graph))

    def profile(self, plan: Plan) -> tuple[str, ...] | None:
        """The models to run on the next input beside the residents, each that fits there; None: no profile of it."""
        if self._random.random() >= self.config.profile:
            return None
        self.profiled += 1
        room = self._room(plan.resident)
        return tuple(name for name in self._others(plan) if self.costs[name].memory_bytes <= room)

    def came(self, sample: Sample, plan: Plan, *, profiled: bool) -> None:
        """Takes what the models said of an input, in the order of its stream.

        A model that had its turn shows how its answers would have been just before; residents need no other's answer
        for theirs, and are judged on profiled inputs alone, for the plans in which they would not run. A profiled input
        waits for `complete` if a model could not run on it.
        """
        if profiled and self.absent(plan):
            self._samples.append(sample)
            return
        judged = tuple(name for name in sample.exact if profiled or name not in plan.resident)
        self._submit(sample, judged, thorough=profiled)

    def absent(self, plan: Plan) -> tuple[str, ...]:
        """The models that do not fit beside the residents, though they would alone, the largest first."""
        room = self._room(plan.resident)
        sizes = {name: self.costs[name].memory_bytes for name in self._others(plan)}
        found = [name for name, size_bytes in sizes.items() if room < size_bytes <= self.budget_bytes]
        return tuple(sorted(found, key=lambda name: (-sizes[name], name)))

    def aside(self, plan: Plan) -> tuple[str, ...]:
        """The residents that have to step aside, for a moment, so that each absent model fits in its turn."""
        needed = max((self.costs[name].memory_bytes for name in self.absent(plan)), default=0)
        staying = sorted(plan.resident, key=lambda name: self.costs[name].memory_bytes)
        while staying and self._room(staying) < needed:
            staying.pop()
        return tuple(name for name in plan.resident if name not in staying)

    def waiting(self, *, at_least: int = _SAMPLES) -> tuple[Sample, ...]:
        """The inputs that wait for absent models, if there are so many; each is given once."""
        if len(self._samples) < at_least:
            return ()
        samples = tuple(self._samples)
        self._samples.clear()
        return samples

    def complete(self, sample: Sample, outputs: Mapping[str, Array]) -> None:
        """Takes what absent models said of an input that waited."""
        exact = {**sample.exact, **outputs}
        self._submit(replace(sample, exact=exact), tuple(exact), thorough=True)

    async def tables(self) -> dict[str, Table]:
        """What each way to answer reaches now, for the contexts that came in."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._contexts.tables)

    async def learnt(self) -> dict[str, Array] | None:
        """What was seen and is not forgotten, to be kept on disk; None: nothing came since this was last asked."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._learnt)

    def restore(self, learnt: Mapping[str, Array]) -> None:
        """Goes on from what `learnt` gave; call it before the first input comes.

        Raises:
            KeyError, ValueError: it is of other links.
        """
        self._contexts.restore(learnt)

    async def review(self, plan: Plan) -> Review:
        """Compares a plan with the best one for the inputs that came since the last review."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._review, plan)

    def close(self) -> None:
        """Ends its thread; closing twice is fine."""
        self._thread.shutdown(cancel_futures=True)

    def _others(self, plan: Plan) -> list[str]:
        return [name for name in self.graph.models if name not in plan.resident]

    def _room(self, residents: Iterable[str]) -> int:
        return self.budget_bytes - sum(self.costs[name].memory_bytes for name in residents)

    def _submit(self, sample: Sample, judged: tuple[str, ...], *, thorough: bool) -> None:
        if self._room_to_wait.acquire(blocking=False):
            self._thread.submit(self._take, sample, judged, thorough, time.time())

    def _take(self, sample: Sample, judged: tuple[str, ...], thorough: bool, now_s: float) -> None:
        self._room_to_wait.release()
        stream = sample.stream
        try:
            for name, value in sample.exact.items():
                if name in stream.last:
                    stream.activity.add(self.graph.models[name].output.agreement(value, stream.last[name]))
                stream.last[name] = value
            context = context_of(stream.group, stream.activity.activity, now_s)
            self._contexts.came(context)
            self._taken += 1
            if judged:
                seen = stream.profiler.observe(sample.captured_s, sample.exact, targets=judged, thorough=thorough)
                self._contexts.observe(context, seen)
        except InfilinkError as error:
            logger.warning("an input is not counted for the next plan: %s", error)
        except Exception:
            logger.exception("an input is not counted for the next plan")

    def _learnt(self) -> dict[str, Array] | None:
        taken, self._taken = self._taken, 0
        return self._contexts.as_arrays() if taken else None

    def _review(self, plan: Plan) -> Review:
        options = PlanOptions(input_every_s=self.config.input_every_s)
        problem = plan_problem(self.costs, self._contexts.tables(), self.budget_bytes, options=options)
        found = review(problem, self.costs, plan, period_s=self.config.reselect_s)
        self._contexts.forget()
        return found

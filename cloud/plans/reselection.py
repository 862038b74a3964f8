"""Re-selection: every model runs on a sample of the inputs, and the plan is reviewed from time to time."""

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
"""How often each model's way of being predicted is chosen again; plans are reviewed less often."""


@dataclass(frozen=True)
class Sample:
    """An input and its models' outputs; the frame is kept only while it waits for models that did not fit.

    Attributes:
        stream: the stream of the input.
        captured_s: when it was captured.
        frame: the models' input.
        exact: the outputs of the models that ran.
        features: what the links' stem makes of it; None: nobody looked.
    """

    stream: "Watched"
    captured_s: float
    frame: Array
    exact: Mapping[str, Array]
    features: Array | None = None


@dataclass
class Watched:
    """The state of re-selection for one stream.

    Attributes:
        group: the group of its device.
        profiler: compares the links' predictions with the models' outputs.
        activity: measures how much the outputs change.
        last: each model's last exact output.
    """

    group: str
    profiler: Profiler
    activity: ActivityMeter = field(default_factory=ActivityMeter)
    last: dict[str, Array] = field(default_factory=dict)


class Reselection:
    """Observes the outputs of models and compares plans, in one thread of its own.

    Args:
        config: the period, the share of inputs that are profiled, the groups.
        graph: the links.
        costs: each model's cost.
        budget_bytes: the memory that the models may use.
        seed: seeds the random draw of the inputs that are profiled.
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
        # Acquired by the event loop, released by the thread.
        self._waiting_slots = threading.BoundedSemaphore(_MOST_WAITING)

    def watch(self, device: str) -> Watched:
        """The state for a stream of that device, to be part of each of its samples."""
        return Watched(self._groups.of(device), Profiler(self.graph))

    def profile(self, plan: Plan) -> tuple[str, ...] | None:
        """The models to run on the next input beside the residents, each that fits; None: it is not profiled."""
        if self._random.random() >= self.config.profile:
            return None
        self.profiled += 1
        free_bytes = self._free_bytes(plan.resident)
        return tuple(name for name in self._others(plan) if self.costs[name].memory_bytes <= free_bytes)

    def observe(self, sample: Sample, plan: Plan, *, profiled: bool) -> None:
        """Observes an input's outputs; inputs of a stream come in order.

        A rotating model that had its turn shows how good its prediction was just before. Residents are not predicted
        under this plan; they are compared on profiled inputs only, for the plans in which they would not run. A
        profiled input waits for `complete` if a model could not run on it.
        """
        if profiled and self.absent(plan):
            self._samples.append(sample)
            return
        judged = tuple(name for name in sample.exact if profiled or name not in plan.resident)
        self._submit(sample, judged, thorough=profiled)

    def absent(self, plan: Plan) -> tuple[str, ...]:
        """The models that fit the budget but not beside the residents, the largest first."""
        free_bytes = self._free_bytes(plan.resident)
        sizes = {name: self.costs[name].memory_bytes for name in self._others(plan)}
        found = [name for name, size_bytes in sizes.items() if free_bytes < size_bytes <= self.budget_bytes]
        return tuple(sorted(found, key=lambda name: (-sizes[name], name)))

    def displaced(self, plan: Plan) -> tuple[str, ...]:
        """The residents to unload while absent models run, so that each of these fits in its turn."""
        needed = max((self.costs[name].memory_bytes for name in self.absent(plan)), default=0)
        staying = sorted(plan.resident, key=lambda name: self.costs[name].memory_bytes)
        while staying and self._free_bytes(staying) < needed:
            staying.pop()
        return tuple(name for name in plan.resident if name not in staying)

    def waiting(self, *, at_least: int = _SAMPLES) -> tuple[Sample, ...]:
        """The inputs that wait for absent models, if there are at least so many; each is returned once."""
        if len(self._samples) < at_least:
            return ()
        samples = tuple(self._samples)
        self._samples.clear()
        return samples

    def complete(self, sample: Sample, outputs: Mapping[str, Array]) -> None:
        """Observes an input that waited, with the outputs of the absent models."""
        exact = {**sample.exact, **outputs}
        self._submit(replace(sample, exact=exact), tuple(exact), thorough=True)

    async def tables(self) -> dict[str, Table]:
        """How well each way of predicting a model does, weighted by the contexts of recent inputs."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._contexts.tables)

    async def state(self) -> dict[str, Array] | None:
        """The state to keep on disk; None: nothing was observed since the last call."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._state)

    def restore(self, state: Mapping[str, Array]) -> None:
        """Continues from what `state` returned; call it before the first input.

        Raises:
            KeyError, ValueError: it is of other links.
        """
        self._contexts.restore(state)

    async def review(self, plan: Plan) -> Review:
        """Compares a plan with the best one for the inputs since the last review."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._review, plan)

    def close(self) -> None:
        """Ends its thread; closing twice is fine."""
        self._thread.shutdown(cancel_futures=True)

    def _others(self, plan: Plan) -> list[str]:
        return [name for name in self.costs if name not in plan.resident]

    def _free_bytes(self, residents: Iterable[str]) -> int:
        return self.budget_bytes - sum(self.costs[name].memory_bytes for name in residents)

    def _submit(self, sample: Sample, judged: tuple[str, ...], *, thorough: bool) -> None:
        if self._waiting_slots.acquire(blocking=False):
            self._thread.submit(self._take, sample, judged, thorough, time.time())

    def _take(self, sample: Sample, judged: tuple[str, ...], thorough: bool, now_s: float) -> None:
        self._waiting_slots.release()
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
                seen = stream.profiler.observe(
                    sample.captured_s, sample.exact, features=sample.features, targets=judged, thorough=thorough
                )
                self._contexts.observe(context, seen)
        except InfilinkError as error:
            logger.warning("an input is not counted in the next review of the plan: %s", error)
        except Exception:
            logger.exception("an input is not counted in the next review of the plan")

    def _state(self) -> dict[str, Array] | None:
        taken, self._taken = self._taken, 0
        return self._contexts.as_arrays() if taken else None

    def _review(self, plan: Plan) -> Review:
        options = PlanOptions(input_every_s=self.config.input_every_s)
        problem = plan_problem(self.costs, self._contexts.tables(), self.budget_bytes, options=options)
        found = review(problem, self.costs, plan, period_s=self.config.reselect_s)
        self._contexts.forget()
        return found

"""The active plan: the one that all sessions are served by, and how it is replaced while inputs are answered."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ...errors import InfilinkError
from ...links.planning.plan import Plan
from ...links.serving import Serving
from ...links.table import Table
from ...outputs import Array
from ..runtime.rotation import Rotation
from ..runtime.scheduler import Scheduler
from .initial import InitialPlan
from .reselection import ANSWER_S, Reselection

logger = logging.getLogger(__name__)


class ActivePlan:
    """Serves all sessions by one plan, and switches to another.

    Args:
        current: the plan and the links to start with.
        scheduler: runs the models.
        rotation: loads them.
        servings: gives the links' state of every session there is now.

    Attributes:
        current: the plan and the links now.
        switches: how often the plan was switched.
    """

    def __init__(
        self,
        current: InitialPlan,
        scheduler: Scheduler,
        rotation: Rotation,
        servings: Callable[[], Iterable[Serving]],
    ) -> None:
        self.current = current
        self.scheduler = scheduler
        self.rotation = rotation
        self.servings = servings
        self.switches = 0

    async def switch(self, plan: Plan) -> None:
        """Switches to another plan, within the budget at every moment.

        Residents that leave are predicted before they may be unloaded; new ones run once they are loaded.

        Raises:
            InfilinkError: what `Worker.load` raises; the models that did load are resident then.
        """
        stay = tuple(name for name in self.current.plan.resident if name in plan.resident)
        leave = [name for name in self.current.plan.resident if name not in plan.resident]
        self.serve(replace(plan, resident=stay))
        for name in leave:
            await self.rotation.pool.unpin(name)
        for name in plan.resident:
            if name not in stay:
                await self.rotation.pool.pin(name)
                stay = (*stay, name)
                self.serve(replace(plan, resident=stay))
        self.switches += 1

    def serve(self, plan: Plan) -> None:
        """Serves all sessions by a plan from now on; its residents must be loaded."""
        self.current = replace(self.current, plan=plan)
        self.scheduler.plan = plan
        for serving in self.servings():
            serving.plan = plan

    def answer_by(self, tables: Mapping[str, Table]) -> None:
        """Predicts models that do not run by these tables from now on."""
        if self.current.graph is None:
            return
        graph = self.current.graph.with_tables(tables)
        self.current = replace(self.current, graph=graph)
        for serving in self.servings():
            serving.graph = graph

    async def _profile(self, reselection: Reselection, *, at_least: int | None) -> None:
        """Runs the models that do not fit beside the residents on the inputs that wait for them, one after another.

        Some residents are displaced meanwhile, and predicted.
        """
        plan = self.current.plan
        samples = reselection.waiting() if at_least is None else reselection.waiting(at_least=at_least)
        if not samples:
            return
        # Both are empty if the plan has changed since so that every model fits.
        displaced, absent = reselection.displaced(plan), reselection.absent(plan)
        self.serve(replace(plan, resident=tuple(name for name in plan.resident if name not in displaced)))
        for name in displaced:
            await self.rotation.pool.unpin(name)
        outputs: list[dict[str, Array]] = [{} for _ in samples]
        for name in absent:
            try:
                for sample, absent_outputs in zip(samples, outputs, strict=True):
                    if name not in sample.exact:
                        absent_outputs[name] = await self.rotation.infer(name, sample.frame)
            except InfilinkError as error:
                logger.warning("%s can't be profiled: %s", name, error)
        back = [name for name in plan.resident if name not in displaced]
        for name in displaced:
            try:
                await self.rotation.pool.pin(name)
                back.append(name)
            except InfilinkError as error:
                logger.warning("%s was displaced for profiling and can't be loaded again: %s", name, error)
        self.serve(replace(plan, resident=tuple(name for name in plan.resident if name in back)))
        for sample, absent_outputs in zip(samples, outputs, strict=True):
            reselection.complete(sample, absent_outputs)

    async def reselect(self, reselection: Reselection, *, period_s: float) -> None:
        """Reviews the plan once in every period, and how models are predicted more often, until cancelled.

        Args:
            reselection: what was observed since the last review.
            period_s: the time between two reviews.
        """
        reviewed_s = time.monotonic()
        while True:
            await asyncio.sleep(min(ANSWER_S, period_s))
            due = time.monotonic() - reviewed_s >= period_s
            try:
                await self._profile(reselection, at_least=1 if due else None)
                if not due:
                    self.answer_by(await reselection.tables())
                    continue
                reviewed_s = time.monotonic()
                found = await reselection.review(self.current.plan)
                logger.info("re-selection: %s", found.why)
                self.answer_by(found.tables)
                if found.switch:
                    await self.switch(found.plan)
            except InfilinkError as error:
                logger.warning("re-selection: %s; the plan is reviewed again in %g s", error, period_s)
            except Exception:
                logger.exception("re-selection failed; the plan is reviewed again in %g s", period_s)

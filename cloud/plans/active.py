"""The plan in service: put in the place of another, or looked at anew, while inputs are answered."""

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
from .initial import Planned
from .reselection import ANSWER_S, Reselection

logger = logging.getLogger(__name__)


class ActivePlan:
    """What runs now, for all sessions.

    Args:
        planned: the plan to begin with, and the links.
        scheduler: runs the models.
        rotation: loads them.
        servings: the links' state of every session there is now.

    Attributes:
        planned: the plan and the links as they are now.
        switches: how often another plan was put in service.
    """

    def __init__(
        self,
        planned: Planned,
        scheduler: Scheduler,
        rotation: Rotation,
        servings: Callable[[], Iterable[Serving]],
    ) -> None:
        self.planned = planned
        self.scheduler = scheduler
        self.rotation = rotation
        self.servings = servings
        self.switches = 0

    async def switch(self, plan: Plan) -> None:
        """Puts another plan in service, within the budget at every moment.

        Residents that leave are answered for before they go; those that come run from when they are loaded.

        Raises:
            InfilinkError: what `Worker.load` raises; then those that did load are resident.
        """
        stay = tuple(name for name in self.planned.plan.resident if name in plan.resident)
        leave = [name for name in self.planned.plan.resident if name not in plan.resident]
        self.serve(replace(plan, resident=stay))
        for name in leave:
            await self.rotation.room.release(name)
        for name in plan.resident:
            if name not in stay:
                await self.rotation.room.settle(name)
                stay = (*stay, name)
                self.serve(replace(plan, resident=stay))
        self.switches += 1

    def serve(self, plan: Plan) -> None:
        """Has all sessions served by another plan from now on; what it has resident must be loaded."""
        self.planned = replace(self.planned, plan=plan)
        self.scheduler.plan = plan
        for serving in self.servings():
            serving.plan = plan

    def answer_by(self, tables: Mapping[str, Table]) -> None:
        """Chooses from now on by these tables how models that do not run are answered for."""
        if self.planned.graph is None:
            return
        graph = self.planned.graph.with_tables(tables)
        self.planned = replace(self.planned, graph=graph)
        for serving in self.servings():
            serving.graph = graph

    async def _profile(self, reselection: Reselection, *, at_least: int | None) -> None:
        """Shows inputs that wait for it to the models that do not fit beside the residents, one after another.

        Some residents step aside for that long, and are answered for.
        """
        plan = self.planned.plan
        samples = reselection.waiting() if at_least is None else reselection.waiting(at_least=at_least)
        if not samples:
            return
        # None are, if the plan has changed since: then the inputs wait for nobody.
        aside, absent = reselection.aside(plan), reselection.absent(plan)
        self.serve(replace(plan, resident=tuple(name for name in plan.resident if name not in aside)))
        for name in aside:
            await self.rotation.room.release(name)
        outputs: list[dict[str, Array]] = [{} for _ in samples]
        for name in absent:
            try:
                for sample, said in zip(samples, outputs, strict=True):
                    if name not in sample.exact:
                        said[name] = await self.rotation.infer(name, sample.frame)
            except InfilinkError as error:
                logger.warning("%s can't be profiled: %s", name, error)
        back = [name for name in plan.resident if name not in aside]
        for name in aside:
            try:
                await self.rotation.room.settle(name)
                back.append(name)
            except InfilinkError as error:
                logger.warning("%s stepped aside and does not come back: %s", name, error)
        self.serve(replace(plan, resident=tuple(name for name in plan.resident if name in back)))
        for sample, said in zip(samples, outputs, strict=True):
            reselection.complete(sample, said)

    async def reselect(self, reselection: Reselection, *, period_s: float) -> None:
        """Looks at the plan once in every period, and more often at how models are answered for; never ends.

        Args:
            reselection: what was seen since.
            period_s: the time between two looks.
        """
        looked_s = time.monotonic()
        while True:
            await asyncio.sleep(min(ANSWER_S, period_s))
            due = time.monotonic() - looked_s >= period_s
            try:
                await self._profile(reselection, at_least=1 if due else None)
                if not due:
                    self.answer_by(await reselection.tables())
                    continue
                looked_s = time.monotonic()
                found = await reselection.review(self.planned.plan)
                logger.info("re-selection: %s", found.why)
                self.answer_by(found.tables)
                if found.switch:
                    await self.switch(found.plan)
            except InfilinkError as error:
                logger.warning("re-selection: %s; the next look at the plan is in %g s", error, period_s)
            except Exception:
                logger.exception("re-selection failed; the next look at the plan is in %g s", period_s)

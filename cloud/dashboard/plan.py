"""The plan page: who predicts whom, what is loaded and why, and what other budgets would change."""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...errors import InvalidInput, UnknownModel
from ...links.planning.plan import Plan
from ...units import parse_compute
from ..plans.what_if import MOST_STREAMS, Planned, Question, WhatIf, changes
from .access import Access
from .matrix import AGE, Measured, ages

if TYPE_CHECKING:
    from ..coordinator import Coordinator

_CHOICES = 40
_LEAST_CORES = 0.02


class PlanPage:
    """`/plan`, and what it asks for.

    Args:
        coordinator: whose plan.
        access: lets viewers in.
        render: makes a page of a template and its values.
    """

    def __init__(self, coordinator: "Coordinator", access: Access, render: Callable[..., Response]) -> None:
        self.coordinator = coordinator
        self.access = access
        self.render = render
        self._measured: tuple[Measured, ...] | None = None
        self._reading = asyncio.Lock()
        planned = Planned.of(coordinator.initial, coordinator.config)
        self._what_if = None if planned is None else WhatIf(planned)

    def routes(self) -> list[BaseRoute]:
        """Its addresses."""
        return [
            Route("/plan", self.access.page(self.show), methods=["GET"]),
            Route("/plan/state", self.access.data(self.state), methods=["GET"]),
            Route("/plan/what-if", self.access.data(self.answer), methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page.

        Raises:
            InvalidInput: there is no such age.
        """
        text, names = request.query_params.get("age", str(AGE)), ages()
        if not text.isdecimal() or int(text) >= len(names):
            raise InvalidInput(f"`age` is a number from 0 to {len(names) - 1}, not {text[:20]!r}")
        served = self.coordinator.repository.digests
        return self.render(
            "plan.html.j2",
            here="plan",
            ages=names,
            age=int(text),
            tables=[each.table(int(text), served) for each in await self._read()],
            models=self.coordinator.config.models.name,
            answers=self.coordinator.config.answers,
            start=json.dumps({"state": self._state(), "sliders": self._sliders()}, separators=(",", ":")),
            plans=self._what_if is not None,
        )

    async def state(self, request: Request) -> Response:
        """What is loaded now, and why."""
        return JSONResponse(self._state())

    async def answer(self, request: Request) -> Response:
        """What would be chosen under other budgets, beside what is under those of now.

        Raises:
            UnknownModel: this coordinator does not plan.
            InvalidInput: the budgets make no sense, or hold no model.
            Overloaded: too many ask.
        """
        if self._what_if is None:
            raise UnknownModel("plan")
        asked = request.query_params
        memory = asked.get("memory", "")
        if memory and (not memory.isdecimal() or len(memory) > 18):
            raise InvalidInput(f"`memory` is a number of bytes; without it there is no limit; not {memory[:20]!r}")
        streams = asked.get("streams", "1")
        if not streams.isdecimal() or len(streams) > 6:
            raise InvalidInput(f"`streams` is a whole number, not {streams[:20]!r}")
        question = Question(int(memory) if memory else None, _cores(asked.get("cores", "")), int(streams))
        before = await self._what_if.ask(self._now())
        after = await self._what_if.ask(question)
        return JSONResponse({"now": _plain(before), "then": _plain(after), "changes": changes(before, after)})

    async def _read(self) -> tuple[Measured, ...]:
        """All folders of links; read once, as links are at the start."""
        async with self._reading:
            if self._measured is None:
                folders = self.coordinator.config.link_folders
                self._measured = tuple([await asyncio.to_thread(Measured.read, folder) for folder in folders])
        return self._measured

    def _now(self) -> Question:
        """The budgets of now."""
        config, plan = self.coordinator.config, self.coordinator.initial.plan
        streams = len({s.key.name for s in self.coordinator.sessions.values() if s.connection is not None})
        return Question(plan.budget_bytes, parse_compute(config.compute), min(max(1, streams), MOST_STREAMS))

    def _sliders(self) -> dict[str, Any]:
        """What each slider chooses from, and where it is now."""
        if self._what_if is None:
            return {}
        now, planned = self._now(), self._what_if.planned
        sizes = [cost.memory_bytes for cost in planned.costs.values()]
        budgets = np.linspace(min(sizes), max(sum(sizes), now.budget_bytes or 0), _CHOICES).astype(int).tolist()
        full = now.streams * planned.inputs_per_s * sum(cost.infer_s for cost in planned.costs.values())
        cores = np.geomspace(_LEAST_CORES, max(2.0 * now.compute_cores, full, 1.0), _CHOICES)
        streams = range(1, min(MOST_STREAMS, max(16, 4 * now.streams)) + 1)
        return {
            "memory": {"choices": [*_with(budgets, now.budget_bytes), None], "now": now.budget_bytes},
            "cores": {
                "choices": _with([float(f"{value:.2g}") for value in cores], now.compute_cores),
                "now": now.compute_cores,
            },
            "streams": {"choices": [*streams], "now": now.streams},
            "inputs_per_s": round(planned.inputs_per_s, 2),
        }

    def _state(self) -> dict[str, Any]:
        """What is loaded now, and why."""
        site = self.coordinator
        plan, scheduler = site.initial.plan, site.scheduler
        stats = None if scheduler.schedule is None else scheduler.schedule.stats()
        running = scheduler.pool.queue.running
        rows = []
        for name in site.repository.specs:
            worker = site.workers.get(name)
            source = plan.served.get(name)
            budget = None if worker is None else site.pool.budget_of(name)
            rows.append(
                {
                    "name": name,
                    "state": "links answer for it" if worker is None else worker.stats().state,
                    "running": name in running,
                    "needs_bytes": 0 if budget is None else budget.need(name),
                    "place": "" if budget is None else budget.place,
                    "pinned": name in site.pool.pinned,
                    "runs": None if stats is None else stats.runs.get(name, 0),
                    "waiting": None if stats is None or worker is None else round(stats.waiting.get(name, 0.0), 3),
                    "keeping": None if stats is None or worker is None else round(stats.keeping.get(name, 0.0), 3),
                    "expected": None if source is None else round(source.expected_agreement, 3),
                    "answered": "" if source is None else source.why,
                    "refused": plan.refused.get(name, ""),
                    "why": scheduler.why.get(name, ""),
                }
            )
        return {
            "models": rows,
            "price": None if stats is None else round(stats.price, 4),
            "cores": None if stats is None else stats.compute_cores,
            "budgets": [
                {"place": each.place, "limit": each.limit_bytes, "reserved": each.reserved_bytes}
                for each in site.pool.budgets
            ],
            "expected": round(plan.expected_agreement, 4),
        }


def _with(choices: list[float], now: float | None) -> list[float]:
    """Choices in order, that of now among them."""
    return sorted({*choices, *([] if now is None else [now])})


def _cores(text: str) -> float:
    """Cores, of a query.

    Raises:
        InvalidInput: it is no number.
    """
    try:
        return float(text[:20])
    except ValueError:
        raise InvalidInput(f"`cores` is a number, not {text[:20]!r}") from None


def _plain(plan: Plan) -> dict[str, Any]:
    return {
        "agreement": round(plan.expected_agreement, 4),
        "gap": round(plan.gap, 4),
        "memory": plan.memory_bytes,
        "cores": round(plan.used_cores, 3),
        "models": {
            name: {
                "kept": "loaded" if name in plan.resident else "in turn" if name in plan.refresh_s else "not loaded",
                "origin": source.origin,
                "agreement": round(source.expected_agreement, 3),
                "why": source.why,
                "refused": plan.refused.get(name, ""),
            }
            for name, source in plan.served.items()
        },
    }

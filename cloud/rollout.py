"""Changes what is served while it is served: a new version of a model, a model that comes, a model that goes."""

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InfilinkError, InvalidInput, OutOfMemory
from ..models.cost import ModelCost
from ..models.inputs.form import InputForm
from .model_store import ServedModel
from .plans.fitting import without_models
from .sessions.admission import camera_name

if TYPE_CHECKING:
    from .coordinator import Coordinator

logger = logging.getLogger(__name__)

_TRIES = 3


class Rollout:
    """Each of these either happens as a whole, or leaves everything as it was and raises.

    Args:
        coordinator: whose models these are.
    """

    def __init__(self, coordinator: "Coordinator") -> None:
        self.coordinator = coordinator

    async def replace(self, model: ServedModel) -> None:
        """Serves another version of a model: loaded and warmed up before inputs go to it, while the old one drains.

        Where there is no room for both, the old one goes first, and answers are held meanwhile.

        Raises:
            InfilinkError: the new one can't be loaded; the old one goes on.
        """
        site, name = self.coordinator, model.name
        old = site.repository.models[name]
        if model.spec.serve != old.spec.serve:
            raise InvalidInput(f"{name}: `serve` was {old.spec.serve!r}: give the model another name")
        async with site.pool.changing:
            await self._swap(model, old)
        site.repository.put(model)
        if model.spec.output != old.spec.output or model.digest != old.digest:
            self._drop_links(name)
        if model.spec.output != old.spec.output:
            # What it says is of another type: who is connected was told the old one.
            self._renew_sessions(f"{name} answers otherwise now")
        elif any(bool(model.spec.fits(form)) != bool(old.spec.fits(form)) for form in self._forms()):
            self._renew_sessions(f"{name} looks at other inputs now")

    async def introduce(self, model: ServedModel) -> None:
        """Serves a model that was not there.

        Raises:
            InfilinkError: it can't be loaded.
        """
        site, name = self.coordinator, model.name
        if site.repository.tail is not None:
            raise InvalidInput(f"{name}: the second part of a model is served here, and no other beside it")
        if name in site.repository.specs:
            raise InvalidInput(f"{name}: the links answer for a model of that name: give it another")
        worker, place = site.machine.worker(model), site.machine.place(name)
        async with site.pool.changing:
            site.pool.introduce(name, worker, place=place)
            try:
                await site.scheduler.make_room(name)
                began_s = time.monotonic()
                await site.pool.load(name)
                load_s = time.monotonic() - began_s
                cost = await self._measured(model, load_s) if model.spec.serve == "site" else None
            except BaseException:
                await site.pool.remove(name)
                raise
        site.metrics.loaded(name, "operator", load_s)
        site.repository.put(model)
        if cost is not None:
            await self._serve_also(name, cost)

    async def withdraw(self, name: str) -> None:
        """Serves a model no more; what runs on it or waits for it is still answered.

        Raises:
            InvalidInput: links were learnt with it, or it is the only one.
        """
        site = self.coordinator
        if any(name in graph.digests for graph in site.initial.graphs):
            raise InvalidInput(f"{name}: the links were learnt with it: train links without it first")
        if len(site.repository.paths) == 1 and name in site.repository.paths:
            raise InvalidInput(f"{name}: is the only model")
        async with site.pool.changing:
            model = site.repository.models[name]
            site.repository.remove(name)
            self._serve_without(name)
            await site.pool.remove(name)
        site.metrics.unloaded(name, "operator")
        if model.spec.serve == "site":
            self._renew_sessions(f"{name} is gone")

    async def _swap(self, model: ServedModel, old: ServedModel) -> None:
        site, name = self.coordinator, model.name
        place = site.machine.place(name)
        worker = site.machine.worker(model)
        began_s = time.monotonic()
        try:
            await site.pool.replace(name, worker, place=place)
        except OutOfMemory:
            if name not in site.pool.queue.loaded:
                await site.scheduler.make_room(name)
                await site.pool.replace(name, site.machine.worker(model), place=place)
            else:
                await self._swap_in_turn(model, old)
        site.metrics.loaded(name, "update", time.monotonic() - began_s)

    async def _swap_in_turn(self, model: ServedModel, old: ServedModel) -> None:
        """The old one goes, the new one comes; if it does not, the old one comes back."""
        site, name = self.coordinator, model.name
        logger.info("%s: there is no room for both versions: the old one goes first", name)
        await site.pool.unload(name)
        try:
            await site.pool.change(name, site.machine.worker(model))
            await site.pool.load(name)
        except InfilinkError:
            await site.pool.change(name, site.machine.worker(old))
            await site.pool.load(name)
            raise

    def _forms(self) -> list[InputForm]:
        """What is sent to this site."""
        return [session.form for session in self.coordinator.sessions.values()]

    def _drop_links(self, name: str) -> None:
        """Links were learnt with another file: they say nothing of this one."""
        site = self.coordinator
        known = site.initial.links_of(name)
        if known is None or name not in known.digests:
            return
        logger.warning("%s: another file than the links were learnt with: it is answered without them", name)
        graphs = tuple(without_models(graph, {name}) if graph is known else graph for graph in site.initial.graphs)
        site.initial = replace(site.initial, graphs=graphs)
        for session in site.sessions.values():
            links, _ = site.initial.links_for(session.form, session.serving.models)
            if session.serving.graph is not None:
                session.serving.graph = None if links is None else links.camera(camera_name(session.key))
                site.join(session)

    async def _serve_also(self, name: str, cost: ModelCost) -> None:
        """Inputs may go to a model that came: those of streams that begin from now on."""
        site = self.coordinator
        initial, plan = site.initial, site.initial.plan
        if site.schedule is None and initial.placement is None:
            plan = replace(plan, resident=(*plan.resident, name))
        site.initial = replace(initial, plan=plan, costs={**initial.costs, name: cost})
        self._renew_schedule()
        if site.learned is not None:
            await site.save_learned()
            site.learned = site.learned.renewed(tuple(site.repository.specs))
            self._renew_sessions(f"{name} is there, too")

    def _serve_without(self, name: str) -> None:
        """No input goes to a model any more."""
        site = self.coordinator
        initial = site.initial
        plan = replace(initial.plan, resident=tuple(each for each in initial.plan.resident if each != name))
        costs = {each: cost for each, cost in initial.costs.items() if each != name}
        site.initial = replace(initial, plan=plan, costs=costs)
        self._renew_schedule()

    def _renew_schedule(self) -> None:
        site = self.coordinator
        if site.schedule is None:
            return
        costs = {name: site.schedule.costs.get(name) or site.initial.costs[name] for name in site.repository.paths}
        site.schedule = site.scheduler.schedule = site.make_schedule(costs)
        for session in site.sessions.values():
            site.join(session)

    def _renew_sessions(self, why: str) -> None:
        """Has every device connect anew and be told what is served now; what was not answered yet it sends again."""
        site = self.coordinator
        logger.info("%s: devices are asked to connect anew", why)
        for key, session in [*site.sessions.items()]:
            if session.connection is not None:
                session.connection.stop()
            if site.schedule is not None:
                site.schedule.leave(key)
        site.sessions.clear()

    async def _measured(self, model: ServedModel, load_s: float) -> ModelCost:
        """What a model costs that was just loaded."""
        name, pool, times = model.name, self.coordinator.pool, []
        value = model.spec.fed.samples()[0]
        for _ in range(_TRIES):
            inferred = await pool.queue.run(name, value)
            assert inferred is not None, "it was just loaded"
            times.append(inferred.infer_s)
        return ModelCost(pool.budget_of(name).need(name), float(np.median(times)), load_s)

"""The coordinator: owns the models' processes, the plan and the sessions; what the services stand on."""

import asyncio
import json
import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from .. import __version__
from ..errors import InfilinkError, Overloaded, UnknownModel
from ..filters.partition.process import TailProcess
from ..links.escalation import Escalation
from ..links.graph import LinkGraph
from ..links.index import INDEX
from ..links.planning.plan import Plan
from ..links.serving import Serving
from ..links.table import Table
from ..models import digest
from ..outputs import Array
from ..process import ModelCost, ModelProcess
from ..protos import edge_pb2
from .config import CloudConfig
from .given import check_local
from .learnt import Learnt
from .ledger import Ledger
from .memory import MemoryBudget
from .placed import check_device
from .planning import Planned, make_planned
from .repository import Repository
from .reselection import ANSWER_S, Reselection
from .room import Room
from .rotation import Rotation
from .scheduler import Scheduler
from .session import Session, SessionKey
from .stream import DeviceStream, StreamCounts
from .worker import Worker

logger = logging.getLogger(__name__)

_SAMPLE_EVERY_S = 0.25
_KEEP_EVERY_S = 10.0


class Coordinator:
    """Everything but the network; `start` it, or use it as an async context manager."""

    def __init__(self, config: CloudConfig) -> None:
        self.config = config
        self.stopping = False
        self.counts = StreamCounts()
        self.sessions: OrderedDict[SessionKey, Session] = OrderedDict()
        self.repository = Repository.open(config.models)
        self.ledger = Ledger(config.ledger, rows=config.ledger_rows)
        self._optimized = tempfile.TemporaryDirectory(prefix="infilink-")
        self.workers = {
            name: Worker(
                name,
                path,
                threads=config.threads,
                infer_timeout_s=config.infer_timeout_s,
                optimized=Path(self._optimized.name) / f"{name}.onnx",
                kind=TailProcess if self.repository.tail else ModelProcess,
            )
            for name, path in self.repository.paths.items()
        }
        self.learnt: Learnt | None = None
        self.reselection: Reselection | None = None
        self.switches = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._started = time.monotonic()

    async def start(self) -> None:
        """Plans and loads the resident models.

        Raises:
            InvalidInput: the models, the links and the budget do not go together.
        """
        self.planned: Planned = await make_planned(self.config, self.repository)
        plan, costs = self.planned.plan, self.planned.costs
        self.memory = MemoryBudget(plan.budget_bytes, {name: cost.memory_bytes for name, cost in costs.items()})
        self.rotation = Rotation(Room(self.workers, self.memory))
        escalation = Escalation(costs, self.config.escalate) if self.config.escalate else None
        self.scheduler = Scheduler(plan, self.workers, self.rotation, escalation)
        for name in plan.resident:
            await self.rotation.room.settle(name)
            await self._sample()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self.rotation.run())]
        graph = self.planned.graph
        if graph is not None and self.config.links is not None:
            links = digest(self.config.links / INDEX)
            self.learnt = Learnt(self.config.ledger, links, devices=2 * self.config.max_devices)
            self._tasks.append(asyncio.create_task(self._keep_learnt(self.learnt)))
        # What was placed stays.
        budget_bytes = plan.budget_bytes if self.planned.placement is None else None
        if graph is not None and budget_bytes is not None and self.config.reselect_s > 0:
            self.reselection = self._open_reselection(graph, costs, budget_bytes)
            self._tasks.append(asyncio.create_task(self._reselect(self.reselection)))
        logger.info("resident: %s; rotating: %s", ", ".join(plan.resident), ", ".join(plan.rotating) or "none")

    def _open_reselection(self, graph: LinkGraph, costs: Mapping[str, ModelCost], budget_bytes: int) -> Reselection:
        reselection = Reselection(self.config, graph, costs, budget_bytes)
        known = self.learnt.contexts() if self.learnt is not None else None
        if known is not None:
            try:
                reselection.restore(known)
            except (KeyError, ValueError) as error:
                logger.warning("what was learnt of contexts is not of these links (%s) and begins anew", error)
        return reselection

    def welcome(self, session: Session) -> edge_pb2.Welcome:
        """What a device is greeted with."""
        return edge_pb2.Welcome(
            version=__version__,
            specs={name: spec.model_dump_json(exclude_defaults=True) for name, spec in self.repository.specs.items()},
            plan=json.dumps(asdict(session.serving.plan)),
            max_in_flight=self.config.max_in_flight,
            local=sorted(session.local),
        )

    def open_session(self, hello: edge_pb2.Hello) -> Session:
        """The session a Hello names: a new one, or the one whose connection broke.

        Raises:
            UnknownModel: it wants a model that is not here.
            InvalidInput: it runs a model that is not here, or not as the placement says.
            Overloaded: there are `max_devices` already.
        """
        for name in hello.models:
            if name not in self.repository.paths:
                raise UnknownModel(name, tuple(self.repository.paths))
        check_local(hello.local, self.repository, device=hello.device)
        check_device(self.planned.placement, hello.device_class, hello.local)
        key = SessionKey(hello.device, hello.session)
        session = self.sessions.get(key)
        if session is None:
            self._make_room()
            plan, local = self.planned.plan_for(hello.device_class), dict(hello.local)
            live = self.learnt.trust(hello.device) if self.learnt is not None else None
            serving = Serving(self.planned.graph, plan, models=self.repository.specs, local=local, live=live)
            watched = self.reselection.watch(hello.device) if self.reselection is not None else None
            session = self.sessions[key] = Session(key, serving, tuple(hello.models), local, watched=watched)
        self.sessions.move_to_end(key)
        return session

    def stream(self, session: Session) -> DeviceStream:
        """What serves a session's new connection."""
        return DeviceStream(
            self.config, self.repository, self.scheduler, self.ledger, session, self.counts, self.reselection
        )

    def stop(self) -> None:
        """Lets every stream finish what it has begun; the rest is left to the devices."""
        self.stopping = True
        for session in self.sessions.values():
            if session.connection is not None:
                session.connection.stop()

    def _make_room(self) -> None:
        """Forgets the sessions that ended longest ago; those that are connected stay."""
        idle = [key for key, session in self.sessions.items() if session.connection is None]
        if len(self.sessions) - len(idle) >= self.config.max_devices:
            raise Overloaded(f"{self.config.max_devices} devices are connected already (`max_devices`)")
        for key in idle[: max(0, len(self.sessions) + 1 - 2 * self.config.max_devices)]:
            self.rotation.forget(key)
            del self.sessions[key]

    async def switch(self, plan: Plan) -> None:
        """Puts another plan in service, within the budget at every moment.

        Residents that leave are answered for before they go; those that come run from when they are loaded.

        Raises:
            InfilinkError: what `Worker.load` raises; then those that did load are resident.
        """
        stay = tuple(name for name in self.planned.plan.resident if name in plan.resident)
        leave = [name for name in self.planned.plan.resident if name not in plan.resident]
        self._serve(replace(plan, resident=stay))
        for name in leave:
            await self.rotation.room.release(name)
        for name in plan.resident:
            if name not in stay:
                await self.rotation.room.settle(name)
                stay = (*stay, name)
                self._serve(replace(plan, resident=stay))
        self.switches += 1

    def _serve(self, plan: Plan) -> None:
        self.planned = replace(self.planned, plan=plan)
        self.scheduler.plan = plan
        for session in self.sessions.values():
            session.serving.plan = plan

    def _answer_by(self, tables: Mapping[str, Table]) -> None:
        """Chooses from now on by these tables how models that do not run are answered for."""
        if self.planned.graph is None:
            return
        graph = self.planned.graph.with_tables(tables)
        self.planned = replace(self.planned, graph=graph)
        for session in self.sessions.values():
            session.serving.graph = graph

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
        self._serve(replace(plan, resident=tuple(name for name in plan.resident if name not in aside)))
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
        self._serve(replace(plan, resident=tuple(name for name in plan.resident if name in back)))
        for sample, said in zip(samples, outputs, strict=True):
            reselection.complete(sample, said)

    async def _reselect(self, reselection: Reselection) -> None:
        """Looks at the plan once in every period, and more often at how models are answered for."""
        period_s, looked_s = self.config.reselect_s, time.monotonic()
        while True:
            await asyncio.sleep(min(ANSWER_S, period_s))
            due = time.monotonic() - looked_s >= period_s
            try:
                await self._profile(reselection, at_least=1 if due else None)
                if not due:
                    self._answer_by(await reselection.tables())
                    continue
                looked_s = time.monotonic()
                found = await reselection.review(self.planned.plan)
                logger.info("re-selection: %s", found.why)
                self._answer_by(found.tables)
                if found.switch:
                    await self.switch(found.plan)
            except InfilinkError as error:
                logger.warning("re-selection: %s; the next look at the plan is in %g s", error, period_s)
            except Exception:
                logger.exception("re-selection failed; the next look at the plan is in %g s", period_s)

    async def _keep_learnt(self, learnt: Learnt) -> None:
        """Keeps on disk what was learnt while serving, as long as the coordinator runs."""
        while True:
            await asyncio.sleep(_KEEP_EVERY_S)
            await self._keep(learnt)

    async def _keep(self, learnt: Learnt) -> None:
        contexts = await self.reselection.learnt() if self.reselection is not None else None
        trust = learnt.changed()
        if trust or contexts is not None:
            await asyncio.to_thread(learnt.keep, trust, contexts)

    async def close(self) -> None:
        """Ends every process; closing twice is fine."""
        for task in self._tasks:
            task.cancel()
        if self.learnt is not None:
            await self._keep(self.learnt)
            self.learnt.close()
            self.learnt = None
        if self.reselection is not None:
            self.reselection.close()
            self.reselection = None
        for worker in self.workers.values():
            await asyncio.to_thread(worker.close)
        self._optimized.cleanup()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ledger.close()

    def status(self) -> edge_pb2.StatusReply:
        """Everything that is counted."""
        plan, memory = self.planned.plan, self.memory.stats()
        models = []
        for name, worker in self.workers.items():
            models.append(edge_pb2.ModelStatus(name=name, **asdict(worker.stats())))
        return edge_pb2.StatusReply(
            version=__version__,
            models=models,
            budget_bytes=memory.limit_bytes or 0,
            memory_bytes=memory.memory_bytes,
            peak_bytes=memory.peak_bytes,
            budget_violations=memory.violations,
            memory_samples=memory.samples,
            inputs=self.counts.results,
            refused=self.counts.refused,
            repeated=self.counts.repeated,
            resident=plan.resident,
            refresh_s=plan.refresh_s,
            expected_agreement=plan.expected_agreement,
            devices=[
                edge_pb2.DeviceStatus(
                    name=session.key.device,
                    connected=session.connection is not None,
                    inputs=session.inputs,
                    report=session.report,
                    revoked=session.serving.live.revoked(),
                    audited=session.serving.live.audited,
                    local=sorted(session.local),
                )
                for session in self.sessions.values()
            ],
            uptime_s=time.monotonic() - self._started,
            escalated=self.scheduler.escalation.runs if self.scheduler.escalation is not None else 0,
            switches=self.switches,
            profiled=self.reselection.profiled if self.reselection is not None else 0,
        )

    async def _watch(self) -> None:
        """Measures what the models take, as long as the coordinator runs."""
        while True:
            await asyncio.sleep(_SAMPLE_EVERY_S)
            await self._sample()

    async def _sample(self) -> None:
        self.memory.sample(await asyncio.to_thread(self._measure))

    def _measure(self) -> dict[str, int]:
        """What each model's process takes; one after another, so that one that ended meanwhile does not count.

        Its place may be another's by then, and both were never there at once.
        """
        taken = {name: (worker.pid, worker.measure()) for name, worker in self.workers.items()}
        return {name: size for name, (pid, size) in taken.items() if size and self.workers[name].pid == pid}

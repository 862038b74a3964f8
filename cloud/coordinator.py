"""The coordinator: owns the models' processes, the plan and the sessions; what the services stand on."""

import asyncio
import json
import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from .. import __version__
from ..errors import Overloaded, UnknownModel
from ..links.escalation import Escalation
from ..links.graph import LinkGraph
from ..links.index import INDEX
from ..links.serving import Serving
from ..models.cost import ModelCost
from ..models.process import ModelProcess
from ..models.spec import digest
from ..models.split.parts import TailProcess
from ..models.supervisor import Supervisor
from ..protos import edge_pb2
from .config import CloudConfig
from .learned_state import Learnt
from .ledger import Ledger
from .plans.active import ActivePlan
from .plans.initial import make_planned
from .plans.reselection import Reselection
from .repository import Repository
from .runtime.memory import MemoryBudget
from .runtime.pool import Room
from .runtime.rotation import Rotation
from .runtime.scheduler import Scheduler
from .runtime.worker import Worker
from .sessions.admission import check_device, check_local
from .sessions.session import Session, SessionKey
from .sessions.stream import DeviceStream, StreamCounts

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
                Supervisor(
                    name,
                    path,
                    threads=config.threads,
                    optimized=Path(self._optimized.name) / f"{name}.onnx",
                    kind=TailProcess if self.repository.tail else ModelProcess,
                    infer_timeout_s=config.infer_timeout_s,
                    repeat=True,
                )
            )
            for name, path in self.repository.paths.items()
        }
        self.learnt: Learnt | None = None
        self.reselection: Reselection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.started = time.monotonic()

    async def start(self) -> None:
        """Plans and loads the resident models.

        Raises:
            InvalidInput: the models, the links and the budget do not go together.
        """
        planned = await make_planned(self.config, self.repository)
        plan, costs = planned.plan, planned.costs
        self.memory = MemoryBudget(plan.budget_bytes, {name: cost.memory_bytes for name, cost in costs.items()})
        self.rotation = Rotation(Room(self.workers, self.memory))
        escalation = Escalation(costs, self.config.escalate) if self.config.escalate else None
        self.scheduler = Scheduler(plan, self.workers, self.rotation, escalation)
        self.in_service = ActivePlan(
            planned, self.scheduler, self.rotation, lambda: (session.serving for session in self.sessions.values())
        )
        for name in plan.resident:
            await self.rotation.room.settle(name)
            await self._sample()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self.rotation.run())]
        graph = planned.graph
        if graph is not None and self.config.links is not None:
            links = digest(self.config.links / INDEX)
            self.learnt = Learnt(self.config.ledger, links, devices=2 * self.config.max_devices)
            self._tasks.append(asyncio.create_task(self._keep_learnt(self.learnt)))
        # What was placed stays.
        budget_bytes = plan.budget_bytes if planned.placement is None else None
        if graph is not None and budget_bytes is not None and self.config.reselect_s > 0:
            self.reselection = self._open_reselection(graph, costs, budget_bytes)
            self._tasks.append(
                asyncio.create_task(self.in_service.reselect(self.reselection, period_s=self.config.reselect_s))
            )
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
        check_device(self.in_service.planned.placement, hello.device_class, hello.local)
        key = SessionKey(hello.device, hello.session)
        session = self.sessions.get(key)
        if session is None:
            self._make_room()
            plan, local = self.in_service.planned.plan_for(hello.device_class), dict(hello.local)
            live = self.learnt.trust(hello.device) if self.learnt is not None else None
            serving = Serving(self.in_service.planned.graph, plan, models=self.repository.specs, local=local, live=live)
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

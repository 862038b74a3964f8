"""The coordinator: owns the models' processes, the plan and the sessions; services are built on it."""

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
from ..errors import Overloaded
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
from .learned_state import LearnedState
from .ledger import Ledger
from .plans.active import ActivePlan
from .plans.initial import make_initial_plan
from .plans.reselection import Reselection
from .repository import Repository
from .runtime.memory import MemoryBudget
from .runtime.pool import ModelPool
from .runtime.rotation import Rotation
from .runtime.scheduler import Scheduler
from .runtime.worker import Worker
from .sessions.admission import check_hello, feature_range
from .sessions.session import Session, SessionKey
from .sessions.stream import DeviceStream, StreamCounts

logger = logging.getLogger(__name__)

_SAMPLE_EVERY_S = 0.25
_SAVE_EVERY_S = 10.0


class Coordinator:
    """Everything but the network: `start` it, and `close` it in the end."""

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
        self.learned: LearnedState | None = None
        self.reselection: Reselection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.started = time.monotonic()

    async def start(self) -> None:
        """Makes the plan and loads the resident models.

        Raises:
            InvalidInput: the models, the links and the budget do not fit together.
        """
        initial = await make_initial_plan(self.config, self.repository)
        if initial.graph is not None:
            self.repository = self.repository.with_virtual(initial.graph.virtual)
        plan, costs = initial.plan, initial.costs
        self.memory = MemoryBudget(plan.budget_bytes, {name: cost.memory_bytes for name, cost in costs.items()})
        self.pool = ModelPool(self.workers, self.memory)
        self.rotation = Rotation(self.pool)
        escalation = Escalation(costs, self.config.escalate) if self.config.escalate else None
        self.scheduler = Scheduler(plan, self.workers, self.rotation, escalation)
        self.active = ActivePlan(
            initial, self.scheduler, self.rotation, lambda: (session.serving for session in self.sessions.values())
        )
        for name in plan.resident:
            await self.pool.pin(name)
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self.rotation.run())]
        graph = initial.graph
        if graph is not None and self.config.links is not None:
            links = digest(self.config.links / INDEX)
            self.learned = LearnedState(self.config.ledger, links, devices=2 * self.config.max_devices)
            self._tasks.append(asyncio.create_task(self._save_regularly(self.learned)))
        # A placement is made for all devices and stays.
        budget_bytes = plan.budget_bytes if initial.placement is None else None
        if graph is not None and budget_bytes is not None and self.config.reselect_s > 0:
            self.reselection = self._open_reselection(graph, costs, budget_bytes)
            self._tasks.append(
                asyncio.create_task(self.active.reselect(self.reselection, period_s=self.config.reselect_s))
            )
        logger.info("resident: %s; rotating: %s", ", ".join(plan.resident), ", ".join(plan.rotating) or "none")

    def _open_reselection(self, graph: LinkGraph, costs: Mapping[str, ModelCost], budget_bytes: int) -> Reselection:
        reselection = Reselection(self.config, graph, costs, budget_bytes)
        known = self.learned.contexts() if self.learned is not None else None
        if known is not None:
            try:
                reselection.restore(known)
            except (KeyError, ValueError) as error:
                logger.warning("what was learned about contexts is not of these links (%s) and starts empty", error)
        return reselection

    def welcome(self, session: Session) -> edge_pb2.Welcome:
        """The answer to a device's Hello."""
        return edge_pb2.Welcome(
            version=__version__,
            specs={name: spec.model_dump_json(exclude_defaults=True) for name, spec in self.repository.specs.items()},
            plan=json.dumps(asdict(session.serving.plan)),
            max_in_flight=self.config.max_in_flight,
            local=sorted(session.local),
            digests=self.repository.digests,
            now_ns=time.time_ns(),
            features=None if session.features is None else session.features.as_message(),
        )

    def open_session(self, hello: edge_pb2.Hello) -> Session:
        """The session a Hello names: a new one, or the one whose connection broke.

        Raises:
            UnknownModel, InvalidInput: what `check_hello` raises.
            Overloaded: `max_devices` are connected already.
        """
        graph = self.active.current.graph
        check_hello(hello, self.repository, self.active.current.placement, None if graph is None else graph.stem)
        key = SessionKey(hello.device, hello.session)
        session = self.sessions.get(key)
        if session is None:
            self._forget_idle()
            plan, local = self.active.current.plan_for(hello.device_class), dict(hello.local)
            live = self.learned.trust(hello.device) if self.learned is not None else None
            serving = Serving(graph, plan, models=self.repository.specs, local=local, live=live)
            watched = self.reselection.watch(hello.device) if self.reselection is not None else None
            session = self.sessions[key] = Session(
                key, serving, tuple(hello.models), local, feature_range(hello, graph), watched=watched
            )
        self.sessions.move_to_end(key)
        return session

    def stream(self, session: Session) -> DeviceStream:
        """The stream for a new connection of a session."""
        return DeviceStream(
            self.config, self.repository, self.scheduler, self.ledger, session, self.counts, self.reselection
        )

    def stop(self) -> None:
        """Stops reading from all devices; inputs that were read are still answered."""
        self.stopping = True
        for session in self.sessions.values():
            if session.connection is not None:
                session.connection.stop()

    def _forget_idle(self) -> None:
        """Forgets the sessions that have been idle longest; those that are connected stay."""
        idle = [key for key, session in self.sessions.items() if session.connection is None]
        if len(self.sessions) - len(idle) >= self.config.max_devices:
            raise Overloaded(f"{self.config.max_devices} devices are connected already (`max_devices`)")
        for key in idle[: max(0, len(self.sessions) + 1 - 2 * self.config.max_devices)]:
            self.rotation.forget(key)
            del self.sessions[key]

    async def _save_regularly(self, learned: LearnedState) -> None:
        """Saves what was learned while serving, until cancelled."""
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            await self._save(learned)

    async def _save(self, learned: LearnedState) -> None:
        contexts = await self.reselection.state() if self.reselection is not None else None
        trust = learned.changed()
        if trust or contexts is not None:
            await asyncio.to_thread(learned.save, trust, contexts)

    async def close(self) -> None:
        """Ends every process; closing twice is fine."""
        for task in self._tasks:
            task.cancel()
        if self.learned is not None:
            await self._save(self.learned)
            self.learned.close()
            self.learned = None
        if self.reselection is not None:
            self.reselection.close()
            self.reselection = None
        for worker in self.workers.values():
            await asyncio.to_thread(worker.close)
        self._optimized.cleanup()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ledger.close()

    async def _watch(self) -> None:
        """Measures the models' memory, until cancelled."""
        while True:
            await asyncio.sleep(_SAMPLE_EVERY_S)
            await self.pool.sample()

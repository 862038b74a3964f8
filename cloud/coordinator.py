"""The coordinator: owns the models' processes, the plan and the sessions; services are built on it."""

import asyncio
import json
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial

from .. import __version__
from ..errors import InvalidInput, OutOfMemory, Overloaded
from ..links.graph import LinkGraph
from ..links.index import INDEX
from ..links.planning.plan import Plan
from ..links.scheduling.expected import expected_losses, linked_losses
from ..links.scheduling.loads import Memory
from ..links.scheduling.schedule import SiteSchedule
from ..links.serving import Serving
from ..models.cost import ModelCost
from ..models.inputs.form import InputForm
from ..models.providers import HOST
from ..models.spec import ModelSpec, digest
from ..protos import edge_pb2, wire
from ..protos.tracing import Tracing
from ..units import parse_compute
from .config import CloudConfig
from .deployments import Deployments
from .fleet.enrollment import Enrollment
from .fleet.filters import Filters
from .fleet.fleet import Fleet
from .learned_state import LearnedState
from .ledger.database import Database
from .ledger.ledger import Ledger
from .ledger.retention import Retention
from .metrics import Metrics
from .model_store import ModelStore
from .plans.initial import make_initial_plan
from .publishing.hub import Hub
from .publishing.publishers import keep_up, make_publishers
from .repository import Repository
from .runtime.input_pool import InputPool
from .runtime.machine import Machine
from .runtime.memory import MemoryBudget
from .runtime.meter import Meter
from .runtime.pool import ModelPool
from .runtime.run_queue import RunQueue
from .runtime.scaling import Scaling
from .runtime.scheduler import Scheduler
from .security.quotas import Quotas
from .sessions.admission import camera_name, check_hello, feature_range, fitting_models, form_of
from .sessions.answers import StreamCounts
from .sessions.backlog import Backlog
from .sessions.bounds import check_names
from .sessions.chains import takes_video
from .sessions.kept import Take
from .sessions.noting import Noting
from .sessions.session import REQUESTS, Session, SessionKey, session_key
from .sessions.stream import DeviceStream

logger = logging.getLogger(__name__)

_SAMPLE_EVERY_S = 0.25
_SAVE_EVERY_S = 10.0
_TIDY_EVERY_S = 60.0
# Inputs that are decoded while others run, beyond two for each processor.
_AHEAD = 4
# Whoever finds no place asks again so much later: soon after one that is silent may have to give way (`Places`).
_COMES_AGAIN_S = 5.0


class Coordinator:
    """Everything but the network: `start` it, and `close` it in the end.

    Args:
        config: its settings.
        meters: what measures cards, by the name of each; one that is not named is measured as its driver shows it.
    """

    def __init__(self, config: CloudConfig, *, meters: Mapping[str, Meter] | None = None) -> None:
        self.config = config
        self.stopping = False
        self.counts = StreamCounts()
        self.backlog = Backlog(config.max_waiting_bytes)
        self.quotas = Quotas(config.device_inputs_per_s, config.device_bytes_per_s, most=2 * config.max_devices)
        self.metrics = Metrics()
        self.tracing = None if config.trace_to is None else Tracing(config.trace_to, service="infilink-cloud")
        self.sessions: OrderedDict[SessionKey, Session] = OrderedDict()
        self.store = ModelStore(config.copies)
        self.repository = Repository.open(config.models, self.store)
        retention = Retention(keep_days=config.keep_days, keep_bytes=config.keep_bytes)
        self.ledger = Ledger(
            Database(config.ledger),
            retention=retention,
            when_full=config.full_disk,
            is_more_coming=lambda: self.backlog.size_bytes > 0,
        )
        self.noting = Noting(self.ledger, self.metrics, devices=config.max_devices)
        self.fleet = Fleet(self)
        self.enrollment = Enrollment(config, self.fleet)
        self.filters = Filters(self)
        self.hub = Hub()
        self.publishers = make_publishers(self.hub, config.mqtt, config.webhook)
        self.ledger.listeners.append(self.hub.publish)
        self.machine = Machine(config, meters=meters)
        is_tail = self.repository.tail is not None
        self.workers = {
            name: self.machine.worker(model, is_tail=is_tail) for name, model in self.repository.models.items()
        }
        self.deployments = Deployments(self)
        self.learned: LearnedState | None = None
        self.schedule: SiteSchedule | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.show: Take | None = None
        self.started = time.monotonic()

    async def start(self) -> None:
        """Makes the plan and loads the models that are resident at first.

        Raises:
            InvalidInput: the models, the links and the budget do not fit together.
        """
        self.initial = await make_initial_plan(self.config, self.repository, self.machine)
        plan, graph, costs = self.initial.plan, self.initial.graph, self.initial.costs
        if graph is not None:
            self.repository = self.repository.with_virtual(graph.virtual)
        at_once, cores = None, parse_compute(self.config.compute)
        fixed = frozenset(name for name, table in self.config.model.items() if table.processes)
        if self.config.answers != "full":
            at_once = math.ceil(cores / self.config.threads)
            self.schedule = self.make_schedule({name: costs[name] for name in self.repository.paths})
        places = {name: self.machine.place(name) for name in self.repository.models}
        needs = {name: cost.memory_bytes for name, cost in costs.items() if places.get(name, HOST) == HOST}
        for name, place in places.items():
            if place != HOST and name in costs:
                self.machine.cards[place].budget.learn(name, costs[name].memory_bytes)
        self.memory = MemoryBudget(self.initial.host_bytes, needs, first_bytes=self.config.reserve_of(HOST))
        self.pool = ModelPool(
            self.workers,
            self.memory,
            RunQueue(
                self.workers,
                at_once=at_once,
                inputs=InputPool(self.config.max_waiting_bytes),
                ahead=2 * math.ceil(cores) + _AHEAD,
                metrics=self.metrics,
            ),
            cards=self.machine.cards,
            places=places,
        )
        self.pool.pinned.update(name for name, table in self.config.model.items() if table.pinned)
        self.scheduler = Scheduler(
            self.pool,
            self.schedule,
            answer_within_s=self.config.answer_within_s,
            metrics=self.metrics,
            scaling=Scaling(self.pool, cores=cores, threads=self.config.threads, fixed=fixed),
            journal=lambda kind, model, why: self.ledger.journal(kind, why, model=model),
        )
        tensors = self.repository.tensors if self.schedule is None else ()
        for name in (*plan.resident, *tensors):
            if name in self.workers:
                await self._begin_with(name)
        self._tasks = [
            asyncio.create_task(self.scheduler.watch(every_s=_SAMPLE_EVERY_S)),
            asyncio.create_task(self._tidy_regularly()),
            *(asyncio.create_task(keep_up(name, each)) for name, each in self.publishers.items()),
        ]
        if self.schedule is not None:
            self._tasks.append(asyncio.create_task(self.scheduler.keep_loaded()))
        if graph is not None:
            links = "+".join(digest(folder / INDEX) for folder in self.config.link_folders)
            targets = tuple(self.repository.specs)
            self.learned = LearnedState(self.ledger.database, links, targets, devices=2 * self.config.max_devices)
            self._tasks.append(asyncio.create_task(self._save_regularly()))
        await asyncio.to_thread(self.deployments.clean)
        if self.config.watch_models_s:
            self._tasks.append(asyncio.create_task(self.deployments.watch(every_s=self.config.watch_models_s)))
        told = self.initial.told(self.schedule)
        logger.info("%s", told)
        self.ledger.journal("plan", told, data=asdict(plan))

    async def _begin_with(self, name: str) -> None:
        """Loads one of the models that the plan begins with."""
        try:
            began_s = time.monotonic()
            await self.pool.load(name)
            self.metrics.loaded(name, "plan", time.monotonic() - began_s)
            self.scheduler.why[name] = "the plan begins with it"
            self.ledger.journal("load", "the plan begins with it", model=name)
        except OutOfMemory as error:
            if self.schedule is None:
                raise
            # Those before it have grown beyond what was measured: the schedule says what is loaded from now on.
            self.scheduler.why[name] = f"the plan begins with it, but {error}"
            logger.info("%s", self.scheduler.why[name])

    def welcome(self, session: Session) -> edge_pb2.Welcome:
        """The answer to a device's Hello."""
        specs = {name: spec for name, spec in self.repository.specs.items() if name in session.serving.models}
        return edge_pb2.Welcome(
            version=__version__,
            # Only of models that look at the stream: an agent of before does not know what the others' specs say.
            specs={name: spec.model_dump_json(exclude_defaults=True) for name, spec in specs.items()},
            plan=json.dumps(asdict(session.plan)),
            max_in_flight=self.config.max_in_flight,
            local=sorted(session.local),
            digests=self.repository.digests,
            now_ns=time.time_ns(),
            wire=session.wire,
            modalities=sorted({spec.modality for spec in self.repository.specs.values()} - {""}),
            features=None if session.features is None else session.features.as_message(),
            encodings=[edge_pb2.ENCODING_H264] if takes_video(session.form, self.repository.tail) else [],
        )

    def open_session(self, hello: edge_pb2.Hello) -> Session:
        """The session a Hello names: a new one, or the one whose connection broke.

        Raises:
            Incompatible: it speaks another version of the wire.
            UnknownModel, InvalidInput: what `check_hello` raises.
            Overloaded: `max_devices` are connected already, or `max_streams` of its own.
        """
        spoken, form, key = self._agree(hello), form_of(hello), session_key(hello)
        session = self.sessions.get(key)
        if session is None:
            models, links = fitting_models(hello, form, self.repository, self.initial)
            self._forget_idle(key.device)
            session = self.sessions[key] = self._new_session(hello, form, models, links)
            self.join(session)
        elif session.form != form:
            before = session.form.model_dump_json(exclude_defaults=True)
            raise InvalidInput(f"`form`: {key.name} said another one before in this run: {before}")
        session.version, session.wire = hello.version, spoken
        self.sessions.move_to_end(key)
        return session

    def _new_session(
        self, hello: edge_pb2.Hello, form: InputForm, models: Mapping[str, ModelSpec], links: LinkGraph | None
    ) -> Session:
        key = session_key(hello)
        # Of a camera that the links were not learnt from, what all of theirs taught.
        graph = None if links is None else links.camera(camera_name(key))
        plan, local = self.initial.plan_for(hello.device_class), dict(hello.local)
        plan = replace(plan, resident=tuple(name for name in plan.resident if name in models))
        known = self.learned.of(key.name) if self.learned is not None else None
        # A schedule has nothing run always: every model's answers are worth being compared.
        always = plan if self.schedule is None else Plan(plan.budget_bytes, 0, ())
        serving = Serving(
            graph,
            always,
            models=models,
            local=local,
            live=None if known is None else known.trust,
            expectation=None if known is None else known.expectation,
        )
        return Session(
            key,
            serving,
            tuple(hello.models),
            form,
            local,
            feature_range(hello, graph, form),
            plan=plan,
            filter_wanted=self.filters.wanted,
            note=partial(self.noting.note, key.name),
        )

    async def recall(self, hello: edge_pb2.Hello) -> None:
        """Reads what was learned from a device beside the event loop, so that `open_session` has it at hand.

        Raises:
            Overloaded: it can't be read now.
            InfilinkError: what `open_session` refuses a Hello with.
        """
        self._agree(hello)
        key = session_key(hello)
        if self.learned is not None and key not in self.sessions:
            await self.learned.recall(key.name)

    def _agree(self, hello: edge_pb2.Hello) -> int:
        """The version of the wire to speak with whoever says this, once it is known that they can be served."""
        spoken = wire.agree(hello.wire, hello.wire_oldest, other=f"the device (infilink {hello.version or 'unknown'})")
        check_names(hello)
        check_hello(hello, self.repository, self.initial.placement, self.initial.stem_for(form_of(hello)))
        return spoken

    def make_schedule(self, costs: Mapping[str, ModelCost]) -> SiteSchedule:
        """A schedule of these models under the site's budgets; no stream has joined it."""
        budgets_bytes = {HOST: self.initial.host_bytes}
        budgets_bytes |= {card.place: card.models_bytes for card in self.machine.cards.values()}
        return SiteSchedule(
            costs,
            compute_cores=parse_compute(self.config.compute),
            budget_bytes=Memory(budgets_bytes, {name: self.machine.place(name) for name in costs}),
            weights=self.config.site_weights,
            audit=self.config.audit,
        )

    def join(self, session: Session) -> None:
        """A session's inputs are scheduled, if there is a schedule, by what its links are expected to lose."""
        graph = session.serving.graph
        if self.schedule is not None:
            fresh, linked = (None, None) if graph is None else (expected_losses(graph), linked_losses(graph))
            self.schedule.join(session.key, name=session.key.name, models=session.wants(), fresh=fresh, linked=linked)

    def stream(self, session: Session) -> DeviceStream:
        """The stream for a new connection of a session."""
        stream = DeviceStream(
            self.config,
            self.repository,
            self.scheduler,
            self.ledger,
            session,
            self.counts,
            self.metrics,
            backlog=self.backlog,
            decoders=self.machine.decoders,
            tracing=self.tracing,
            show=self.show,
        )
        for text in self._told_of_links(session):
            logger.info("%s: %s", session.key.name, text)
            stream.notify(text)
        return stream

    def _told_of_links(self, session: Session) -> Iterator[str]:
        """What whoever runs a device should know of the links that its stream is answered by."""
        links, why = self.initial.links_for(session.form, session.serving.models)
        if links is not None and links.cameras and not links.knows(camera_name(session.key)):
            yield f"the links know no camera {session.key.name!r}: it begins with what all of them taught"
        if why:
            yield f"it is answered without links: {why}"

    def stop(self) -> None:
        """Stops reading from all devices; inputs that were read are still answered."""
        self.stopping = True
        self.hub.close()
        for session in self.sessions.values():
            if session.connection is not None:
                session.connection.stop()

    def _forget_idle(self, device: str) -> None:
        """Forgets the sessions that have been idle longest, as a stream of a device comes; those connected stay."""
        idle = [key for key, session in self.sessions.items() if session.connection is None]
        streams = {key.stream for key, session in self.sessions.items() if key.device == device and session.connection}
        if len(streams) >= self.config.max_streams:
            text = f"places taken: {device} has {len(streams)} of {self.config.max_streams} streams already"
            raise Overloaded(f"{text}: raise `max_streams` in cloud.toml", retry_after_s=_COMES_AGAIN_S)
        if len(self.sessions) - len(idle) >= self.config.max_devices:
            most = self.config.max_devices
            text = f"places taken: {most} of {most} streams of devices are connected, and all use theirs"
            raise Overloaded(f"{text}: raise `max_devices` in cloud.toml", retry_after_s=_COMES_AGAIN_S)
        # Those of requests first, whose names may be invented: devices come back to theirs.
        idle.sort(key=lambda key: key.session != REQUESTS)
        for key in idle[: max(0, len(self.sessions) + 1 - 2 * self.config.max_devices)]:
            if self.schedule is not None:
                self.schedule.leave(key)
            del self.sessions[key]

    async def _tidy_regularly(self) -> None:
        """Deletes from the ledger what is not kept any longer, until cancelled."""
        while True:
            await self.ledger.tidy()
            await asyncio.sleep(_TIDY_EVERY_S)

    async def _save_regularly(self) -> None:
        """Saves what was learned while serving, until cancelled."""
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            await self.save_learned()

    async def save_learned(self) -> None:
        """Saves what was learned while serving."""
        in_use = {key.name for key in self.sessions}
        if self.learned is not None and (rows := self.learned.changed(in_use)):
            await asyncio.to_thread(self.learned.save, rows)

    async def close(self) -> None:
        """Ends every process; closing twice is fine."""
        for task in self._tasks:
            task.cancel()
        await self.save_learned()
        self.learned = None
        for worker in self.workers.values():
            await asyncio.to_thread(worker.close)
        self.machine.close()
        self.store.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ledger.close()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)

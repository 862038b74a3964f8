"""One device's stream: every input is answered once and in order; a repeated one from the ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from ...errors import DeadlineExceeded, InfilinkError, InvalidInput, ModelFailed, UnknownModel
from ...links.answer import Answer
from ...links.scheduling.schedule import Choice
from ...models.process_child import Inferred
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.tracing import InputTrace, Tracing, part, within
from ..config import CloudConfig
from ..ledger.ledger import Ledger
from ..metrics import Metrics
from ..repository import Repository
from ..runtime.input_pool import Held
from ..runtime.scheduler import Scheduler
from ..runtime.video_decoders import VideoDecoders
from ..security.text import for_outside
from .answers import StreamCounts, Superseded, output_message, reason_of, refused_message, result_message
from .asking import TIMEOUT_S, Asking
from .backlog import Backlog
from .entry import Admitted, Entry
from .inputs import read_score
from .kept import Keeper, Keeping, Take
from .looking import Executed, Looked, Looking
from .outgoing import Coming, Outgoing, Write
from .pace import Pace
from .session import Session

_PICTURED = ("image", "video")


@dataclass(frozen=True, slots=True)
class _Begun:
    """An input that is worked on."""

    message: edge_pb2.Input
    looked: "asyncio.Task[Looked]"
    size_bytes: int


# What has its answer is not kept until that is sent after those before it, but for its sequence.
_Pending = tuple[int, _Begun | edge_pb2.CoordinatorMessage]


class DeviceStream:
    """Serves one connection of one session, from the first Input to the end.

    Args:
        config: the limits.
        repository: the models' specs and digests.
        scheduler: runs the models.
        ledger: keeps every answer.
        session: the state that is kept between inputs.
        counts: counts the answers of all streams.
        metrics: measures what each stage takes.
        backlog: bounds what all streams have read and not answered.
        decoders: decode what is not decoded in this process.
        tracing: goes on with the traces of inputs; None: nobody looks at them.
        show: takes what was answered and kept, for whoever looks on; None: nobody does.
    """

    def __init__(
        self,
        config: CloudConfig,
        repository: Repository,
        scheduler: Scheduler,
        ledger: Ledger,
        session: Session,
        counts: StreamCounts,
        metrics: Metrics,
        backlog: Backlog,
        decoders: VideoDecoders,
        tracing: Tracing | None = None,
        show: Take | None = None,
    ) -> None:
        self.config = config
        self.repository = repository
        self.scheduler = scheduler
        self.ledger = ledger
        self.session = session
        self.counts = counts
        self.metrics = metrics
        self.backlog = backlog
        self.tracing = tracing
        self.stopped = False
        self.finished = asyncio.Event()
        self._notices: list[str] = []
        self._reader: asyncio.Task[None] | None = None
        # While it is full nothing is read, and gRPC's flow control stops the device.
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue(config.max_in_flight)
        # As many may wait for their answers to be kept and sent, instead.
        self._room = asyncio.Semaphore(config.max_in_flight + 1)
        self._tasks: set[asyncio.Task[Looked]] = set()
        self._looking = Looking(config, repository, scheduler, session, metrics, decoders)
        self._entry = Entry(scheduler, backlog, is_held=lambda: session.held)
        has_pictures, took = session.form.modality in _PICTURED, scheduler.pool.queue.answered
        self._keeper = Keeper(ledger, repository, metrics, session.key, has_pictures=has_pictures, took=took, show=show)
        self._pace = Pace(scheduler, is_stopped=lambda: self.stopped)
        self._unanswered_bytes = 0
        self._newest = -1
        self._asking = Asking()
        self._traces: dict[int, InputTrace] = {}

    async def run(self, messages: AsyncIterator[edge_pb2.DeviceMessage], write: Write) -> None:
        """Answers until the device ends the stream or `stop` is called.

        Args:
            messages: the device's messages after Hello.
            write: sends one message.

        Raises:
            InvalidInput: a message is neither Input, Frame nor Report.
        """
        outgoing = Outgoing(write, self._room.release)
        outgoing.notices = self._notices
        reader = asyncio.create_task(self._read(messages, outgoing))
        working, sending = asyncio.create_task(self._work(outgoing)), asyncio.create_task(outgoing.run())
        try:
            await asyncio.wait((working, sending), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
                outgoing.end()
            await sending
            if not self.stopped:
                await reader
        finally:
            for task in (reader, working, sending, *self._tasks):
                task.cancel()
            await asyncio.gather(working, sending, return_exceptions=True)
            outgoing.close()
            while not self._pending.empty():
                self._pending.get_nowait()
            self.backlog.remove(self._unanswered_bytes)
            self.finished.set()

    async def _work(self, outgoing: Outgoing) -> None:
        """Works on one input after another, as they are chosen for in their order."""
        while (pending := await self._pending.get()) is not None:
            sequence, work = pending
            trace = self._traces.pop(sequence, None)
            if isinstance(work, edge_pb2.CoordinatorMessage):
                outgoing.answer(work, trace)
                continue
            with within(trace):
                outgoing.answer(await self._answer(work.message, work.looked, outgoing.now), trace)
            self.backlog.remove(work.size_bytes)
            self._unanswered_bytes -= work.size_bytes
            del pending, work  # Else it stays until the next one comes.

    @property
    def waiting(self) -> int:
        """How many inputs that were read wait to be answered."""
        return self._pending.qsize()

    def stop(self) -> None:
        """Stops reading; inputs that were read are still answered."""
        if self.stopped:
            return
        self.stopped = True
        self._asking.end()
        if self._reader is not None:
            self._reader.cancel()

    def notify(self, text: str) -> None:
        """Has whoever runs the device told something, with the next answer."""
        self._notices.append(for_outside(text))

    async def _read(self, messages: AsyncIterator[edge_pb2.DeviceMessage], outgoing: Outgoing) -> None:
        # Known to `stop` only from here on: a task that is cancelled before its first step would not mark the end.
        self._reader = asyncio.current_task()
        try:
            if self.stopped:
                return
            async for message in messages:
                await self._take(message, outgoing)
                del message  # Else it stays until the next one comes.
        finally:
            await self._pending.put(None)

    async def _take(self, message: edge_pb2.DeviceMessage, outgoing: Outgoing) -> None:
        kind, size_bytes = message.WhichOneof("message"), message.ByteSize()
        self.metrics.received("edge", size_bytes)
        if kind == "input":
            await self._room.acquire()
            begun = await self._begin(message.input, size_bytes)
            if isinstance(begun, _Begun):
                await self.backlog.add(size_bytes)
                self._unanswered_bytes += size_bytes
            await self._pending.put((message.input.sequence, begun))
        elif kind == "report":
            self.session.take_report(message.report)
            if (wanted := self.session.wanted_filter()) is not None:
                await outgoing.now(wanted)
        elif kind == "frame":
            self._asking.take(message.frame)
        else:
            raise InvalidInput(f"after Hello come Input, Frame and Report, not {kind or 'an empty message'}")
        if (pause := self._entry.take_pause()) is not None:
            await outgoing.now(pause)

    async def _begin(self, message: edge_pb2.Input, size_bytes: int) -> _Begun | edge_pb2.CoordinatorMessage:
        """Starts to look at an input; returns the answer of one that is repeated, or that is not let in."""
        try:
            # First, as those after it refer to it.
            picture = self._looking.chains.take(message)
            known = await self._keeper.find(message)
        except InfilinkError as error:
            return self._refuse(message, error)
        self._newest = max(self._newest, message.sequence)
        if known is not None:
            self.counts.repeated += 1
            return known
        trace, check = self._trace(message), partial(self._check, message)
        try:
            admitted = self._looking.let_in(message, self._entry, check=check)
        except InfilinkError as error:
            return self._refuse(message, error)
        with within(trace):
            is_superseded = partial(self._is_superseded, message)
            look = self._looking.look(message, admitted, picture, check=check, is_superseded=is_superseded)
            task = asyncio.create_task(look)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, admitted))
        return _Begun(message, task, size_bytes)

    def _trace(self, message: edge_pb2.Input) -> InputTrace | None:
        """Goes on with the trace of an input, if there is one."""
        if self.tracing is None:
            return None
        key, sequence = self.session.key, message.sequence
        trace = self.tracing.follow(
            message.traceparent, "input", device=key.device, session=key.session, sequence=sequence
        )
        if trace is not None:
            self._traces[sequence] = trace
        return trace

    def _ended(self, task: "asyncio.Task[Looked]", admitted: Admitted) -> None:
        self._tasks.discard(task)
        admitted.place.close()
        # Retrieved, or asyncio logs an error where nothing awaits the task any more.
        if not task.cancelled() and isinstance(error := task.exception(), InfilinkError):
            # It waits to be told, and leads to where it was raised: the input's memory would wait with it.
            error.__traceback__ = error.__context__ = None

    def _check(self, message: edge_pb2.Input) -> None:
        """Raises the error that an input is refused with before it is decoded, if there is one."""
        self.ledger.check()
        if message.deadline_ns and time.time_ns() > message.deadline_ns:
            raise DeadlineExceeded("the deadline passed before a model ran on it")
        if self.scheduler.schedule is None and self._is_superseded(message):
            raise Superseded(f"the newer input {self._newest} replaced it")
        looking = self.session.serving.models
        if unknown := sorted(set(message.models).difference(looking)):
            raise UnknownModel(unknown[0], tuple(looking))

    def _is_superseded(self, message: edge_pb2.Input) -> bool:
        """Whether a newer input has come, and no model is to look at older ones."""
        return message.policy == edge_pb2.POLICY_LATEST and message.sequence < self._newest

    def _choose(
        self, message: edge_pb2.Input, given: Collection[str], answers: Mapping[str, Answer], *, asks: bool = False
    ) -> Choice:
        """The models to run on an input, but for those that ran on the device.

        Args:
            message: the input.
            given: those that ran on the device.
            answers: what would be answered without.
            asks: whether its frame would have to be asked for.
        """
        scheduler = self.scheduler
        lost = {name: 1.0 - answer.confidence for name, answer in answers.items()}
        frame_loss = self.config.ask_loss if asks else 0.0
        if scheduler.schedule is None:
            fixed = [name for name in self._looking.fixed(message) if name not in given]
            worth = not asks or sum(lost[name] for name in fixed) > frame_loss
            return scheduler.choose(self.session.key, {}, must=fixed if worth else ())
        wanted = [name for name in self.session.wants(message.models) if name not in given]
        losses = {name: lost[name] for name in wanted if name in scheduler.schedule.costs}
        weigh, specs = self.config.site_weights.of_answer, self.repository.specs
        factors = {name: weigh(name, specs[name].output, answers[name].value) for name in losses}
        must = tuple(losses) if message.audit else ()
        return scheduler.choose(self.session.key, losses, factors=factors, must=must, frame_loss=frame_loss)

    async def _answer(
        self, message: edge_pb2.Input, looking: "asyncio.Task[Looked]", write: Write
    ) -> edge_pb2.CoordinatorMessage | Coming:
        """The answer to an input, or what gives it once it is in the ledger."""
        try:
            looked = await looking
            executed = await self._execute(message, looked, write)
        except InfilinkError as error:
            return self._refuse(message, error)
        specs, digests = self.repository.specs, self.repository.digests
        answers = self.session.complete(
            message.captured_ns / 1e9,
            executed.exact,
            message.models,
            features=looked.features,
            score=read_score(message),
            biased=executed.biased,
            digests=executed.digests,
            sequence=message.sequence,
        )
        outputs = {
            name: output_message(specs[name], self.session.digest_of(name, answer, digests), answer, age_s)
            for name, (answer, age_s) in answers.items()
            if name not in looked.given
        }
        for name, (answer, _) in answers.items():
            self.metrics.answered(name, answer.origin)
        result = result_message(message.sequence, outputs, executed.took_s)
        try:
            keeping = self._keeper.keep(message, result, looked, executed)
        except InfilinkError as error:
            return self._refuse(message, error)
        return self._kept(message, keeping, looked.came_s)

    async def _kept(self, message: edge_pb2.Input, keeping: Keeping, came_s: float) -> edge_pb2.CoordinatorMessage:
        """The answer that stands for an input, once it is in the ledger."""
        try:
            with part("ledger"):
                result = await asyncio.shield(keeping)
        except InfilinkError as error:
            return self._refuse(message, error)
        self.counts.results += 1
        self.metrics.stage("total", self.scheduler.clock() - came_s)
        self.metrics.sent("edge", result.ByteSize())
        return result

    def _refuse(self, message: edge_pb2.Input, error: InfilinkError) -> edge_pb2.CoordinatorMessage:
        """The message that an input has no result, which is counted."""
        refused = refused_message(message.sequence, error)
        self.counts.refused += 1
        self.metrics.refused(reason_of(refused.refused.code))
        return refused

    async def _execute(self, message: edge_pb2.Input, looked: Looked, write: Write) -> Executed:
        """Runs the models that are chosen for an input; where only its features came, on the frame it asks for."""
        scheduled = self.scheduler.schedule is not None
        executed = Executed(looked.given | _values(looked.ran), _digests(looked.ran), frozenset(), looked.took_s)
        if looked.shape is not None and not scheduled:
            return executed
        # The inputs before this one are answered only now: some of what they waited for came too late for it.
        self._check(message)
        if looked.frame is None and (looked.features is None or not message.frame_kept or self.stopped):
            return executed
        if self._is_superseded(message) or self._pace.is_behind(message, looked.came_s):
            return executed
        await self._pace.wait(message)
        began_s = time.perf_counter()
        answers = self.session.serving.preview(
            message.captured_ns / 1e9, looked.given, features=looked.features, score=read_score(message)
        )
        choice = self._choose(message, looked.given, answers, asks=looked.frame is None)
        if not choice.run:
            return executed
        frame = looked.frame if looked.frame is not None else await self._ask(message, write)
        if frame is None:
            self.scheduler.skip(self.session.key, choice)
            return executed
        try:
            deadline_s = self._looking.deadline_s(message)
            ran = await self._looking.run(frame, choice, looked.given, deadline_s=deadline_s)
        except ModelFailed as error:
            self.notify(f"input {message.sequence} is answered from its features alone: {error}")
            return executed
        biased = frozenset(choice.run) - choice.audits if looked.frame is not None else frozenset(choice.run)
        for name in ran.keys() - biased:
            self._keeper.note_audit(message, answers[name], name, ran[name].value)
        why = {name: "audit" if name in choice.audits else f"worth {choice.index[name]:.3g}" for name in ran}
        took_s = looked.took_s + time.perf_counter() - began_s
        return Executed(executed.exact | _values(ran), _digests(ran), biased, took_s, why)

    async def _ask(self, message: edge_pb2.Input, write: Write) -> Held | None:
        """The frame of an input that came as features; None: it is gone, or not there in time."""
        left_s = message.deadline_ns / 1e9 - time.time() if message.deadline_ns else TIMEOUT_S
        await write(self._asking.want(message.sequence))
        if (came := await self._asking.wait(min(left_s, TIMEOUT_S))) is None:
            return None
        try:
            return await self._looking.read_asked(came)
        except InvalidInput as error:
            self.notify(f"input {message.sequence} is answered from its features alone: {error}")
            return None


def _values(ran: Mapping[str, Inferred]) -> dict[str, Array]:
    return {name: inferred.value for name, inferred in ran.items()}


def _digests(ran: Mapping[str, Inferred]) -> dict[str, str]:
    return {name: inferred.digest for name, inferred in ran.items() if inferred.digest}

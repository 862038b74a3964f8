"""One device's stream: every input is answered once and in order; a repeated one from the ledger."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from ...errors import DeadlineExceeded, InfilinkError, InvalidInput, ModelFailed, QueueFull, UnknownModel
from ...links.answer import Answer
from ...links.scheduling.schedule import Choice
from ...models.process_child import Inferred
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.tracing import InputTrace, Tracing, part, within
from ..config import CloudConfig
from ..ledger.ledger import Ledger
from ..ledger.rows import Answered, InputKey
from ..metrics import Metrics
from ..repository import Repository
from ..runtime.input_pool import Held
from ..runtime.scheduler import Scheduler
from ..security.text import for_outside
from .answers import Superseded, output_message, reason_of, refused_message, result_message
from .asking import TIMEOUT_S, Asking
from .inputs import read_features, read_frame, read_local_outputs
from .outgoing import Outgoing, Write
from .session import Session

# Inputs of one stream that are looked at at once: where all models run, they do on the next while the slowest ends on
# the first, in as many processes as a model has.
_AT_ONCE = 4
# An input that may wait comes at most so long before its camera would have sent it, while compute is short; it is not
# waited for longer than the last of these, as a source's clock may jump.
_AHEAD_S, _LOOKS_EVERY_S, _WAITS_AT_MOST_S = 1.0, 0.02, 10.0


@dataclass(frozen=True)
class Looked:
    """What there is of an input before models are chosen for it.

    Attributes:
        shape: of the models' input; None: the message carried only outputs or features.
        frame: that input, if models are still to run on it.
        features: what the links' stem makes of the input, here or on the device; None: they read none, or there was
            nothing to look at.
        given: the outputs of the models that ran on the device.
        ran: the outputs of those that ran here already, as no schedule chooses.
        took_s: how long this took.
        came_s: when it came, by the scheduler's clock.
    """

    shape: tuple[int, ...] | None
    frame: Held | None
    features: Array | None
    given: dict[str, Array]
    ran: dict[str, Inferred]
    took_s: float
    came_s: float


@dataclass(frozen=True)
class Executed:
    """What the models gave for one input.

    Attributes:
        exact: the outputs of those that ran, here or on the device.
        digests: of the files of those that ran here: another version may be served by now.
        biased: those that ran because of what was expected of their answers: they tell nothing of other inputs.
        took_s: how long decoding and running took.
        why: of those that the schedule chose, why.
    """

    exact: dict[str, Array]
    digests: Mapping[str, str]
    biased: frozenset[str]
    took_s: float
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StreamCounts:
    """The inputs of all streams, by how they were answered; `repeated` ones came from the ledger."""

    results: int = 0
    refused: int = 0
    repeated: int = 0


_Pending = tuple[edge_pb2.Input, "asyncio.Task[Looked] | edge_pb2.CoordinatorMessage"]


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
        tracing: goes on with the traces of inputs; None: nobody looks at them.
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
        tracing: Tracing | None = None,
    ) -> None:
        self.config = config
        self.repository = repository
        self.scheduler = scheduler
        self.ledger = ledger
        self.session = session
        self.counts = counts
        self.metrics = metrics
        self.tracing = tracing
        self._queue = scheduler.pool.queue
        self.stopped = False
        self.finished = asyncio.Event()
        self._notices: list[str] = []
        self._reader: asyncio.Task[None] | None = None
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        # While it is full nothing is read, and gRPC's flow control stops the device.
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue(config.max_in_flight)
        # As many may wait for their answers to be kept and sent, instead.
        self._room = asyncio.Semaphore(config.max_in_flight + 1)
        self._looking: set[asyncio.Task[Looked]] = set()
        self._newest = -1
        self._lag_s: float | None = None
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
        reader = asyncio.create_task(self._read(messages))
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
            for task in (reader, working, sending, *self._looking):
                task.cancel()
            await asyncio.gather(working, sending, return_exceptions=True)
            outgoing.close()
            while not self._pending.empty():
                self._pending.get_nowait()
            self.finished.set()

    async def _work(self, outgoing: Outgoing) -> None:
        """Works on one input after another, as they are chosen for in their order."""
        while (pending := await self._pending.get()) is not None:
            trace = self._traces.pop(pending[0].sequence, None)
            with within(trace):
                outgoing.answer(await self._answer(*pending, outgoing.now), trace)

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

    async def _read(self, messages: AsyncIterator[edge_pb2.DeviceMessage]) -> None:
        # Known to `stop` only from here on: a task that is cancelled before its first step would not mark the end.
        self._reader = asyncio.current_task()
        try:
            if self.stopped:
                return
            async for message in messages:
                kind = message.WhichOneof("message")
                self.metrics.received("edge", message.ByteSize())
                if kind == "input":
                    await self._room.acquire()
                    await self._pending.put((message.input, await self._begin(message.input)))
                elif kind == "report":
                    self.session.take_report(message.report)
                elif kind == "frame":
                    self._asking.take(message.frame)
                else:
                    raise InvalidInput(f"after Hello come Input, Frame and Report, not {kind or 'an empty message'}")
        finally:
            await self._pending.put(None)

    async def _begin(self, message: edge_pb2.Input) -> "asyncio.Task[Looked] | edge_pb2.CoordinatorMessage":
        """Starts to look at an input; for a repeated input, returns the answer from the ledger."""
        try:
            known = await self.ledger.find(self._key(message))
        except InfilinkError as error:
            return self._refuse(message, error)
        self._newest = max(self._newest, message.sequence)
        if known is not None:
            return known
        trace = None
        if self.tracing is not None:
            session = self.session.key
            told: dict[str, str | int] = {
                "device": session.device,
                "session": session.session,
                "sequence": message.sequence,
            }
            trace = self.tracing.follow(message.traceparent, "input", **told)
        if trace is not None:
            self._traces[message.sequence] = trace
        with within(trace):
            task = asyncio.create_task(self._look(message))
        self._looking.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Looked]") -> None:
        self._looking.discard(task)
        if not task.cancelled():
            task.exception()  # Retrieved, or asyncio logs an error where nothing awaits the task any more.

    async def _look(self, message: edge_pb2.Input) -> Looked:
        """Decodes an input and has the stem see it; where no schedule chooses, its models run at once."""
        came_s = self.scheduler.clock()
        self._check(message)
        deadline_s = self._deadline_s(message)
        names = self._choose(message, (), {}).run if self.scheduler.schedule is None else ()
        with self._admitted(message, names, deadline_s):
            async with self._at_once, self._turn(names, deadline_s):
                began_s = time.perf_counter()
                self._check(message)
                given = read_local_outputs(message.outputs, self.session.local, self.repository.specs)
                features = read_features(message, self.session.features)
                frame = None
                ran: dict[str, Inferred] = {}
                with part("decode"):
                    if not self._is_superseded(message):
                        frame = await self._read_frame(message, deadline_s)
                    if frame is not None:
                        features = await self._see(frame.frame)
                        self.metrics.stage("decode", time.perf_counter() - began_s)
                shape = None if frame is None else frame.frame.shape
                if frame is not None and self.scheduler.schedule is None:
                    ran = await self._run(frame, self._choose(message, given, {}), given, deadline_s)
                    # Its memory is not to wait for the inputs before it to be answered.
                    frame = None
        return Looked(shape, frame, features, given, ran, time.perf_counter() - began_s, came_s)

    def _admitted(
        self, message: edge_pb2.Input, names: Collection[str], deadline_s: float
    ) -> AbstractContextManager[None]:
        """Refuses what would be too late before it costs anything; where a schedule chooses, it is answered without."""
        if self.scheduler.schedule is not None or not message.payload:
            return nullcontext()
        return self._queue.admitted(names, deadline_s)

    def _turn(self, names: Collection[str], deadline_s: float) -> AbstractAsyncContextManager[None]:
        """Waits until an input's models are soon free; where a schedule chooses, only what it answers with is known."""
        return nullcontext() if self.scheduler.schedule is not None else self._queue.turn(names, deadline_s)

    async def _read_frame(self, message: edge_pb2.Input, deadline_s: float) -> Held | None:
        """The models' input, once there is room for it; None: a schedule answers without, as there is none in time."""
        scheduled = self.scheduler.schedule is not None
        left_s = max(0.0, deadline_s - self._queue.clock())
        within_s = min(left_s, self.scheduler.answer_within_s) if scheduled else left_s
        try:
            return await read_frame(
                message,
                self.repository.tail,
                self.config,
                self._queue.inputs,
                within_s=within_s if math.isfinite(within_s) else None,
            )
        except QueueFull:
            if not scheduled:
                raise
            return None

    def _deadline_s(self, message: edge_pb2.Input) -> float:
        """An input's deadline by the clock of the queue."""
        if not message.deadline_ns:
            return math.inf
        return float(self._queue.clock() + message.deadline_ns / 1e9 - time.time())

    async def _see(self, frame: Array) -> Array | None:
        """What the links' stem makes of a frame: once an input, beside the event loop as decoding is."""
        graph = self.session.serving.graph
        if graph is None or graph.stem is None:
            return None
        seen = await asyncio.get_running_loop().run_in_executor(None, graph.stem.see, frame)
        return seen.features

    def _check(self, message: edge_pb2.Input) -> None:
        """Raises the error that an input is refused with before it is decoded, if there is one."""
        self.ledger.check()
        if message.deadline_ns and time.time_ns() > message.deadline_ns:
            raise DeadlineExceeded("the deadline passed before a model ran on it")
        if self.scheduler.schedule is None and self._is_superseded(message):
            raise Superseded(f"the newer input {self._newest} replaced it")
        unknown = sorted(set(message.models).difference(self.repository.specs))
        if unknown:
            raise UnknownModel(unknown[0], tuple(self.repository.specs))

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
        scheduler, plan = self.scheduler, self.session.serving.plan
        lost = {name: 1.0 - answer.confidence for name, answer in answers.items()}
        frame_loss = self.config.ask_loss if asks else 0.0
        if scheduler.schedule is None:
            named = frozenset(message.models)
            fixed = [name for name in plan.resident if name not in given and (not named or name in named)]
            worth = not asks or sum(lost[name] for name in fixed) > frame_loss
            return scheduler.choose(self.session.key, {}, must=fixed if worth else ())
        wanted = [name for name in self.session.wants(message.models) if name not in given]
        losses = {name: lost[name] for name in wanted if name in scheduler.schedule.costs}
        weigh, specs = self.config.site_weights.of_answer, self.repository.specs
        factors = {name: weigh(name, specs[name].output, answers[name].value) for name in losses}
        must = tuple(losses) if message.audit else ()
        return scheduler.choose(self.session.key, losses, factors=factors, must=must, frame_loss=frame_loss)

    async def _run(self, frame: Held, choice: Choice, given: Collection[str], deadline_s: float) -> dict[str, Inferred]:
        """The outputs of the chosen models; none where all fail on an input that carries outputs of others."""
        within_s = None if self.scheduler.schedule is None else self.scheduler.answer_within_s
        try:
            return await self.scheduler.run(self.session.key, frame, choice, within_s=within_s, deadline_s=deadline_s)
        except ModelFailed:
            if not given:
                raise
            return {}

    async def _answer(
        self, message: edge_pb2.Input, work: "asyncio.Task[Looked] | edge_pb2.CoordinatorMessage", write: Write
    ) -> "edge_pb2.CoordinatorMessage | asyncio.Task[edge_pb2.CoordinatorMessage]":
        """The answer to an input, or what gives it once it is in the ledger."""
        if isinstance(work, edge_pb2.CoordinatorMessage):
            if not work.HasField("refused"):
                self.counts.repeated += 1
            return work
        try:
            looked = await work
            executed = await self._execute(message, looked, write)
        except InfilinkError as error:
            return self._refuse(message, error)
        specs, digests = self.repository.specs, self.repository.digests
        answers = self.session.complete(
            message.captured_ns / 1e9,
            executed.exact,
            message.models,
            features=looked.features,
            score=_score(message),
            biased=executed.biased,
            digests=executed.digests,
        )
        outputs = {
            name: output_message(specs[name], self.session.digest_of(name, answer, digests), answer, age_s)
            for name, (answer, age_s) in answers.items()
            if name not in looked.given
        }
        for name, (answer, _) in answers.items():
            self.metrics.answered(name, answer.origin)
        result = result_message(message.sequence, outputs, executed.took_s)
        return asyncio.create_task(self._keep(message, self._kept(message, result, looked, executed), looked))

    async def _keep(self, message: edge_pb2.Input, answered: Answered, looked: Looked) -> edge_pb2.CoordinatorMessage:
        """The answer that stands for an input, which is in the ledger."""
        began_s = time.perf_counter()
        try:
            with part("ledger"):
                result = await self.ledger.record(answered)
        except InfilinkError as error:
            return self._refuse(message, error)
        self.counts.results += 1
        self.metrics.stage("ledger", time.perf_counter() - began_s)
        self.metrics.stage("total", self.scheduler.clock() - looked.came_s)
        self._queue.answered(time.perf_counter() - began_s)
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
        if self._is_superseded(message) or self._is_behind(message, looked.came_s):
            return executed
        await self._wait_for_compute(message)
        began_s = time.perf_counter()
        answers = self.session.serving.preview(
            message.captured_ns / 1e9, looked.given, features=looked.features, score=_score(message)
        )
        choice = self._choose(message, looked.given, answers, asks=looked.frame is None)
        if not choice.run:
            return executed
        frame = looked.frame if looked.frame is not None else await self._ask(message, write)
        if frame is None:
            self.scheduler.skip(self.session.key, choice)
            return executed
        try:
            ran = await self._run(frame, choice, looked.given, self._deadline_s(message))
        except ModelFailed as error:
            self.notify(f"input {message.sequence} is answered from its features alone: {error}")
            return executed
        biased = frozenset(choice.run) - choice.audits if looked.frame is not None else frozenset(choice.run)
        for name in ran.keys() - biased:
            self._note_audit(message, answers[name], name, ran[name].value)
        why = {name: "audit" if name in choice.audits else f"worth {choice.index[name]:.3g}" for name in ran}
        took_s = looked.took_s + time.perf_counter() - began_s
        return Executed(executed.exact | _values(ran), _digests(ran), biased, took_s, why)

    def _note_audit(self, message: edge_pb2.Input, answer: Answer, name: str, exact: Array) -> None:
        """Notes how far what would have been answered without a model agrees with what it said."""
        agreement = self.repository.specs[name].output.agreement(answer.value, exact)
        self.metrics.audited(name, agreement)
        self.ledger.audited(
            self._key(message),
            name,
            origin=answer.origin,
            confidence=answer.confidence,
            trusted=answer.trusted,
            agreement=agreement,
        )

    def _kept(
        self, message: edge_pb2.Input, result: edge_pb2.CoordinatorMessage, looked: Looked, executed: Executed
    ) -> Answered:
        """The answer with what the ledger keeps beside it."""
        size = None
        if looked.shape is not None and self.repository.tail is None:
            size = (looked.shape[1], looked.shape[0])
        return Answered(
            self._key(message),
            result,
            captured_ns=message.captured_ns,
            specs=self.repository.specs,
            given=tuple(message.outputs),
            why=executed.why,
            size=size,
        )

    def _is_behind(self, message: edge_pb2.Input, came_s: float) -> bool:
        """Whether an input waited here for those before it for too long, and not because it came before its time."""
        now_s, captured_s = self.scheduler.clock(), message.captured_ns / 1e9
        if self._lag_s is None:
            self._lag_s = came_s - captured_s
        late_s = now_s - max(came_s, captured_s + self._lag_s)
        return late_s > self.scheduler.answer_within_s

    async def _wait_for_compute(self, message: edge_pb2.Input) -> None:
        """A recording that is sent faster than it was captured is held back to its own pace while compute is short."""
        clock, captured_s = self.scheduler.clock, message.captured_ns / 1e9
        if message.policy != edge_pb2.POLICY_ALL or message.deadline_ns:
            return
        longest_s = clock() + _WAITS_AT_MOST_S
        until_s = min(captured_s + (self._lag_s or 0.0) - _AHEAD_S, longest_s)
        while clock() < until_s and self.scheduler.is_short() and not self.stopped:
            await asyncio.sleep(_LOOKS_EVERY_S)
        if clock() >= longest_s:
            self._lag_s = clock() - captured_s

    async def _ask(self, message: edge_pb2.Input, write: Write) -> Held | None:
        """The frame of an input that came as features; None: it is gone, or not there in time."""
        left_s = message.deadline_ns / 1e9 - time.time() if message.deadline_ns else TIMEOUT_S
        await write(self._asking.want(message.sequence))
        came = await self._asking.wait(min(left_s, TIMEOUT_S))
        if came is None:
            return None
        try:
            sent = edge_pb2.Input(payload=came.payload, encoding=came.encoding)
            return await read_frame(sent, self.repository.tail, self.config, self._queue.inputs, is_urgent=True)
        except InvalidInput as error:
            self.notify(f"input {message.sequence} is answered from its features alone: {error}")
            return None

    def _key(self, message: edge_pb2.Input) -> InputKey:
        return InputKey(self.session.key.device, self.session.key.session, message.sequence)


def _score(message: edge_pb2.Input) -> float | None:
    """What the device's gate thinks of the input; None: it has no scores, or none that can be taken."""
    return message.score if message.HasField("score") and math.isfinite(message.score) else None


def _values(ran: Mapping[str, Inferred]) -> dict[str, Array]:
    return {name: inferred.value for name, inferred in ran.items()}


def _digests(ran: Mapping[str, Inferred]) -> dict[str, str]:
    return {name: inferred.digest for name, inferred in ran.items() if inferred.digest}

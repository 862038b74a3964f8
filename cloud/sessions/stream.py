"""One device's stream: every input is answered once and in order; a repeated one from the ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Container
from dataclasses import dataclass, replace
from typing import Any

from ...errors import DeadlineExceeded, InfilinkError, InvalidInput, ModelFailed, UnknownModel
from ...outputs import Array
from ...protos import edge_pb2
from ..config import CloudConfig
from ..ledger import InputKey, Ledger
from ..plans.reselection import Reselection, Sample
from ..repository import Repository
from ..runtime.scheduler import Scheduler
from .answers import Superseded, output_message, refused_message, result_message
from .asking import TIMEOUT_S, Asking, Doubt, expected_loss
from .inputs import read_features, read_frame, read_local_outputs
from .session import Session

# Inputs of one stream that are decoded and run at once: models run on the second while the slowest ends on the first.
_AT_ONCE = 2


@dataclass(frozen=True)
class _Choice:
    """The models to run on one input.

    Attributes:
        residents: the resident ones.
        others: the rotating ones that are due, and those that it is profiled with.
        wait: whether the others run on this very input, or on a later one.
        profiled: whether the input was chosen for re-selection, so that every model that fits is to run.
    """

    residents: list[str]
    others: list[str]
    wait: bool
    profiled: bool


@dataclass(frozen=True)
class Executed:
    """What the models gave for one input.

    Attributes:
        frame: the models' input; None: the message carried only outputs or features, and nothing could run here.
        features: what the links' stem makes of the input, here or on the device; None: they read none, or there was
            nothing to look at.
        exact: the models' outputs, both those that ran here and those that ran on the device.
        given: the models that ran on the device.
        executed_s: how long decoding and running took.
        profiled: whether the input was chosen for re-selection, so that every model that fits was to run.
        asked: whether the frame was asked for because the answers were doubtful: it tells nothing of other inputs.
    """

    frame: Array | None
    features: Array | None
    exact: dict[str, Array]
    given: frozenset[str]
    executed_s: float
    profiled: bool = False
    asked: bool = False


@dataclass
class StreamCounts:
    """The inputs of all streams, by how they were answered; `repeated` ones came from the ledger."""

    results: int = 0
    refused: int = 0
    repeated: int = 0


Write = Callable[[edge_pb2.CoordinatorMessage], Awaitable[None]]
_Pending = tuple[edge_pb2.Input, "asyncio.Task[Executed] | bytes"]


class DeviceStream:
    """Serves one connection of one session, from the first Input to the end.

    Args:
        config: the limits.
        repository: the models' specs and digests.
        scheduler: runs the models.
        ledger: keeps every answer.
        session: the state that is kept between inputs.
        counts: counts the answers of all streams.
        reselection: observes the models' outputs to choose a plan; None: the plan stays.
    """

    def __init__(
        self,
        config: CloudConfig,
        repository: Repository,
        scheduler: Scheduler,
        ledger: Ledger,
        session: Session,
        counts: StreamCounts,
        reselection: Reselection | None = None,
    ) -> None:
        self.config = config
        self.repository = repository
        self.scheduler = scheduler
        self.ledger = ledger
        self.session = session
        self.counts = counts
        self.reselection = reselection
        self.stopped = False
        self.finished = asyncio.Event()
        self._notices: list[str] = []
        self._reader: asyncio.Task[None] | None = None
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        # While it is full nothing is read, and gRPC's flow control stops the device.
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue(config.max_in_flight)
        self._running: set[asyncio.Task[Executed]] = set()
        self._newest = -1
        self._asking = Asking()
        self._doubt = Doubt()
        # Set once the models for the last input that was read are chosen.
        self._last_chosen = asyncio.Event()
        self._last_chosen.set()

    async def run(self, messages: AsyncIterator[edge_pb2.DeviceMessage], write: Write) -> None:
        """Answers until the device ends the stream or `stop` is called.

        Args:
            messages: the device's messages after Hello.
            write: sends one message.

        Raises:
            InvalidInput: a message is neither Input, Frame nor Report.
        """
        reader = asyncio.create_task(self._read(messages))
        try:
            while (pending := await self._pending.get()) is not None:
                answer = await self._answer(*pending, write)
                while self._notices:
                    await write(edge_pb2.CoordinatorMessage(notice=edge_pb2.Notice(text=self._notices.pop(0))))
                await write(answer)
            if not self.stopped:
                await reader
        finally:
            reader.cancel()
            for task in self._running:
                task.cancel()
            while not self._pending.empty():
                self._pending.get_nowait()
            self.finished.set()

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
        self._notices.append(text)

    async def _read(self, messages: AsyncIterator[edge_pb2.DeviceMessage]) -> None:
        # Known to `stop` only from here on: a task that is cancelled before its first step would not mark the end.
        self._reader = asyncio.current_task()
        try:
            if self.stopped:
                return
            async for message in messages:
                kind = message.WhichOneof("message")
                if kind == "input":
                    await self._pending.put((message.input, self._begin(message.input)))
                elif kind == "report":
                    self.session.take_report(message.report)
                elif kind == "frame":
                    self._asking.take(message.frame)
                else:
                    raise InvalidInput(f"after Hello come Input, Frame and Report, not {kind or 'an empty message'}")
        finally:
            await self._pending.put(None)

    def _begin(self, message: edge_pb2.Input) -> "asyncio.Task[Executed] | bytes":
        """Starts running an input's models; for a repeated input, returns the answer from the ledger."""
        self._newest = max(self._newest, message.sequence)
        known = self.ledger.find(self._key(message))
        if known is not None:
            return known
        before, self._last_chosen = self._last_chosen, asyncio.Event()
        task = asyncio.create_task(self._run(message, before, self._last_chosen))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Executed]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # Retrieved, or asyncio logs an error where nothing awaits the task any more.

    async def _run(self, message: edge_pb2.Input, before: asyncio.Event, chosen: asyncio.Event) -> Executed:
        """Decodes an input and runs its models, except those that ran on the device.

        Args:
            message: the input.
            before: set once the models for the input before this one are chosen.
            chosen: to be set once they are for this one.
        """
        try:
            async with self._at_once:
                started = time.perf_counter()
                self._check(message)
                given = read_local_outputs(message.outputs, self.session.local, self.repository.specs)
                features = read_features(message, self.session.features)
                frame = await read_frame(message, self.repository.tail, self.config)
                # Turns are taken in the order of the inputs, also where a later one is decoded sooner.
                await before.wait()
                exact: dict[str, Array] = {}
                profiled = False
                if frame is not None:
                    choice = self._choose(message, given, profile=True)
                    chosen.set()
                    features = await self._see(frame)
                    exact = await self._execute(frame, choice, given)
                    profiled = choice.profiled
                took_s = time.perf_counter() - started
                return Executed(frame, features, exact | given, frozenset(given), took_s, profiled)
        finally:
            chosen.set()

    async def _see(self, frame: Array) -> Array | None:
        """What the links' stem makes of a frame: once an input, beside the event loop as decoding is."""
        graph = self.session.serving.graph
        if graph is None or graph.stem is None:
            return None
        seen = await asyncio.get_running_loop().run_in_executor(None, graph.stem.see, frame)
        return seen.features

    def _check(self, message: edge_pb2.Input) -> None:
        """Raises the error that an input is refused with before it is decoded, if there is one."""
        if message.deadline_ns and time.time_ns() > message.deadline_ns:
            raise DeadlineExceeded("the deadline passed before a model ran on it")
        if message.policy == edge_pb2.POLICY_LATEST and message.sequence < self._newest:
            raise Superseded(f"the newer input {self._newest} replaced it")
        unknown = sorted(set(message.models).difference(self.repository.specs))
        if unknown:
            raise UnknownModel(unknown[0], tuple(self.repository.specs))

    def _choose(self, message: edge_pb2.Input, given: Container[str], *, profile: bool) -> _Choice:
        wanted, plan = frozenset(message.models), self.session.serving.plan
        due = self.session.serving.due(message.captured_ns / 1e9, audit=message.audit, wanted=wanted)
        # Where every input is to be answered and there is no deadline, rotating models run exactly when they are due.
        wait = message.audit or (message.policy != edge_pb2.POLICY_LATEST and not message.deadline_ns)
        # Profiling loads models, and a deadline leaves no time for that.
        profiled = None
        if profile and self.reselection is not None and not message.deadline_ns and not wanted:
            profiled = self.reselection.profile(plan)
        residents = [name for name in plan.resident if name not in given and (not wanted or name in wanted)]
        others = [name for name in dict.fromkeys((*due, *(profiled or ()))) if name not in given]
        return _Choice(residents, others, wait or profiled is not None, profiled is not None)

    async def _execute(self, frame: Array, choice: _Choice, given: Collection[str]) -> dict[str, Array]:
        """The outputs of the chosen models; none where all fail on an input that carries outputs of others."""
        try:
            return await self.scheduler.run(frame, choice.residents, choice.others, self.session.key, wait=choice.wait)
        except ModelFailed:
            if not given:
                raise
            return {}

    async def _answer(self, message: edge_pb2.Input, work: "asyncio.Task[Executed] | bytes", write: Write) -> Any:
        """The answer to an input; it is in the ledger before it is returned."""
        if isinstance(work, bytes):
            self.counts.repeated += 1
            return edge_pb2.CoordinatorMessage.FromString(work)
        try:
            executed = await self._look(message, await work, write)
        except InfilinkError as error:
            self.counts.refused += 1
            return refused_message(message.sequence, error)
        captured_s = message.captured_ns / 1e9
        self._observe(captured_s, executed)
        specs, digests = self.repository.specs, self.repository.digests
        escalated = await self._escalate(message, executed)
        doubted = executed.exact.keys() - executed.given if executed.asked else set()
        answers = self.session.complete(
            captured_s,
            executed.exact | escalated,
            message.models,
            features=executed.features,
            escalated=escalated.keys() | doubted,
        )
        outputs = {
            name: output_message(specs[name], digests.get(name, ""), answer, age_s)
            for name, (answer, age_s) in answers.items()
            if name not in executed.given
        }
        result = result_message(message.sequence, outputs, executed.executed_s)
        await self.ledger.record(self._key(message), result.SerializeToString())
        self.counts.results += 1
        return result

    def _observe(self, captured_s: float, executed: Executed) -> None:
        """Shows re-selection an input, unless it was chosen because it was doubtful."""
        if self.reselection is None or self.session.watched is None or executed.frame is None or executed.asked:
            return
        sample = Sample(self.session.watched, captured_s, executed.frame, executed.exact, executed.features)
        self.reselection.observe(sample, self.session.serving.plan, profiled=executed.profiled)

    async def _look(self, message: edge_pb2.Input, executed: Executed, write: Write) -> Executed:
        """Has the models run on the frame as well, where it is worth asking for and the device still has it."""
        left_s = message.deadline_ns / 1e9 - time.time() if message.deadline_ns else TIMEOUT_S
        if executed.frame is not None:
            self._doubt.clear()
        if executed.frame is not None or left_s <= 0 or not self._worth_asking(message, executed):
            return executed
        self._doubt.clear()
        await write(self._asking.want(message.sequence))
        came = await self._asking.wait(min(left_s, TIMEOUT_S))
        if came is None:
            return executed
        started = time.perf_counter()
        sent = edge_pb2.Input(payload=came.payload, encoding=came.encoding)
        try:
            frame = await read_frame(sent, self.repository.tail, self.config)
            assert frame is not None, "it has a payload"
            ran = await self._execute(frame, self._choose(message, executed.given, profile=False), executed.given)
        except (InvalidInput, ModelFailed) as error:
            self.notify(f"input {message.sequence} is answered from its features alone: {error}")
            return executed
        took_s = executed.executed_s + time.perf_counter() - started
        return replace(executed, frame=frame, exact=ran | executed.exact, executed_s=took_s, asked=True)

    def _worth_asking(self, message: edge_pb2.Input, executed: Executed) -> bool:
        """Whether an input that came as features is so doubtful that its frame is asked for."""
        if not message.frame_kept or executed.features is None or self.stopped:
            return False
        plan = self.session.serving.plan
        answers = self.session.serving.preview(message.captured_ns / 1e9, executed.exact, features=executed.features)
        named = set(message.models) or set(self.session.wanted) or set(answers)
        asked = {name: answer for name, answer in answers.items() if name in named}
        loss = expected_loss(asked, plan.resident or plan.rotating)
        lost = self._doubt.add(loss)
        replaced = message.policy == edge_pb2.POLICY_LATEST and message.sequence < self._newest
        return loss > 0.0 and lost >= self.config.ask_loss and not replaced

    async def _escalate(self, message: edge_pb2.Input, executed: Executed) -> dict[str, Array]:
        """The outputs of models that are run after all because their predicted answers are not trusted."""
        if self.scheduler.escalation is None or executed.frame is None:
            return {}
        answers = self.session.serving.preview(message.captured_ns / 1e9, executed.exact, features=executed.features)
        named = set(message.models) or set(self.session.wanted) or set(answers)
        left_s = message.deadline_ns / 1e9 - time.time() if message.deadline_ns else None
        asked = {name: answer for name, answer in answers.items() if name in named}
        return await self.scheduler.escalate(executed.frame, asked, left_s=left_s)

    def _key(self, message: edge_pb2.Input) -> InputKey:
        return InputKey(self.session.key.device, self.session.key.session, message.sequence)

"""One device's stream on the coordinator: every input is answered once, in order, from the ledger if it came before."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
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
from .inputs import read_frame, read_outputs
from .session import Session

# Inputs of one stream that are decoded or run at once: the models of the second work while the first's slowest ends.
_AT_ONCE = 2


@dataclass(frozen=True)
class Ran:
    """The models' work on one input.

    Attributes:
        frame: what they saw; None: outputs came without a frame, and nothing could run.
        exact: their outputs, those that came with the input among them.
        given: the models whose outputs came with it.
        executed_s: how long they took.
        profiled: whether every model that fits was to run.
    """

    frame: Array | None
    exact: dict[str, Array]
    given: frozenset[str]
    executed_s: float
    profiled: bool = False


@dataclass
class StreamCounts:
    """What all streams together did."""

    results: int = 0
    refused: int = 0
    repeated: int = 0


_Pending = tuple[edge_pb2.Input, "asyncio.Task[Ran] | bytes"]


class DeviceStream:
    """Serves one connection of one session, from the first Input to the end.

    Args:
        config: the limits.
        repository: the models' specs and digests.
        scheduler: runs the models.
        ledger: remembers the answers.
        session: what is kept between the inputs.
        counts: told of every answer.
        reselection: what is told how the models did; None: the plan stays.
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
        self._reader: asyncio.Task[None] | None = None
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        # Full: nothing more is read, and gRPC's flow control holds the device back.
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue(config.max_in_flight)
        self._running: set[asyncio.Task[Ran]] = set()
        self._newest = -1

    async def run(
        self, messages: AsyncIterator[edge_pb2.DeviceMessage], write: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answers until the device ends the stream or `stop` is called.

        Raises:
            InvalidInput: the device sent what does not belong here.
        """
        self._reader = asyncio.create_task(self._read(messages))
        if self.stopped:
            self._reader.cancel()
        try:
            while (pending := await self._pending.get()) is not None:
                await write(await self._answer(*pending))
            if not self.stopped:
                await self._reader
        finally:
            self._reader.cancel()
            for task in self._running:
                task.cancel()
            while not self._pending.empty():
                self._pending.get_nowait()
            self.finished.set()

    def stop(self) -> None:
        """Reads no more; what was read is still answered."""
        self.stopped = True
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self, messages: AsyncIterator[edge_pb2.DeviceMessage]) -> None:
        try:
            async for message in messages:
                kind = message.WhichOneof("message")
                if kind == "input":
                    await self._pending.put((message.input, self._begin(message.input)))
                elif kind == "report":
                    self.session.report = message.report
                else:
                    raise InvalidInput(f"after Hello come Input and Report, not {kind or 'an empty message'}")
        finally:
            await self._pending.put(None)

    def _begin(self, message: edge_pb2.Input) -> "asyncio.Task[Ran] | bytes":
        """Starts the work on an input; an answer that was given before is there at once."""
        self._newest = max(self._newest, message.sequence)
        known = self.ledger.find(self._key(message))
        if known is not None:
            return known
        task = asyncio.create_task(self._run(message))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Ran]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # Asked for, or asyncio complains where nobody waits for it any more.

    async def _run(self, message: edge_pb2.Input) -> Ran:
        """Decodes an input and runs its models, less those that ran on the device."""
        async with self._at_once:
            started = time.perf_counter()
            if message.deadline_ns and time.time_ns() > message.deadline_ns:
                raise DeadlineExceeded("its deadline was over before a model ran on it")
            if message.policy == edge_pb2.POLICY_LATEST and message.sequence < self._newest:
                raise Superseded(f"input {self._newest} took its place")
            unknown = sorted(set(message.models).difference(self.repository.specs))
            if unknown:
                raise UnknownModel(unknown[0], tuple(self.repository.specs))
            given = read_outputs(message.outputs, self.session.local, self.repository.specs)
            frame = await read_frame(message, self.repository.tail, self.config)
            exact, profiled = ({}, False) if frame is None else await self._execute(message, frame, given)
            return Ran(frame, exact | given, frozenset(given), time.perf_counter() - started, profiled)

    async def _execute(
        self, message: edge_pb2.Input, frame: Array, given: Mapping[str, Array]
    ) -> tuple[dict[str, Array], bool]:
        """What the models said that ran on a frame, and whether every model that fits was to run."""
        wanted, plan = frozenset(message.models), self.session.serving.plan
        due = self.session.serving.due(message.captured_ns / 1e9, audit=message.audit, wanted=wanted)
        # Whoever wants every input answered and sets no deadline gets the plan to the letter.
        wait = message.audit or (message.policy != edge_pb2.POLICY_LATEST and not message.deadline_ns)
        # A deadline leaves no time for models that have to be loaded first.
        profiled = None
        if self.reselection is not None and not message.deadline_ns and not wanted:
            profiled = self.reselection.profile(plan)
        residents = [name for name in plan.resident if name not in given and (not wanted or name in wanted)]
        others = [name for name in dict.fromkeys((*due, *(profiled or ()))) if name not in given]
        wait = wait or profiled is not None
        try:
            exact = await self.scheduler.run(frame, residents, others, self.session.key, wait=wait)
        except ModelFailed:
            if not given:
                raise
            exact = {}
        return exact, profiled is not None

    async def _answer(self, message: edge_pb2.Input, work: "asyncio.Task[Ran] | bytes") -> Any:
        """The answer, in the ledger before it is returned."""
        if isinstance(work, bytes):
            self.counts.repeated += 1
            return edge_pb2.CoordinatorMessage.FromString(work)
        try:
            ran = await work
        except InfilinkError as error:
            self.counts.refused += 1
            return refused_message(message.sequence, error)
        captured_s = message.captured_ns / 1e9
        if self.reselection is not None and self.session.watched is not None and ran.frame is not None:
            sample = Sample(self.session.watched, captured_s, ran.frame, ran.exact)
            self.reselection.came(sample, self.session.serving.plan, profiled=ran.profiled)
        specs, digests = self.repository.specs, self.repository.digests
        escalated = await self._escalate(message, ran)
        answers = self.session.complete(captured_s, ran.exact | escalated, message.models, escalated=escalated)
        outputs = {
            name: output_message(specs[name], digests[name], linked, age_s)
            for name, (linked, age_s) in answers.items()
            if name not in ran.given
        }
        answer = result_message(message.sequence, outputs, ran.executed_s)
        await self.ledger.record(self._key(message), answer.SerializeToString())
        self.counts.results += 1
        return answer

    async def _escalate(self, message: edge_pb2.Input, ran: Ran) -> dict[str, Array]:
        """The outputs of models that are worth running after all, by what would be answered for them."""
        if self.scheduler.escalation is None or ran.frame is None:
            return {}
        answers = self.session.serving.preview(message.captured_ns / 1e9, ran.exact)
        named = set(message.models) or set(self.session.wanted) or set(answers)
        left_s = message.deadline_ns / 1e9 - time.time() if message.deadline_ns else None
        asked = {name: answer for name, answer in answers.items() if name in named}
        return await self.scheduler.escalate(ran.frame, asked, left_s=left_s)

    def _key(self, message: edge_pb2.Input) -> InputKey:
        return InputKey(self.session.key.device, self.session.key.session, message.sequence)

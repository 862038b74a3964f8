"""What there is of an input before models are chosen for it: it is checked, decoded and seen by the links' stem.

Where no schedule chooses, its models run on it at once.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from ...errors import ModelFailed, QueueFull
from ...links.scheduling.schedule import Choice
from ...models.inputs.form import PICTURES
from ...models.inputs.payload import Payload
from ...models.process_child import Inferred
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.tracing import part
from ..config import CloudConfig
from ..metrics import Metrics
from ..repository import Repository
from ..runtime.input_pool import Held
from ..runtime.scheduler import Scheduler
from ..runtime.video_decoders import VideoDecoders
from .chains import Chains, takes_video
from .decoding import Ready
from .entry import Admitted, Entry
from .inputs import read_features, read_input, read_local_outputs
from .session import Session

# Inputs of one stream that are looked at at once: where all models run, they do on the next while the slowest ends on
# the first, in as many processes as a model has.
_AT_ONCE = 4
# The share of an input's time that is left for its answer to be kept and to travel: by its deadline it is to be there.
_WAY_BACK = 0.05


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
        picture: what it carried, where that was opened when it came: it can be decoded again.
    """

    shape: tuple[int, ...] | None
    frame: Held | None
    features: Array | None
    given: dict[str, Array]
    ran: dict[str, Inferred]
    took_s: float
    came_s: float
    picture: Payload | None = None


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


class Looking:
    """Looks at the inputs of one stream, a few at once.

    Args:
        config: the limits.
        repository: the models' specs.
        scheduler: runs the models.
        session: the stream's.
        metrics: measures what decoding takes.
        decoders: decode what is not decoded in this process.

    Attributes:
        chains: takes the packets of those that come as H.264.
    """

    def __init__(
        self,
        config: CloudConfig,
        repository: Repository,
        scheduler: Scheduler,
        session: Session,
        metrics: Metrics,
        decoders: VideoDecoders,
    ) -> None:
        self.config = config
        self.repository = repository
        self.scheduler = scheduler
        self.session = session
        self.metrics = metrics
        self.decoders = decoders
        takes_chains = takes_video(session.form, repository.tail)
        self.chains = Chains(
            decoders, takes=takes_chains, max_bytes=config.max_input_bytes, max_pixels=config.max_input_pixels
        )
        self._queue = scheduler.pool.queue
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def let_in(self, message: edge_pb2.Input, entry: Entry, *, check: Callable[[], None]) -> Admitted:
        """Lets an input in, or raises what it is refused with; what `Entry.admit` says."""
        models = self.fixed(message) if self.scheduler.schedule is None else ()
        deadline_s = self.deadline_s(message)
        if deadline_s < math.inf:
            deadline_s -= _WAY_BACK * max(0.0, deadline_s - self._queue.clock())
        return entry.admit(message, models, deadline_s, check=check)

    async def look(
        self,
        message: edge_pb2.Input,
        admitted: Admitted,
        picture: Payload | None = None,
        *,
        check: Callable[[], None],
        is_superseded: Callable[[], bool],
    ) -> Looked:
        """Looks at an input that was let in.

        Args:
            message: the input.
            admitted: as what.
            picture: what it carries, where that was opened when it came.
            check: raises the error that it is refused with, if there is one by now.
            is_superseded: whether no model is to look at it any more.

        Raises:
            InvalidInput: it carries what can't be read.
            DeadlineExceeded: its answer would be too late.
            InfilinkError: what `check` and the models raise.
        """
        is_scheduled = self.scheduler.schedule is not None
        async with self._at_once, AsyncExitStack() as turn:
            began_s = time.perf_counter()
            check()
            given = read_local_outputs(message.outputs, self.session.local, self.repository.specs)
            features = read_features(message, self.session.features)
            frame, ran = None, dict[str, Inferred]()

            async def ready() -> None:
                if not is_scheduled:
                    await turn.enter_async_context(self._queue.turn(admitted.models, admitted.deadline_s))
                    check()

            with part("decode"):
                if not is_superseded():
                    frame = await self._read_frame(message, admitted, picture, ready)
                if frame is not None:
                    features = await self._see(frame.frame)
                    self.metrics.stage("decode", time.perf_counter() - began_s)
            shape = None if frame is None else frame.frame.shape
            if frame is not None and not is_scheduled:
                must = [name for name in admitted.models if name not in given]
                choice = self.scheduler.choose(self.session.key, {}, must=must)
                ran = await self.run(frame, choice, given, deadline_s=admitted.deadline_s)
                # Its memory is not to wait for the inputs before it to be answered.
                frame = None
        took_s = time.perf_counter() - began_s
        return Looked(shape, frame, features, given, ran, took_s, admitted.came_s, picture)

    def fixed(self, message: edge_pb2.Input) -> list[str]:
        """The models that run on an input where no schedule chooses."""
        named = frozenset(message.models)
        return [name for name in self.session.serving.plan.resident if not named or name in named]

    async def run(
        self, frame: Held, choice: Choice, given: Collection[str], *, deadline_s: float
    ) -> dict[str, Inferred]:
        """The outputs of the chosen models; none where all fail on an input that carries outputs of others."""
        within_s = None if self.scheduler.schedule is None else self.scheduler.answer_within_s
        try:
            return await self.scheduler.run(self.session.key, frame, choice, within_s=within_s, deadline_s=deadline_s)
        except ModelFailed:
            if not given:
                raise
            return {}

    async def read_asked(self, message: edge_pb2.Frame) -> Held | None:
        """The frame that was asked for; it waits for nothing, as others wait for it. Raises InvalidInput."""
        sent = edge_pb2.Input(payload=message.payload, encoding=message.encoding)
        form, tail = self.session.form, self.repository.tail
        inputs, read_sound = self._queue.inputs, self.decoders.read_sound
        return await read_input(sent, form, tail, self.config, inputs, read_sound=read_sound, is_urgent=True)

    def deadline_s(self, message: edge_pb2.Input) -> float:
        """An input's deadline by the clock of the queue."""
        if not message.deadline_ns:
            return math.inf
        return float(self._queue.clock() + message.deadline_ns / 1e9 - time.time())

    async def _read_frame(
        self, message: edge_pb2.Input, admitted: Admitted, picture: Payload | None, ready: Ready
    ) -> Held | None:
        """The models' input, once there is room for it; None: a schedule answers without, as there is none in time."""
        is_scheduled = self.scheduler.schedule is not None
        left_s = max(0.0, admitted.deadline_s - self._queue.clock())
        within_s = min(left_s, self.scheduler.answer_within_s) if is_scheduled else left_s
        try:
            return await read_input(
                message,
                self.session.form,
                self.repository.tail,
                self.config,
                self._queue.inputs,
                picture=picture,
                read_sound=self.decoders.read_sound,
                within_s=within_s if math.isfinite(within_s) else None,
                ready=ready,
                models=admitted.models,
            )
        except QueueFull:
            if not is_scheduled:
                raise
            return None

    async def _see(self, frame: Array) -> Array | None:
        """What the links' stem makes of a frame: once an input, beside the event loop as decoding is."""
        graph = self.session.serving.graph
        if graph is None or graph.stem is None or self.session.form.modality != PICTURES.modality:
            return None
        seen = await asyncio.get_running_loop().run_in_executor(None, graph.stem.see, frame)
        return seen.features

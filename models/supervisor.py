"""A model that is kept running: its process is started again when it dies and ended when it hangs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from ..errors import InfilinkError, ModelFailed
from ..outputs import Array
from .process import ModelProcess
from .process_child import Inferred, InferredTensors, Reply
from .session import CPU_ONLY, SessionProviders
from .spec import ModelSpec

logger = logging.getLogger(__name__)

_Reply = TypeVar("_Reply", Inferred, InferredTensors)
State = Literal["unloaded", "loading", "loaded", "failed"]

RETRY_S = 5.0
"""How long a model whose process does not stay alive is left alone before it is started again."""


class Supervisor:
    """A model's process and, when that ends, the next one.

    One thread at a time loads, infers and unloads; the rest is for any thread.

    Args:
        name: the model's name.
        path: its file.
        threads: how many threads one inference may use.
        optimized: where onnxruntime's optimized form of the file is kept between loads.
        providers: what runs it (`open_session`).
        digest: of its file, for whoever asks what answered.
        kind: the process it runs in: for frames, or for the maps of a model's first part.
        infer_timeout_s: an inference that takes longer is ended with its process.
        repeat: whether an input on which the process ended is given to the next process; without it that input fails.
        clock: the time in seconds, for the wait between restarts.

    Attributes:
        state: what the process does.
        loads: how often the model was loaded.
        executions: how many outputs it gave.
        infer_s: what these took, inside the process.
        cpu_s: the processors' time of these, over all threads: what else ran does not count.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        threads: int = 1,
        optimized: Path | None = None,
        providers: SessionProviders = CPU_ONLY,
        digest: str = "",
        kind: Callable[..., ModelProcess] = ModelProcess,
        infer_timeout_s: float = 30.0,
        repeat: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.path = path
        self.threads = threads
        self.optimized = optimized
        self.providers = providers
        self.digest = digest
        self.kind = kind
        self.infer_timeout_s = infer_timeout_s
        self.repeat = repeat
        self.clock = clock
        self.state: State = "unloaded"
        self.loads = 0
        self.executions = 0
        self.infer_s = 0.0
        self.cpu_s = 0.0
        self._process: ModelProcess | None = None
        self._starting: ModelProcess | None = None
        self._spec: ModelSpec | None = None
        self._retry_at = 0.0
        self._stopped = False

    def twin(self) -> "Supervisor":
        """Another one of the same model, that has no process yet."""
        return Supervisor(
            self.name,
            self.path,
            threads=self.threads,
            optimized=self.optimized,
            providers=self.providers,
            digest=self.digest,
            kind=self.kind,
            infer_timeout_s=self.infer_timeout_s,
            repeat=self.repeat,
            clock=self.clock,
        )

    @property
    def process(self) -> ModelProcess | None:
        """The process, if it runs."""
        return self._process

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, once it was loaded."""
        assert self._spec is not None, "load() comes first"
        return self._spec

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def load(self, *, warm_up: bool = True) -> None:
        """Starts the process and loads the model; warmed up, its first output is as fast as the others.

        Raises:
            InvalidInput: the model can't be loaded.
            ModelFailed: its process ended, or was not ready in time.
        """
        self.state = "loading"
        try:
            process = self._starting = self.kind(
                self.path, threads=self.threads, optimized=self.optimized, providers=self.providers
            )
            # The first run takes longer than those that follow.
            process.load(warm_up=warm_up, timeout_s=2.0 * self.infer_timeout_s)
        except InfilinkError:
            self.state = "failed"
            raise
        finally:
            self._starting = None
        self._process, self._spec, self.state = process, process.spec, "loaded"
        self.loads += 1
        logger.info("%s: loaded in %.2f s", self.name, process.load_s)

    def infer(self, frame: Array) -> Array:
        """The model's output for a frame, from a new process where the last one ended.

        Raises:
            InvalidInput: this is no frame, or the model can't be loaded any more.
            BadOutput: what the model gave for this frame can't be used.
            ModelFailed: the model's spec does not fit, or its process ended or does not stay alive.
        """
        inferred = self._run(lambda process: process.infer(frame, timeout_s=self.infer_timeout_s))
        return inferred.value

    def infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str] = ()) -> Mapping[str, Array]:
        """The graph's own outputs for its own inputs; what `ModelProcess.infer_tensors` says, and `infer` raises."""
        return self._run(lambda process: process.infer_tensors(tensors, outputs, timeout_s=self.infer_timeout_s)).values

    def unload(self) -> None:
        """Ends the process; its memory is free when this returns."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self.state = "unloaded"

    def stop(self) -> None:
        """Ends the process for good, whatever it does: whoever waits for an output is told that it failed.

        `unload` then cleans up, once no other thread uses this any more.
        """
        self._stopped = True
        process = self._process or self._starting
        if process is not None:
            # Not close(): its pipe is in use by the thread that waits.
            process.kill()

    def memory_bytes(self) -> int:
        """What the process takes now; 0 when it does not run."""
        process = self._process
        return 0 if process is None else process.memory_bytes()

    def revive(self) -> ModelProcess:
        """The process, started again where the last one ended.

        Raises:
            InvalidInput: the model can't be loaded any more.
            ModelFailed: its process does not stay alive.
        """
        if self._process is None:
            if self.clock() < self._retry_at:
                raise ModelFailed(f"{self.name}: its process does not stay alive")
            self._retry_at = self.clock() + RETRY_S
            self.load(warm_up=False)
        assert self._process is not None
        return self._process

    def lost(self) -> None:
        """Takes note that the process has ended."""
        self.unload()
        self.state = "failed"

    def count(self, replies: Sequence[Reply]) -> None:
        """Counts what the process answered."""
        for reply in replies:
            if not isinstance(reply, InfilinkError):
                self.executions += 1
                self.infer_s += reply.infer_s
                self.cpu_s += reply.cpu_s

    def _run(self, ask: Callable[[ModelProcess], _Reply]) -> _Reply:
        """What the process replies, or the next one where it ended over this and that is to be repeated."""
        ended_before = self._process is None
        try:
            reply = self._ask(ask)
        except ModelFailed as error:
            if self._process is not None or ended_before or self._stopped or not self.repeat:
                raise
            logger.warning("%s; starting it again", error)
            # It was there a moment ago: one that has just been loaded is not asked again and again.
            self._retry_at = 0.0
            reply = self._ask(ask)
        self.count([reply])
        return reply

    def _ask(self, ask: Callable[[ModelProcess], _Reply]) -> _Reply:
        """Asks the process, which is started if there is none, and given up if it ends over this."""
        process = self.revive()
        try:
            return ask(process)
        except ModelFailed:
            if process.pid is None:
                self.lost()
            raise

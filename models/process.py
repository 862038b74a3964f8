"""A model in a process of its own: unloading it really gives its memory back, and what it holds can be measured.

Processes come from a fork server that, on Linux, has onnxruntime loaded already: a new one costs some 7 MB and is ready
as fast as its model loads. What a process takes is its *unique* set size: what would be free if it ended.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ClassVar, TypeVar, cast

import psutil

from ..errors import BadOutput, InfilinkError, InvalidInput, ModelFailed
from ..outputs import Array
from .external_data import external_files
from .forked import fork
from .onnx_model import try_out
from .own_memory import own_bytes
from .process_child import (
    FRAME,
    Inferable,
    Inferred,
    InferredTensors,
    Loaded,
    Opening,
    Reply,
    Work,
    get,
    put,
    received,
    serve_model,
    share,
)
from .session import CPU_ONLY, SessionProviders
from .shared_memory import SharedReader, SharedWriter
from .spec import ModelSpec
from .tensor_model import blank, open_model

_START_TIMEOUT_S = 60.0
_Reply = TypeVar("_Reply")


class ProcessEnded(ModelFailed):
    """A model's process is there no more: what it was asked has no answer, and may be asked of the next one."""


class ModelProcess:
    """An `OnnxModel` in a process of its own. Close it, or use it as a context manager.

    Args:
        path: the `.onnx` file.
        threads: how many threads one inference may use.
        optimized: where onnxruntime's own optimized form of the file is kept between loads; None: it is not.
        providers: what runs it (`open_session`).

    Attributes:
        batches: whether its graph takes several inputs at once, known once it is loaded.
    """

    opener: ClassVar[Callable[..., Inferable]] = staticmethod(open_model)
    """Makes what is served, in the process: called with the path, `threads`, `optimized` and `providers`."""

    def __init__(
        self,
        path: Path | str,
        *,
        threads: int = 1,
        optimized: Path | None = None,
        providers: SessionProviders = CPU_ONLY,
    ) -> None:
        self.path = Path(path)
        self.threads = threads
        self.optimized = optimized
        self.providers = providers
        self.batches = False
        self.load_s = 0.0
        self._process: BaseProcess | None = None
        self._pid: int | None = None
        self._pipe: Connection | None = None
        self._gives, self._given = SharedWriter(), SharedReader()
        self._spec: ModelSpec | None = None
        self._has_files = False

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, once it is loaded."""
        assert self._spec is not None, "load() comes first"
        return self._spec

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is none, and once it is known to have ended. Any thread may ask."""
        return self._pid

    def load(self, *, warm_up: bool = True, timeout_s: float | None = None) -> "ModelProcess":
        """Starts the process and loads the model; to warm it up it runs once on a grey frame.

        Args:
            warm_up: whether it runs.
            timeout_s: how long it may run then; None: as long as it wants.

        Raises:
            InvalidInput: what `OnnxModel` raises.
            ModelFailed: the process ended or did not get ready in time.
        """
        started = time.perf_counter()
        with suppress(InvalidInput, OSError):  # Whoever opens it says so.
            self._has_files = self.path.suffix == ".onnx" and bool(external_files(self.path))
        self._start(Opening(type(self).opener, self.path, self.threads, self.optimized, self.providers))
        assert self._pipe is not None
        try:
            if not self._pipe.poll(_START_TIMEOUT_S):
                raise ModelFailed(f"{self.path}: not ready after {_START_TIMEOUT_S:.0f} s")
            loaded = cast(Loaded, self._receive())
            self._spec, self.batches = loaded.spec, loaded.batches
            if warm_up:
                self.warm_up(timeout_s)
        except BaseException:
            self.close()
            raise
        self.load_s = time.perf_counter() - started
        return self

    def _start(self, opening: Opening) -> None:
        """Has a process load the model: one of its own."""
        self._process, self._pipe = fork(serve_model, opening)
        self._pid = self._process.pid

    def warm_up(self, timeout_s: float | None = None) -> None:
        """Runs it once on a frame of one colour, or on zeros; it is ended if that takes too long."""
        if self.looks:
            try_out(lambda value: self.infer(value, timeout_s=timeout_s).value, self.samples())
        elif (tensors := blank(self.path)) is not None:
            # What a graph makes of zeros may be an error; it runs all the same.
            with suppress(InvalidInput, BadOutput):
                self.infer_tensors(tensors, timeout_s=timeout_s)

    @property
    def looks(self) -> bool:
        """Whether it looks at inputs, not at tensors alone."""
        return self.spec.serve == "site"

    def samples(self) -> list[Array]:
        """Inputs to try it out with."""
        return self.spec.fed.samples()

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no input of the kind that it looks at."""
        if self.looks:
            self.spec.fed.check(value)

    def infer(self, value: Array, *, timeout_s: float | None = None) -> Inferred:
        """The model's output for one input; blocks until it is there.

        Args:
            value: what its spec's `input` says: a frame (uint8 BGR), a signal, a sound.
            timeout_s: how long the process may take before it is ended; None: as long as it wants.

        Raises:
            InvalidInput: this is no such input.
            BadOutput: what the model gave for this input can't be used; the process runs on.
            ModelFailed: the model's spec does not fit, its process ended (`pid` is then None), or this is closed.
        """
        self.check(value)
        return self._ask(Inferred, {FRAME: value}, (), timeout_s)

    def infer_tensors(
        self, tensors: Mapping[str, Array], outputs: Sequence[str] = (), *, timeout_s: float | None = None
    ) -> InferredTensors:
        """The graph's own outputs for its own inputs, neither preprocessed nor decoded; blocks until they are there.

        Args:
            tensors: the inputs by their names; text as an array of objects.
            outputs: the outputs that are asked for; empty: all.
            timeout_s: as for `infer`.

        Raises:
            InvalidInput: they are not what the graph takes, or too large.
            BadOutput: the graph raised on them; the process runs on.
            ModelFailed: its process ended (`pid` is then None), or this is closed.
        """
        return self._ask(InferredTensors, tensors, outputs, timeout_s)

    def send(self, works: Sequence[Work]) -> None:
        """Gives inputs to the process, whose replies `receive` returns; one group at a time.

        Raises:
            ModelFailed: its process ended (`pid` is then None), or this is closed.
        """
        if self._pipe is None:
            raise ModelFailed(f"{self.path.stem}: is closed, or was never loaded")
        try:
            put(self._pipe, works)
        except OSError as error:
            raise self._ended("its process has ended") from error

    def receive(self, timeout_s: float | None = None) -> list[Reply]:
        """The replies to the inputs that were sent; blocks until they are there.

        Raises:
            ModelFailed: its process ended (`pid` is then None), or was ended as it took longer.
        """
        return received(self._given, cast(list[Reply], self._receive(timeout_s)))

    def hangs(self, after_s: float) -> ProcessEnded:
        """Ends the process, as it has not answered for so long; what whoever waits is told."""
        self.kill()
        return self._ended(f"no output after {after_s:g} s; its process was ended")

    def fileno(self) -> int:
        """The pipe's number: readable once there are replies, or the process has ended."""
        assert self._pipe is not None, "load() comes first"
        return self._pipe.fileno()

    def memory_bytes(self) -> int:
        """What the process has to itself now; 0 when it is not running. Any thread may ask.

        Where the system tells that of one's own process only, as macOS does, it is the whole resident set size.
        """
        pid = self._pid
        return 0 if pid is None else own_bytes(pid, with_files=self._has_files)

    def cpu_s(self) -> float:
        """What it took of processors so far; 0 when it is not running."""
        with suppress(psutil.Error):
            times = psutil.Process(self.pid).cpu_times() if self.pid is not None else None
            return 0.0 if times is None else float(times.user + times.system)
        return 0.0

    def transient_bytes(self) -> int:
        """How much more than now the process once held, inside an inference; 0 where the system does not say."""
        with suppress(OSError, StopIteration, ValueError, IndexError):
            lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
            most, now = (int(next(x for x in lines if x.startswith(key)).split()[1]) for key in ("VmHWM:", "VmRSS:"))
            return max(0, most - now) * 1024
        return 0

    def kill(self) -> None:
        """Ends the process from any thread, whatever it does: whoever waits for its answer is told that it failed."""
        pid = self._pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends the process and waits until its memory is free; closing twice is fine."""
        self._pid = None
        if self._process is not None:
            # It holds nothing that needs a tidy end, and waiting for a running inference would hold its memory. It goes
            # before the pipe: whoever waits for its answer in another thread then hears the end of it.
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        self._gives.close()

    def __enter__(self) -> "ModelProcess":
        """Loads the model."""
        return self.load()

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self.close()

    def _ask(
        self, kind: type[_Reply], tensors: Mapping[str, Array], outputs: Sequence[str], timeout_s: float | None
    ) -> _Reply:
        """The process's reply to one input, which is copied into memory that both see."""
        try:
            shared = share(self._gives, tensors)
        except OSError as error:
            raise ModelFailed(f"{self.path.stem}: no memory to hand an input over: {error}") from error
        self.send([Work(shared, outputs)])
        (reply,) = self.receive(timeout_s)
        if isinstance(reply, InfilinkError):
            raise reply
        if not isinstance(reply, kind):
            raise ModelFailed(f"{self.path}: its process answered {reply!r}")
        return reply

    def _receive(self, timeout_s: float | None = None) -> object:
        # It may be closed by another thread, which does not wait for an inference.
        pipe = self._pipe
        try:
            if pipe is None:
                raise EOFError
            if timeout_s is not None and not pipe.poll(timeout_s):
                raise self.hangs(timeout_s)
            reply = get(pipe)
        except (EOFError, OSError) as error:
            raise self._ended("its process has ended (killed, or out of memory)") from error
        if isinstance(reply, InfilinkError):
            raise reply
        return reply

    def _ended(self, why: str) -> ProcessEnded:
        """Takes note that there is no process any more; what its owner is told."""
        self._pid = None
        return ProcessEnded(f"{self.path.stem}: {why}")

"""A model in a process of its own: unloading it really gives its memory back, and what it holds can be measured.

Processes come from a fork server that has onnxruntime loaded already: a new one costs some 7 MB and is ready as fast
as its model loads. What it counts is its *unique* set size: what would be free if it ended.
"""

import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import psutil

from .errors import InfilinkError, InvalidInput, ModelFailed
from .models import ModelSpec, OnnxModel
from .outputs import Array

_START_TIMEOUT_S = 60.0
# Not `__main__`, as is the default: a program that imports much would be copied into every worker.
_PRELOAD = ["infilink.process"]


@dataclass(frozen=True)
class ModelCost:
    """What a model costs on this machine, measured.

    Attributes:
        memory_bytes: unique set size of its process after a few inferences.
        infer_s: median time of one inference, preprocessing and decoding included.
        load_s: from the start of the process to its first output.
    """

    memory_bytes: int
    infer_s: float
    load_s: float


@dataclass(frozen=True)
class Inferred:
    """One output and how long it took inside the model's process."""

    value: Array
    infer_s: float


class ModelProcess:
    """An `OnnxModel` in a process of its own. Close it, or use it as a context manager.

    Args:
        path: the `.onnx` file.
        threads: how many threads one inference may use.
    """

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        self.path = Path(path)
        self.threads = threads
        self.load_s = 0.0
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._spec: ModelSpec | None = None

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, once it is loaded."""
        assert self._spec is not None, "load() comes first"
        return self._spec

    @property
    def pid(self) -> int:
        """The process's number, once it is loaded."""
        assert self._process is not None and self._process.pid is not None, "load() comes first"
        return self._process.pid

    def load(self) -> "ModelProcess":
        """Starts the process, loads the model and runs it once on a grey frame.

        Raises:
            InvalidInput: what `OnnxModel` raises.
            ModelFailed: the process ended or did not get ready in time.
        """
        started = time.perf_counter()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(str(self.path), self.threads, theirs), daemon=True)
        with _no_main():
            self._process.start()
        theirs.close()
        try:
            if not self._pipe.poll(_START_TIMEOUT_S):
                raise ModelFailed(f"{self.path}: not ready after {_START_TIMEOUT_S:.0f} s")
            reply = self._receive()
            if not isinstance(reply, ModelSpec):
                raise ModelFailed(f"{self.path}: its process answered {reply!r}")
            self._spec = reply
            self.infer(np.full((360, 640, 3), 114, np.uint8))
        except BaseException:
            self.close()
            raise
        self.load_s = time.perf_counter() - started
        return self

    def infer(self, frame: Array) -> Inferred:
        """The model's output for one frame (uint8 BGR); blocks until it is there.

        Raises:
            ModelFailed: the model failed on this frame, or its process ended.
        """
        assert self._pipe is not None, "load() comes first"
        frame = np.ascontiguousarray(frame)
        try:
            self._pipe.send(frame.shape)
            self._pipe.send_bytes(frame.reshape(-1).data)
        except OSError as error:
            raise ModelFailed(f"{self.path.stem}: its process has ended") from error
        reply = self._receive()
        if not isinstance(reply, Inferred):
            raise ModelFailed(f"{self.path}: its process answered {reply!r}")
        return reply

    def memory_bytes(self) -> int:
        """The process's unique set size now; 0 when it is not running."""
        if self._process is None or self._process.pid is None:
            return 0
        try:
            return int(psutil.Process(self._process.pid).memory_full_info().uss)
        except psutil.Error:
            return 0

    def close(self) -> None:
        """Ends the process and waits until its memory is free; closing twice is fine."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            # It holds nothing that needs a tidy end, and waiting for a running inference would hold its memory.
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None

    def __enter__(self) -> "ModelProcess":
        """Loads the model."""
        return self.load()

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self.close()

    def _receive(self) -> object:
        assert self._pipe is not None
        try:
            reply = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ModelFailed(f"{self.path.stem}: its process has ended (killed, or out of memory)") from error
        if isinstance(reply, InfilinkError):
            raise reply
        return reply


def start_fork_server() -> None:
    """Starts the fork server now, so that the first model to load does not pay for it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    with _no_main():
        process = context.Process(target=_nothing)
        process.start()
    process.join()
    process.close()


def _nothing() -> None:
    """What the fork server's first process does."""


def measure_cost(path: Path | str, frames: Sequence[Array], *, threads: int = 1) -> ModelCost:
    """Loads a model in a process of its own, runs it on `frames`, and says what it took.

    Raises:
        InvalidInput: no frames, or what `OnnxModel` raises.
    """
    if not frames:
        raise InvalidInput("measuring a model needs at least one frame")
    with ModelProcess(path, threads=threads) as process:
        times, most = [], 0
        for frame in frames:
            times.append(process.infer(frame).infer_s)
            most = max(most, process.memory_bytes())
        return ModelCost(memory_bytes=most, infer_s=float(np.median(times)), load_s=process.load_s)


@contextmanager
def _no_main() -> Iterator[None]:
    """Starts a process without importing the caller's program into it.

    multiprocessing would run the main module again in every worker, which costs memory and trips over any script
    that has no `if __name__ == "__main__"`; a worker needs nothing of it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(path: str, threads: int, pipe: Connection) -> None:
    """The process's whole life: load, then one frame after another until the pipe closes."""
    cv2.setNumThreads(threads)
    try:
        model = OnnxModel(path, threads=threads)
    except InfilinkError as error:
        pipe.send(_plain(error))
        return
    pipe.send(model.spec)
    buffer = np.empty(0, np.uint8)
    while True:
        try:
            shape = pipe.recv()
            size = int(np.prod(shape))
            if buffer.size < size:
                buffer = np.empty(size, np.uint8)
            pipe.recv_bytes_into(buffer[:size].data)
        except (EOFError, OSError, KeyboardInterrupt):
            return
        started = time.perf_counter()
        try:
            value = model.infer(buffer[:size].reshape(shape))
            pipe.send(Inferred(value, time.perf_counter() - started))
        except InfilinkError as error:
            pipe.send(_plain(error))
        except KeyboardInterrupt:
            return


def _plain(error: InfilinkError) -> InfilinkError:
    """The same kind of error with its text alone: what caused it may not survive the pipe."""
    return (InvalidInput if isinstance(error, InvalidInput) else ModelFailed)(str(error))

"""A model's process from inside: it loads the model and answers one frame after another until its owner is gone."""

import ctypes
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import cv2

from ..errors import BadOutput, InfilinkError, InvalidInput, ModelFailed
from ..outputs import Array
from .session import CPU_ONLY, SessionProviders
from .shared_memory import SharedArray, SharedReader, SharedWriter
from .spec import ModelSpec

# M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX. Left to itself glibc raises the first with what is freed and keeps
# the pieces for ever: yolox_nano grew from 36 to 118 MiB over 200 frames. With a first of 1 MiB every tensor is mapped
# anew at each inference, and its pages are zeroed: 1,300 faults, a fifth of yolox_nano's time. These keep one such
# tensor: no faults, for 5 MiB more.
_MALLOC = ((-3, 2**22), (-1, 2**22), (-8, 1))


@dataclass(frozen=True)
class Inferred:
    """One output, and what it took inside the model's process: time on the wall, and time of processors."""

    value: Array
    infer_s: float
    cpu_s: float = 0.0


@dataclass(frozen=True)
class InferredTensors:
    """A graph's own outputs, by their names, and what they took inside the model's process."""

    values: Mapping[str, Array]
    infer_s: float
    cpu_s: float = 0.0


class Inferable(Protocol):
    """What runs in the process: an `OnnxModel`, or the second part of one."""

    spec: ModelSpec

    def infer(self, frame: Array) -> Array:
        """The output for a frame, or for the bytes of a map."""

    def infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str] = ()) -> Mapping[str, Array]:
        """The graph's own outputs for its own inputs."""


@dataclass(frozen=True)
class SentTensors:
    """Tensors on their way: each lies in shared memory, or is here if it holds text.

    Attributes:
        tensors: by name; of a reply, the outputs.
        outputs: of a request, the outputs that are asked for; empty: all.
        infer_s: of a reply, what it took.
        cpu_s: the same of processors.
    """

    tensors: Mapping[str, SharedArray | Array]
    outputs: Sequence[str] = ()
    infer_s: float = 0.0
    cpu_s: float = 0.0


MOST_TENSOR_BYTES = 2**30
"""What the inputs, or the outputs, of one inference may take together."""


def send_tensors(memory: SharedWriter, tensors: Mapping[str, Array]) -> dict[str, SharedArray | Array]:
    """Puts tensors into shared memory; those of text, which has no place there, go through the pipe.

    Raises:
        InvalidInput: they are too large.
    """
    size_bytes = sum(tensor.nbytes for tensor in tensors.values())
    if size_bytes > MOST_TENSOR_BYTES:
        raise InvalidInput(f"the tensors have {size_bytes} bytes; at most {MOST_TENSOR_BYTES} are taken at once")
    flat = {name: tensor for name, tensor in tensors.items() if not tensor.dtype.hasobject}
    return {**tensors, **memory.write_all(flat)}


def take_tensors(memory: SharedReader, sent: Mapping[str, SharedArray | Array]) -> dict[str, Array]:
    """The tensors that the other side sent: views of its memory, until it sends the next ones."""
    return {name: memory.read(each) if isinstance(each, SharedArray) else each for name, each in sent.items()}


@dataclass(frozen=True)
class Opening:
    """What is opened in the process, and how: `opener(path, threads=, optimized=, providers=)`."""

    opener: Callable[..., Inferable]
    path: Path
    threads: int = 1
    optimized: Path | None = None
    providers: SessionProviders = CPU_ONLY

    def open(self) -> Inferable:
        """Opens it, which raises what the opener does."""
        return self.opener(self.path, threads=self.threads, optimized=self.optimized, providers=self.providers)


def serve_model(opening: Opening, pipe: Connection) -> None:
    """The whole life of a process with one model: load, then one frame after another until the pipe closes."""
    prepare_process(opening.threads)
    answer_all(opening, pipe)


def prepare_process(threads: int) -> None:
    """Makes a process one that serves models: it ends with its owner alone, and gives freed memory back."""
    # Ctrl-C and a service manager's SIGTERM reach the whole group, but are for the program that owns this process: it
    # ends it when it has finished what it began. If that program dies, the pipe ends, and so does this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _steady_malloc()
    cv2.setNumThreads(threads)


def answer_all(opening: Opening, pipe: Connection, *, cpu_clock: Callable[[], float] = time.process_time) -> None:
    """Loads a model and answers one request after another until the pipe closes; in any thread of such a process.

    Args:
        opening: the model.
        pipe: to who asks.
        cpu_clock: what an inference takes of processors is told by it.
    """
    try:
        model = opening.open()
    except InfilinkError as error:
        pipe.send(_plain(error))
        return
    pipe.send(model.spec)
    given, gives = SharedReader(), SharedWriter()
    while True:
        try:
            request = pipe.recv()
        except (EOFError, OSError):
            return
        reply: Inferred | SentTensors | InfilinkError
        try:
            reply = _answer(model, request, given, gives, cpu_clock)
        except InfilinkError as error:
            reply = _plain(error)
        except Exception as error:  # whatever one frame brings about, the next one may be fine
            reply = ModelFailed(f"{model.spec.name}: {type(error).__name__}: {error}")
        try:
            pipe.send(reply)
        except OSError:
            return


def _answer(
    model: Inferable,
    request: SharedArray | SentTensors,
    given: SharedReader,
    gives: SharedWriter,
    cpu_clock: Callable[[], float],
) -> Inferred | SentTensors:
    started, cpu_started = time.perf_counter(), cpu_clock()
    if not isinstance(request, SentTensors):
        value = model.infer(given.read(request))
        return Inferred(value, time.perf_counter() - started, cpu_clock() - cpu_started)
    values = model.infer_tensors(take_tensors(given, request.tensors), request.outputs)
    took_s, cpu_s = time.perf_counter() - started, cpu_clock() - cpu_started
    try:
        return SentTensors(send_tensors(gives, values), infer_s=took_s, cpu_s=cpu_s)
    except InvalidInput as error:
        raise BadOutput(f"{model.spec.name}: of its outputs, {error}") from error


def _steady_malloc() -> None:
    """Makes glibc give freed memory back at once, so that what a worker holds stays what was measured."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for option, value in _MALLOC:
            if hasattr(libc, "mallopt"):
                libc.mallopt(option, value)


def _plain(error: InfilinkError) -> InfilinkError:
    """The same kind of error with its text alone: what caused it may not survive the pipe."""
    kind = next((kind for kind in (InvalidInput, BadOutput) if isinstance(error, kind)), ModelFailed)
    return kind(str(error))

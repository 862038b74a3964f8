"""A model's process from inside: it loads the model and answers one frame after another until its owner is gone."""

import ctypes
import math
import pickle
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np

from ..errors import BadOutput, DeadlineExceeded, InfilinkError, InvalidInput, ModelFailed
from ..outputs import Array
from .session import CPU_ONLY, SessionProviders
from .shared_memory import SharedArray, SharedMemory, SharedReader, SharedWriter, padded
from .spec import ModelSpec

_Key = TypeVar("_Key")

# Of Linux's prctl.h.
_PR_SET_THP_DISABLE = 41

# M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX. Left to itself glibc raises the first with what is freed and keeps
# the pieces for ever: yolox_nano grew from 36 to 118 MiB over 200 frames. With a first of 1 MiB every tensor is mapped
# anew at each inference, and its pages are zeroed: 1,300 faults, a fifth of yolox_nano's time. These keep one such
# tensor: no faults, for 5 MiB more.
_MALLOC = ((-3, 2**22), (-1, 2**22), (-8, 1))


class Inferred(NamedTuple):
    """One output, and what it took inside the model's process: time on the wall, and time of processors.

    Attributes:
        digest: of the file that it is from; empty: nobody said.
    """

    value: Array
    infer_s: float
    cpu_s: float = 0.0
    digest: str = ""


class InferredTensors(NamedTuple):
    """A graph's own outputs, by their names, and what they took inside the model's process."""

    values: Mapping[str, Array]
    infer_s: float
    cpu_s: float = 0.0


class Inferable(Protocol):
    """What runs in the process: an `OnnxModel`, or the second part of one.

    One whose graph takes any number of inputs at once says so by `batches = True`, and has `infer_batch(frames)`, too.
    """

    spec: ModelSpec

    def infer(self, frame: Array) -> Array:
        """The output for a frame, or for the bytes of a map."""

    def infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str] = ()) -> Mapping[str, Array]:
        """The graph's own outputs for its own inputs."""


@dataclass(frozen=True)
class Loaded:
    """What a process says when its model is loaded: the model's spec, and whether its graph takes several at once."""

    spec: ModelSpec
    batches: bool


Sent = SharedArray | Array
"""An array on its way: where it lies, or itself, if it is small or holds text."""


class Work(NamedTuple):
    """One input for a model, as its process is given it.

    Attributes:
        tensors: a graph's inputs by name; one frame without a name.
        outputs: of a graph, the outputs that are asked for; empty: all.
        deadline_s: by `time.monotonic`, which all processes share: what is begun later is of no use.
    """

    tensors: Mapping[str, Sent]
    outputs: Sequence[str] = ()
    deadline_s: float = math.inf

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame."""
        return FRAME in self.tensors


FRAME = ""
"""The name of a frame among tensors: no input of a graph has it."""

MOST_TENSOR_BYTES = 2**30
"""What the inputs, or the outputs, of one inference may take together."""

SMALL_BYTES = 2**14
"""An array that is no larger is faster in the message itself."""


def _is_large(tensor: Array) -> bool:
    return tensor.nbytes > SMALL_BYTES and not tensor.dtype.hasobject


def share(memory: SharedWriter, tensors: Mapping[_Key, Array]) -> dict[_Key, Sent]:
    """Puts tensors into shared memory; those of text, which has no place there, and small ones stay as they are.

    Raises:
        InvalidInput: they are too large.
    """
    size_bytes = sum(tensor.nbytes for tensor in tensors.values())
    if size_bytes > MOST_TENSOR_BYTES:
        raise InvalidInput(f"the tensors have {size_bytes} bytes; at most {MOST_TENSOR_BYTES} are taken at once")
    large = {key: each for key, each in tensors.items() if _is_large(each)}
    sent: dict[_Key, Sent] = dict(tensors)
    if large:
        sent.update(memory.write_all(large))
    return sent


def share_into(memory: SharedMemory, tensors: Mapping[str, Array]) -> dict[str, Sent]:
    """As `share`, in memory that holds them all."""
    sent: dict[str, Sent] = dict(tensors)
    offset = 0
    for name, each in tensors.items():
        if _is_large(each):
            sent[name], target = memory.at(offset, each.dtype, each.shape)
            np.copyto(target, each)
            offset += padded(each.nbytes)
    return sent


def take(memory: SharedReader, sent: Mapping[_Key, Sent]) -> dict[_Key, Array]:
    """The tensors that the other side shared: views of its memory, until it shares the next ones."""
    return {key: memory.read(each) if isinstance(each, SharedArray) else each for key, each in sent.items()}


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
    pipe.send(Loaded(model.spec, getattr(model, "batches", False)))
    server = _Server(model, cpu_clock)
    while True:
        try:
            put(pipe, server.answer(get(pipe)))
        except (EOFError, OSError):
            return


def put(pipe: Connection, message: Any) -> None:
    """Sends what either side says; `Connection.send` makes a table of its own types for each message."""
    pipe.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def get(pipe: Connection) -> Any:
    """What the other side said; blocks until it is there."""
    return pickle.loads(pipe.recv_bytes())


Reply = Inferred | InferredTensors | InfilinkError


class _Server:
    """Answers groups of inputs with one model."""

    def __init__(self, model: Inferable, cpu_clock: Callable[[], float]) -> None:
        self._model = model
        self._cpu_clock = cpu_clock
        self._given, self._gives = SharedReader(), SharedWriter()

    def answer(self, works: Sequence[Work]) -> list[Reply]:
        """A reply to each, in their order; the large arrays of all lie in shared memory until the next group's."""
        replies = self._batch(works) if len(works) > 1 else None
        replies = [self._one(work) for work in works] if replies is None else replies
        outputs = {(at, name): value for at, reply in enumerate(replies) for name, value in _arrays(reply).items()}
        if not any(map(_is_large, outputs.values())):
            return replies
        try:
            sent = share(self._gives, outputs)
        except (InvalidInput, OSError) as error:
            failed = BadOutput(f"{self._model.spec.name}: of its outputs, {error}")
            return [failed] * len(works)
        return [_with(reply, {name: sent[at, name] for name in _arrays(reply)}) for at, reply in enumerate(replies)]

    def _one(self, work: Work) -> Reply:
        try:
            return self._infer(work)
        except InfilinkError as error:
            return _plain(error)
        except Exception as error:  # whatever one input brings about, the next one may be fine
            return ModelFailed(f"{self._model.spec.name}: {type(error).__name__}: {error}")

    def _infer(self, work: Work) -> Reply:
        if time.monotonic() > work.deadline_s:
            raise DeadlineExceeded(f"{self._model.spec.name}: the deadline passed before it ran")
        tensors = take(self._given, work.tensors)
        started, cpu_started = time.perf_counter(), self._cpu_clock()
        if work.is_frame:
            value = self._model.infer(tensors[FRAME])
            return Inferred(value, time.perf_counter() - started, self._cpu_clock() - cpu_started)
        values = self._model.infer_tensors(tensors, work.outputs)
        return InferredTensors(values, time.perf_counter() - started, self._cpu_clock() - cpu_started)

    def _batch(self, works: Sequence[Work]) -> list[Reply] | None:
        """The replies from one run over all; None where they do not go together, or one of them spoils it."""
        now_s = time.monotonic()
        if not getattr(self._model, "batches", False) or any(now_s > work.deadline_s for work in works):
            return None
        try:
            given = [take(self._given, work.tensors) for work in works]
            started, cpu_started = time.perf_counter(), self._cpu_clock()
            if all(work.is_frame for work in works):
                values = self._model.infer_batch([tensors[FRAME] for tensors in given])  # type: ignore[attr-defined]
            else:
                values = infer_together(self._model, given, works[0].outputs) if _alike(works, given) else None
        except Exception:  # which of them brings it about is seen when they run one by one
            return None
        if values is None:
            return None
        took_s, cpu_s = time.perf_counter() - started, self._cpu_clock() - cpu_started
        share_s, share_cpu_s = took_s / len(works), cpu_s / len(works)
        return [
            _plain(each)
            if isinstance(each, InfilinkError)
            else InferredTensors(each, share_s, share_cpu_s)
            if isinstance(each, Mapping)
            else Inferred(each, share_s, share_cpu_s)
            for each in values
        ]


def infer_together(
    model: Inferable, given: Sequence[Mapping[str, Array]], outputs: Sequence[str]
) -> list[Mapping[str, Array]] | None:
    """The outputs for each of several inputs from one run: their rows are put behind each other, and taken apart again.

    None: the outputs have another number of rows.
    """
    rows = [len(next(iter(tensors.values()))) for tensors in given]
    whole = {name: np.concatenate([tensors[name] for tensors in given]) for name in given[0]}
    values = model.infer_tensors(whole, outputs)
    if any(value.shape[:1] != (sum(rows),) for value in values.values()):
        return None
    ends = np.cumsum(rows).tolist()
    return [{name: value[end - n : end] for name, value in values.items()} for n, end in zip(rows, ends, strict=True)]


def _alike(works: Sequence[Work], given: Sequence[Mapping[str, Array]]) -> bool:
    """Whether tensors can be put behind each other: the same names, types and shapes but for the number of rows."""

    def form(work: Work, tensors: Mapping[str, Array]) -> Any:
        rows = {each.shape[:1] for each in tensors.values()}
        shapes = {name: (each.dtype, each.shape[1:]) for name, each in tensors.items()}
        return len(rows) == 1 and () not in rows and tuple(work.outputs), shapes

    first, *others = (form(work, tensors) for work, tensors in zip(works, given, strict=True))
    return first[0] is not False and all(each == first for each in others)


def _arrays(reply: Reply) -> Mapping[str, Any]:
    if isinstance(reply, Inferred):
        return {FRAME: reply.value}
    return reply.values if isinstance(reply, InferredTensors) else {}


def _with(reply: Reply, arrays: Mapping[str, Any]) -> Reply:
    if isinstance(reply, Inferred):
        return reply._replace(value=arrays[FRAME])
    return reply._replace(values=arrays) if isinstance(reply, InferredTensors) else reply


def received(memory: SharedReader, replies: Sequence[Reply]) -> list[Reply]:
    """The replies of a process, their arrays copied out of its memory, which it writes again at the next group."""
    found = []
    for reply in replies:
        arrays = _arrays(reply)
        copied = {name: np.array(memory.read(each)) for name, each in arrays.items() if isinstance(each, SharedArray)}
        found.append(_with(reply, {**arrays, **copied}) if copied else reply)
    return found


def use_small_pages() -> None:
    """Has this process get no huge pages: what a model takes and gives back is told to the megabyte then.

    Where several models share a process, each is measured by what the whole takes more or less.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "prctl"):
            libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _steady_malloc() -> None:
    """Makes glibc give freed memory back at once, so that what a worker holds stays what was measured."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for option, value in _MALLOC:
            if hasattr(libc, "mallopt"):
                libc.mallopt(option, value)


def _plain(error: InfilinkError) -> InfilinkError:
    """The same kind of error with its text alone: what caused it may not survive the pipe."""
    kind = next((kind for kind in (InvalidInput, BadOutput, DeadlineExceeded) if isinstance(error, kind)), ModelFailed)
    return kind(str(error))

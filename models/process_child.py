"""A model's process from inside: it loads the model and answers one frame after another until its owner is gone."""

import ctypes
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import cv2

from ..errors import BadOutput, InfilinkError, InvalidInput, ModelFailed
from ..outputs import Array
from .shared_frame import FrameReader
from .spec import ModelSpec

# M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX. Left to itself glibc raises the first with what is freed and keeps
# the pieces for ever: yolox_nano grew from 36 to 118 MiB over 200 frames, and stays at 29 with these.
_MALLOC = ((-3, 2**20), (-1, 2**18), (-8, 1))


@dataclass(frozen=True)
class Inferred:
    """One output, and what it took inside the model's process: time on the wall, and time of processors."""

    value: Array
    infer_s: float
    cpu_s: float = 0.0


class Inferable(Protocol):
    """What runs in the process: an `OnnxModel`, or the second part of one."""

    spec: ModelSpec

    def infer(self, frame: Array) -> Array:
        """The output for a frame, or for the bytes of a map."""


def serve_model(
    opener: Callable[..., Inferable], path: Path, threads: int, optimized: Path | None, pipe: Connection
) -> None:
    """The process's whole life: load, then one frame after another until the pipe closes."""
    # Ctrl-C and a service manager's SIGTERM reach the whole group, but are for the program that owns this process: it
    # ends it when it has finished what it began. If that program dies, the pipe ends, and so does this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _steady_malloc()
    cv2.setNumThreads(threads)
    try:
        model = opener(path, threads=threads, optimized=optimized)
    except InfilinkError as error:
        pipe.send(_plain(error))
        return
    pipe.send(model.spec)
    frames = FrameReader()
    while True:
        try:
            request = pipe.recv()
        except (EOFError, OSError):
            return
        reply: Inferred | InfilinkError
        try:
            frame = frames.read(*request)
            started, cpu_started = time.perf_counter(), time.process_time()
            value = model.infer(frame)
            reply = Inferred(value, time.perf_counter() - started, time.process_time() - cpu_started)
        except InfilinkError as error:
            reply = _plain(error)
        except Exception as error:  # whatever one frame brings about, the next one may be fine
            reply = ModelFailed(f"{model.spec.name}: {type(error).__name__}: {error}")
        try:
            pipe.send(reply)
        except OSError:
            return


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

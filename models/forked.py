"""A process of our own from the fork server: it has what models and decoders need loaded already, nothing else.

The server is started by the first that asks. Ctrl-C reaches the whole group of processes that a terminal runs, and the
server imports for half a second before it could ignore that: it is started with the signal blocked, so that it never
writes a traceback into the person's terminal.
"""

import multiprocessing
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

_STARTING = threading.Lock()
_TUNABLES = "GLIBC_TUNABLES"
_STARTED: "weakref.WeakSet[BaseProcess]" = weakref.WeakSet()
# Not `__main__`, as is the default: a program that imports much would be copied into every process. On macOS nothing:
# its system libraries can't be used in a process that was forked after they had been used, so each imports its own.
_MODELS = "infilink.models.preload"
_PRELOAD = [_MODELS, "av"] if sys.platform == "linux" else []


def preload(*modules: str) -> None:
    """Has the fork server load these instead of what models need; of effect before its first process alone.

    It then does without huge pages, too: a decoder has no weights to go through, and takes less without.
    """
    if sys.platform == "linux":
        _PRELOAD[:] = modules


def fork(target: Callable[..., object], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Starts a process that ends with this one, and gives the pipe to it.

    Args:
        target: what it does, called with the arguments and its own end of the pipe.
        arguments: they travel as bytes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs), daemon=True)
    with _STARTING, _no_main(), _without_interrupts(), _huge_pages():
        process.start()
    _STARTED.add(process)
    theirs.close()
    return process, ours


def _end_all() -> None:
    """Ends what was not closed: multiprocessing would ask with a SIGTERM, which these ignore, and wait for ever."""
    for process in list(_STARTED):
        with suppress(ValueError):  # closed
            process.kill()


# With a priority it runs before multiprocessing waits for them.
util.Finalize(None, _end_all, exitpriority=10)


def start_fork_server() -> None:
    """Starts the fork server now, so that the first process to need it does not pay for it."""
    process, pipe = fork(_nothing)
    process.join()
    process.close()
    pipe.close()


def _nothing(_: Connection) -> None:
    """What the fork server's first process does."""


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


@contextmanager
def _huge_pages() -> Iterator[None]:
    """Has the fork server begin with a malloc that asks for huge pages, where there is glibc.

    A model goes through megabytes of weights and tensors at each inference, and whoever ran before it on the same
    processor has left other pages where addresses are looked up: with pages of 2 MiB inferences take 3 to 5 % less.
    """
    if _TUNABLES in os.environ or _MODELS not in _PRELOAD:  # A person knows better, or no model runs there.
        yield
        return
    os.environ[_TUNABLES] = "glibc.malloc.hugetlb=1"
    try:
        yield
    finally:
        del os.environ[_TUNABLES]


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keeps Ctrl-C from what is started here; what came meanwhile is delivered afterwards."""
    # Started before: it would let the signal through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""Commands of infilink as processes that are forked off one that has imported what they need.

A second of processor time goes into the imports of each daemon, and there are hundreds of them here. From its first
line on a command does the same: in its own process, with its arguments, environment, files and signals. That it also
starts from nothing, and ends to the last library, is seen where `subprocess` starts it: in e2e/test_stream.py,
test_cli.py, by killing.py and in tests of a device.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO

PROGRAM = "infilink.cli"
_IMPORTED = (PROGRAM, "infilink.device.agent", "infilink.device.cli", "infilink.cloud.cli", "infilink.cloud.daemon")
_MOST_BYTES = 1 << 16


class Forked:
    """A command at work, on Linux: as much of `subprocess.Popen` as is needed, its output as text.

    Args:
        arguments: what stands behind `infilink`.
        environment: all of it.
        stderr: where it logs.
        folder: where it runs; None: here.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        stderr: IO[str],
        folder: Path | None = None,
    ) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        printed, its_stdout = os.pipe()
        told, its_end = os.pipe()
        order = json.dumps([self.args, dict(environment), str(folder or Path.cwd())]).encode()
        with open(os.devnull) as nothing:
            socket.send_fds(_server(), [order], [nothing.fileno(), its_stdout, stderr.fileno(), its_end])
        os.close(its_stdout)
        os.close(its_end)
        self.stdout: IO[str] = os.fdopen(printed)
        self._told: IO[str] = os.fdopen(told)
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """How it has ended, as of `subprocess.Popen`; None: it has not."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; returns how it has ended."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Waits for its end; returns what it printed since."""
        timer = threading.Timer(timeout or threading.TIMEOUT_MAX, self.kill)
        timer.start()
        try:
            printed = "" if self.stdout.closed else self.stdout.read()
        finally:
            timer.cancel()
        self.stdout.close()
        self.wait(timeout)
        return printed, None

    def send_signal(self, number: int) -> None:
        """Sends it a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode


@cache
def _server() -> socket.socket:
    """The way to the process that forks; it ends when this one does."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # One thread of arithmetic each: they are many.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen([sys.executable, __file__, str(its.fileno())], pass_fds=[its.fileno()], env=environment)
    its.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def serve(orders: socket.socket) -> bool:
    """Forks a process for each order until there are no more; True in a process that is to run the command."""
    ends: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([orders, *ends], [], [])[0]:
            if ready is not orders:
                pid, told = ends.pop(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                os.close(ready)
                _tell(told, status)
                os.close(told)
                continue
            message, theirs, _, _ = socket.recv_fds(orders, _MOST_BYTES, 4)
            if not message:
                return False
            # Python 3.12 warns of libraries' threads: none of them holds a lock while this process waits.
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                pid = os.fork()
            if pid == 0:
                orders.close()
                for ended, (_, told) in ends.items():
                    os.close(ended)
                    os.close(told)
                _become(*json.loads(message), theirs)
                return True
            told = theirs.pop()
            for descriptor in theirs:
                os.close(descriptor)
            _tell(told, pid)
            ends[os.pidfd_open(pid)] = (pid, told)


def _tell(told: int, number: int) -> None:
    # Nobody may ask any more.
    with suppress(BrokenPipeError):
        os.write(told, b"%d\n" % number)


def _become(arguments: list[str], environment: dict[str, str], folder: str, files: list[int]) -> None:
    """What a process has of its own."""
    for descriptor, file in enumerate(files[:3]):
        os.dup2(file, descriptor)
    for file in files:
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [PROGRAM, *arguments]
    sys.path[0] = folder
    # As Python begins: those of the process that forks have their own buffers and another kind of file.
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def _run() -> int:
    """The command, as `python -m` runs it; returns its exit status."""
    # Else there would be a warning: it is run as another module than the one that was imported.
    del sys.modules[PROGRAM]
    try:
        runpy.run_module(PROGRAM, run_name="__main__", alter_sys=True)
    except SystemExit as ends:
        return ends.code if isinstance(ends.code, int) else int(ends.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    for module in _IMPORTED:
        import_module(module)
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        status = _run()
        # In Python's order. The end of the libraries is left out: one has a thread, which a fork does not take along.
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(status)

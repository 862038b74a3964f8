"""Several models in one process: on a card every process costs a context of hundreds of MB, whatever it does.

Each model has a thread and a pipe of its own there, and is spoken to as if it had the process to itself. What ends the
process ends them all; each is then started again by who keeps it, in the next process.
"""

import gc
import os
import socket
import threading
import time
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..errors import ModelFailed
from .forked import fork
from .own_memory import own_bytes
from .process import ModelProcess
from .process_child import Opening, answer_all, prepare_process, use_small_pages
from .session import CPU_ONLY, SessionProviders

_ANSWERS_WITHIN_S = 60.0


class SharedProcess:
    """A process that takes models in and gives them up, started with the first. Close it when no model is in it.

    Any thread may call it.

    Args:
        name: what it is called in errors: the card.
        threads: how many threads of the processors its image library may use.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self.name = name
        self.threads = threads
        self._turn = threading.Lock()
        self._process: BaseProcess | None = None
        self._control: Connection | None = None
        self._numbers: set[int] = set()
        self._next = 0

    @property
    def pid(self) -> int | None:
        """The process's number; None while there is none."""
        process = self._process
        with suppress(ValueError):  # closed by another thread
            return process.pid if process is not None and process.is_alive() else None
        return None

    @property
    def models(self) -> int:
        """How many models are in it."""
        return len(self._numbers)

    def attach(self, opening: Opening) -> tuple[Connection, int]:
        """Has the process open a model in a thread of its own; gives the pipe to it, and the number to `release`.

        Raises:
            ModelFailed: the process does not start, or ended over this.
        """
        with self._turn:
            if self.pid is None:
                self._end()
                self._process, self._control = fork(_serve_models, self.threads)
            ours, theirs = Pipe()
            try:
                self._next += 1
                self._tell(("attach", self._next, opening), theirs)
            except (OSError, EOFError) as error:
                ours.close()
                raise ModelFailed(f"{opening.path.stem}: the process of {self.name} has ended") from error
            finally:
                theirs.close()
            self._numbers.add(self._next)
            return ours, self._next

    def release(self, number: int) -> None:
        """Waits until a model whose pipe was closed is gone from the process; one whose process has ended is."""
        with self._turn:
            if number not in self._numbers:
                return
            self._numbers.discard(number)
            try:
                self._tell(("release", number, None))
            except (OSError, EOFError):
                self._end()

    def memory_bytes(self) -> int:
        """What the process has to itself; 0 when there is none."""
        pid = self.pid
        return 0 if pid is None else own_bytes(pid, with_files=True)

    def close(self) -> None:
        """Ends the process with all models in it; closing twice is fine."""
        with self._turn:
            self._end()

    def _tell(self, message: tuple[str, int, Opening | None], pipe: Connection | None = None) -> None:
        """One request to the process, with a pipe if it is given one, and its reply."""
        control = self._control
        if control is None:
            raise EOFError
        control.send(message)
        if pipe is not None:
            _send_pipe(control, pipe)
        if not control.poll(_ANSWERS_WITHIN_S):
            self._end()
            raise EOFError
        control.recv()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
        if self._control is not None:
            self._control.close()
            self._control = None
        self._numbers.clear()


class SharedModelProcess(ModelProcess):
    """A model in a process that others are in, too.

    Args:
        path: as for `ModelProcess`.
        shared: the process.
        threads: as for `ModelProcess`.
        optimized: as for `ModelProcess`.
        providers: as for `ModelProcess`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        shared: SharedProcess,
        threads: int = 1,
        optimized: Path | None = None,
        providers: SessionProviders = CPU_ONLY,
    ) -> None:
        super().__init__(path, threads=threads, optimized=optimized, providers=providers)
        self.shared = shared
        self._number: int | None = None
        self._before_s = 0.0

    def cpu_s(self) -> float:
        """What the process took of processors since this model came, the others in it included."""
        return max(0.0, super().cpu_s() - self._before_s)

    def _start(self, opening: Opening) -> None:
        self._pid = self.shared.pid
        self._before_s = super().cpu_s()
        self._pipe, self._number = self.shared.attach(opening)
        self._pid = self.shared.pid

    def memory_bytes(self) -> int:
        """0: the process's memory is counted once, for all models in it (`SharedProcess.memory_bytes`)."""
        return 0

    def close(self) -> None:
        """Gives the model up and waits until it is gone; the others stay. Closing twice is fine."""
        super().close()
        number, self._number = self._number, None
        if number is not None:
            self.shared.release(number)


def _send_pipe(control: Connection, pipe: Connection) -> None:
    with socket.fromfd(control.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as way:
        socket.send_fds(way, [b"\0"], [pipe.fileno()])


def _take_pipe(control: Connection) -> Connection:
    with socket.fromfd(control.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as way:
        _, files, _, _ = socket.recv_fds(way, 1, 1)
    return Connection(files[0])


def _serve_models(threads: int, control: Connection) -> None:
    """The process's whole life: it takes models in and gives them up until its owner is gone."""
    # Cards are counted as the driver counts them, where their memory is measured; CUDA would begin with the fastest.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    prepare_process(threads)
    use_small_pages()
    running: dict[int, threading.Thread] = {}
    while True:
        try:
            what, number, opening = control.recv()
            if what == "attach":
                arguments = (opening, _take_pipe(control))
                running[number] = threading.Thread(target=_answer_one, args=arguments, daemon=True)
                running[number].start()
            else:
                running.pop(number).join()
                # A session lies in circles of references: it is to be gone now, not when that is noticed.
                gc.collect()
            control.send(number)
        except (EOFError, OSError):
            # The models' threads can't be waited for: one may be inside an inference that never ends.
            os._exit(0)


def _answer_one(opening: Opening, pipe: Connection) -> None:
    with pipe:
        answer_all(opening, pipe, cpu_clock=time.thread_time)

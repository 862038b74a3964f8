"""What models really take of a place's memory: of the machine's own, process by process; of a card's, as a whole."""

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from ...errors import InvalidInput
from .worker import Worker

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """What was measured at one moment.

    Attributes:
        models: what each model takes by itself; a process that several are in stands there under its card's name.
        whole_bytes: what all take together, with what belongs to no single one of them, as a card's context; None: they
            can be told apart, and that is all there is.
        buffers_bytes: what inputs take on their way: decoded pictures and frames that are handed over.
    """

    models: Mapping[str, int] = field(default_factory=dict)
    whole_bytes: int | None = None
    buffers_bytes: int = 0


class Meter(Protocol):
    """Measures one place's memory; called in a thread."""

    total_bytes: int
    """How much there is in all."""

    def read(self) -> Reading:
        """What is taken now."""


class HostMeter:
    """Measures the machine's own memory: the unique set of each model's processes, what would be free if they ended.

    Args:
        workers: every model's worker.
        processes: what each process takes that several models are in, by the card that these run on.
        buffers: what inputs take on their way.
    """

    def __init__(
        self,
        workers: Mapping[str, Worker],
        *,
        processes: Mapping[str, Callable[[], int]] | None = None,
        buffers: Callable[[], int] = lambda: 0,
    ) -> None:
        self.workers = workers
        self.processes = dict(processes or {})
        self.buffers = buffers
        self.total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def read(self) -> Reading:
        """What is taken now.

        Models are measured one after another. A process that ended meanwhile is left out: the one measured after it may
        have been loaded into the memory that it freed, and the sum would be of two that never ran at once.
        """
        taken = {name: (worker, worker.pid, worker.measure()) for name, worker in [*self.workers.items()]}
        models = {name: size for name, (worker, pid, size) in taken.items() if size and worker.pid == pid}
        shared = {place: size for place, measure in self.processes.items() if (size := measure())}
        return Reading(models | shared, buffers_bytes=self.buffers())


class CardMeter:
    """Measures one NVIDIA card's memory: what the process takes of it that its models are in.

    Where the driver does not show processes (in a container that has process numbers of its own, under WSL), it is what
    the card has less free than before that process began: whatever else begins on the card meanwhile counts, too.

    Args:
        device: the card, counted as CUDA does.
        pid: the number of the process; None while there is none.
        nvml: the driver's library, as `pynvml` gives it; None: it is opened here.

    Raises:
        InvalidInput: the library, the driver or the card is not there.
    """

    def __init__(self, device: int, pid: Callable[[], int | None], *, nvml: Any = None) -> None:
        self.device = device
        self.pid = pid
        self._nvml = _open_nvml() if nvml is None else nvml
        try:
            self._card = _card(self._nvml, device)
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._card)
        except Exception as error:
            raise InvalidInput(f"cuda:{device}: the driver shows no such card ({error}); `infilink doctor`") from error
        self.total_bytes = int(memory.total)
        self._before_bytes = int(memory.used)
        self.by_process = True

    def read(self) -> Reading:
        """What is taken now."""
        pid = self.pid()
        if pid is None:
            self._before_bytes = int(self._nvml.nvmlDeviceGetMemoryInfo(self._card).used)
            return Reading(whole_bytes=0)
        found = [
            each.usedGpuMemory
            for each in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._card)
            if each.pid == pid and each.usedGpuMemory is not None
        ]
        self.by_process = bool(found)
        if found:
            return Reading(whole_bytes=int(max(found)))
        used_bytes = int(self._nvml.nvmlDeviceGetMemoryInfo(self._card).used)
        return Reading(whole_bytes=max(0, used_bytes - self._before_bytes))

    def close(self) -> None:
        """Lets go of the driver; closing twice is fine."""
        with suppress(Exception):
            self._nvml.nvmlShutdown()

    def __enter__(self) -> Self:
        """Is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go of the driver."""
        self.close()


def _open_nvml() -> Any:
    try:
        import pynvml

        pynvml.nvmlInit()
    except ModuleNotFoundError as error:
        raise InvalidInput("a card's memory is measured by nvidia-ml-py: pip install 'infilink[gpu]'") from error
    except Exception as error:
        raise InvalidInput(f"NVIDIA's driver does not answer ({error}); `infilink doctor`") from error
    return pynvml


def _card(nvml: Any, device: int) -> Any:
    """The driver's card for CUDA's number: it counts all, CUDA what `CUDA_VISIBLE_DEVICES` lists, in that order."""
    listed = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if not listed:
        return nvml.nvmlDeviceGetHandleByIndex(device)
    name = listed[device]
    return nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID(name)

"""The models that run on the device itself: which, and what all of them say of a frame."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from ..errors import InfilinkError, InvalidInput, ModelFailed
from ..models.process import ModelProcess
from ..models.spec import ModelSpec, digest, find_models
from ..outputs import Array
from .config import DeviceConfig
from .summary import LocalStats

_RETRY_S = 5.0


class LocalModel:
    """A model's process and, after it, the next; used by one thread at a time, but for `kill` and `memory_bytes`.

    Args:
        name: the model's.
        path: its file.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.executions = 0
        self.infer_s = 0.0
        self._process: ModelProcess | None = None
        self._spec: ModelSpec | None = None
        self._retry_at = 0.0

    @cached_property
    def digest(self) -> str:
        """The file's: which version says what it says."""
        return digest(self.path)

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, once it is loaded."""
        assert self._spec is not None, "load() comes first"
        return self._spec

    def load(self, *, warm_up: bool = True) -> None:
        """Starts the process and loads the model; warmed up, its first output is as fast as the others.

        Raises:
            InvalidInput: it is no model.
            ModelFailed: its process ended, or was not ready in time.
        """
        self._process = ModelProcess(self.path).load(warm_up=warm_up)
        self._spec = self._process.spec

    def infer(self, image: Array) -> Array:
        """The output for a frame (uint8 BGR). A process that died is started again for the next one.

        Raises:
            ModelFailed: the model failed on this frame, or its process ended or does not stay alive.
        """
        process = self._process or self._restarted()
        try:
            inferred = process.infer(image)
        except ModelFailed:
            if not process.memory_bytes():
                self.close()
            raise
        self.executions += 1
        self.infer_s += inferred.infer_s
        return inferred.value

    def memory_bytes(self) -> int:
        """What the process takes now; 0 when it does not run."""
        process = self._process
        return 0 if process is None else process.memory_bytes()

    def kill(self) -> None:
        """Ends what the process is doing: whoever waits for it is told that it failed."""
        process = self._process
        if process is not None:
            # Not close(): its pipe is in use by the thread that waits.
            process.kill()

    def close(self) -> None:
        """Ends the process; closing twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _restarted(self) -> ModelProcess:
        if time.monotonic() < self._retry_at:
            raise ModelFailed(f"{self.name}: its process does not stay alive")
        self._retry_at = time.monotonic() + _RETRY_S
        self.load(warm_up=False)
        assert self._process is not None
        return self._process


logger = logging.getLogger(__name__)


class LocalModels:
    """Runs models at once, each in a process of its own. `load` comes first; close it, or use it as a context manager.

    Args:
        models: the models; of no name twice.
        infer_timeout_s: an inference that takes longer is ended with its process.
    """

    def __init__(self, models: Iterable[LocalModel], *, infer_timeout_s: float = 30.0) -> None:
        self.models = {model.name: model for model in models}
        self.infer_timeout_s = infer_timeout_s
        self.peak_bytes = 0
        self._pool = ThreadPoolExecutor(max(1, len(self.models)), thread_name_prefix="local")
        self._failing: set[str] = set()

    def load(self) -> None:
        """Loads them all, one after another.

        Raises:
            InvalidInput: one is no model.
            ModelFailed: one does not start.
        """
        for model in self.models.values():
            model.load()
        self.memory_bytes()

    def run(self, image: Array, names: Iterable[str]) -> dict[str, Array]:
        """What those models say of a frame (uint8 BGR); one that failed is not among them, and told of once.

        Raises:
            ModelFailed: all of them failed.
        """
        ends = time.monotonic() + self.infer_timeout_s
        futures = {name: self._pool.submit(self.models[name].infer, image) for name in names}
        outputs: dict[str, Array] = {}
        failures = []
        for name, future in futures.items():
            try:
                outputs[name] = self._wait(name, future, ends)
                self._failing.discard(name)
            except InfilinkError as error:
                failures.append(str(error))
                if name not in self._failing:
                    logger.warning("on this device: %s (told once, until it works again)", error)
                self._failing.add(name)
        if failures and not outputs:
            raise ModelFailed("; ".join(failures))
        return outputs

    def memory_bytes(self) -> int:
        """What their processes take now; `peak_bytes` is the most that was ever seen here."""
        taken = sum(model.memory_bytes() for model in self.models.values())
        self.peak_bytes = max(self.peak_bytes, taken)
        return taken

    def stats(self) -> LocalStats:
        """What they did so far."""
        models = self.models.values()
        return LocalStats(
            sum(model.executions for model in models), sum(model.infer_s for model in models), self.peak_bytes
        )

    def close(self) -> None:
        """Ends every process, whatever it is doing; closing twice is fine."""
        for model in self.models.values():
            model.kill()
        self._pool.shutdown(cancel_futures=True)
        for model in self.models.values():
            model.close()

    def _wait(self, name: str, future: "Future[Array]", ends: float) -> Array:
        try:
            return future.result(max(0.0, ends - time.monotonic()))
        except TimeoutError:
            logger.warning("%s: no output after %g s; ending its process", name, self.infer_timeout_s)
            self.models[name].kill()
            return future.result()


def open_local(config: DeviceConfig) -> LocalModels:
    """The models that the configuration names; none are loaded yet.

    Raises:
        InvalidInput: there is no such folder, or not all of the models in it.
    """
    if config.local is None:
        return LocalModels(())
    found = find_models(config.local)
    names = tuple(found) if config.local_models is None else config.local_models
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidInput(f"{config.local}: holds no model called {missing[0]!r} (it holds: {', '.join(found)})")
    return LocalModels(LocalModel(name, found[name]) for name in names)

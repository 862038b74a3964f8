"""The models that run on the device itself: which, and what all of them say of a frame."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from ..errors import InfilinkError, InvalidInput, ModelFailed
from ..models import find_models
from ..outputs import Array
from .config import DeviceConfig
from .local_model import LocalModel
from .summary import LocalStats

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

"""The models that run on the device itself: all of them at once on an input, each in a process of its own."""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from ..errors import BadOutput, InfilinkError, InvalidInput, ModelFailed
from ..models.inputs.form import PICTURES, InputForm
from ..models.providers import Execution, available
from ..models.spec import digest, find_models, read_spec
from ..models.supervisor import Supervisor
from ..outputs import Array
from .config import DeviceConfig
from .summary import LocalStats

logger = logging.getLogger(__name__)


class LocalModels:
    """Runs models at once. `load` comes first; close it when it is no longer needed.

    Args:
        models: the models, each under a name of its own. An input on which one's process ended is not given to its next
            process: the coordinator may run that model on it sooner.
    """

    def __init__(self, models: Iterable[Supervisor]) -> None:
        self.models = {model.name: model for model in models}
        self.peak_bytes = 0
        self._pool = ThreadPoolExecutor(max(1, len(self.models)), thread_name_prefix="local")
        self._failing: set[str] = set()
        self._bad: set[str] = set()

    @cached_property
    def digests(self) -> dict[str, str]:
        """Each model file's digest: which version of the model its outputs are from."""
        return {name: digest(model.path) for name, model in self.models.items()}

    def load(self) -> None:
        """Loads them all, one after another.

        Raises:
            InvalidInput: one is no model.
            ModelFailed: one does not start.
        """
        for model in self.models.values():
            model.load()
        self.memory_bytes()

    def run(self, value: Array, names: Iterable[str]) -> dict[str, Array]:
        """The outputs of the named models for an input.

        A model that fails has none; that is logged once, until it works again.

        Raises:
            ModelFailed: all of them failed.
        """
        futures = {name: self._pool.submit(self.models[name].infer, value) for name in names}
        outputs: dict[str, Array] = {}
        failures = []
        for name, future in futures.items():
            try:
                outputs[name] = future.result()
                self._failing.discard(name)
            except InfilinkError as error:
                failures.append(str(error))
                # Of single inputs that it has no output for a model is named once, not at each.
                kind = self._bad if isinstance(error, BadOutput) else self._failing
                if name not in kind:
                    until = "" if kind is self._bad else ", until it works again"
                    logger.warning("on this device: %s (told once%s)", error, until)
                kind.add(name)
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
            model.stop()
        self._pool.shutdown(cancel_futures=True)
        for model in self.models.values():
            model.unload()


def open_local(config: DeviceConfig, form: InputForm = PICTURES) -> LocalModels:
    """The models that the configuration names, or all that look at such inputs; none are loaded yet.

    Raises:
        InvalidInput: there is no such folder, or not all of the models in it, or one looks at other inputs.
    """
    if config.local is None:
        return LocalModels(())
    found = find_models(config.local)
    reasons = {name: read_spec(path).fits(form) for name, path in found.items()}
    names = config.local_models or tuple(name for name, why in reasons.items() if not why) or tuple(found)
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidInput(f"{config.local}: holds no model called {missing[0]!r} (it holds: {', '.join(found)})")
    for name in names:
        if reasons[name]:
            raise InvalidInput(f"{config.local}: model {name!r} can't run on this stream: {reasons[name]}")
    how = Execution(available(config.providers, what="the models of this device"))
    return LocalModels(Supervisor(name, found[name], providers=how.for_session()) for name in names)

"""The sinks that a device's streams use: one that several name is opened once, and closed when the last has ended."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ...errors import InvalidInput
from .base import Sink, SinkRunner
from .settings import SinkConfig


@dataclass
class _Open:
    runner: SinkRunner
    users: int


class OpenSinks:
    """Opens and closes sinks; from any thread.

    Args:
        given: sinks of the program that runs the agent: every stream's, and closed with this.
    """

    def __init__(self, given: Sequence[Sink] = ()) -> None:
        self._given = [SinkRunner(type(sink).__name__, sink) for sink in given]
        self._open: dict[SinkConfig, _Open] = {}
        self._lock = threading.Lock()

    @contextmanager
    def used(self, wanted: Sequence[SinkConfig]) -> Iterator[list[SinkRunner]]:
        """The runners of a stream's sinks, for as long as it runs.

        Raises:
            InvalidInput: one can't be opened, or another one writes to the same place.
        """
        configs: list[SinkConfig] = []
        try:
            with self._lock:
                for config in dict.fromkeys(wanted):
                    self._use(config)
                    configs.append(config)
                runners = [*self._given, *(self._open[config].runner for config in configs)]
            yield runners
        finally:
            with self._lock:
                for config in configs:
                    self._leave(config)

    def close(self) -> None:
        """Closes those of the program; closing twice is fine."""
        for runner in self._given:
            runner.close()

    def _use(self, config: SinkConfig) -> None:
        if config in self._open:
            self._open[config].users += 1
            return
        for other in self._open:
            if config.place and config.place == other.place:
                raise InvalidInput(f"sinks: two write to {config.place}: give each its own, or say the same of both")
        self._open[config] = _Open(SinkRunner(config.kind, config.open()), 1)

    def _leave(self, config: SinkConfig) -> None:
        found = self._open[config]
        found.users -= 1
        if not found.users:
            del self._open[config]
            # Within the lock: whoever opens the same anew finds file and port free.
            found.runner.close()

"""The agent: runs a device's streams side by side, and starts, restarts and stops them as its file is edited."""

import logging
import queue
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

from ..protos import edge_pb2
from ..protos.tracing import Tracing
from .config import DeviceConfig
from .settings_file import SettingsFile
from .stream_keeper import StreamEnd, StreamKeeper
from .stream_run import StreamRun

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_CLOSES_WITHIN_S = 5.0
_AT_THE_START = ("metrics_listen", "trace_to", "trace_share")


class Agent:
    """Runs a device's streams until their sources end or `stop` is called.

    What ends the only stream of a device without tables of streams ends the agent. Any other stream that fails leaves
    the others alone, and is tried again.

    Args:
        config: the settings.
        file: where they come from: what is edited there is carried out; None: nothing is.
        clock_ns: Unix time, for the deadlines of inputs.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        file: SettingsFile | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config
        self.file = file
        self.clock_ns = clock_ns
        self.stopped = False
        self._tracing: Tracing | None = None
        self._keepers: dict[str, StreamKeeper] = {}
        self._leaving: list[StreamKeeper] = []
        # Simple ones, as a signal's handler may use them whatever the program does just then.
        self._happened: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def connected(self) -> bool:
        """Whether the coordinator has answered a stream."""
        return any(keeper.connected for keeper in self._keepers.values())

    def stop(self) -> None:
        """Ends every capture; the answers to what was sent are still waited for. A signal's handler may call it."""
        self.stopped = True
        self._happened.put(None)

    def run(self) -> dict[str, StreamEnd]:
        """Runs every stream to its end; returns how each ended.

        Raises:
            InvalidInput: `metrics_listen` can't be listened on, or the only stream can't be run.
            InfilinkError: the only stream failed.
        """
        with ExitStack() as stack:
            config = self.config
            if config.trace_to is not None:
                self._tracing = Tracing(config.trace_to, service="infilink-device", share=config.trace_share)
                stack.callback(self._tracing.close)
            if config.metrics_listen is not None:
                # Late: 4 MiB that other agents need not hold.
                from .scrape import serve_metrics

                stack.enter_context(serve_metrics(self.reports, config.metrics_listen))
            stack.callback(self._close)
            for name, settings in config.by_stream().items():
                self._start(name, settings, tries_again=bool(config.streams))
            self._wait()
            ends = {name: keeper.end for name, keeper in self._keepers.items()}
        for name, end in ends.items():
            if end.failure is not None and not self._keepers[name].tries_again:
                raise end.failure
        return ends

    def reports(self) -> Mapping[str, tuple[edge_pb2.Report, bool]]:
        """Each stream's counts, and whether it runs; from any thread."""
        keepers = [*self._leaving, *self._keepers.values()]
        return {each.name: (each.report(), each.state == "running") for each in keepers}

    def _wait(self) -> None:
        """Until all have ended; carries out what is edited meanwhile."""
        told = False
        while self._leaving or any(keeper.state != "ended" for keeper in self._keepers.values()):
            # In short turns: Ctrl-C that the system gives to another thread does not wake this one.
            with suppress(queue.Empty):
                self._happened.get(timeout=_LOOK_EVERY_S)
            if self.stopped and not told:
                told = True
                for keeper in self._keepers.values():
                    keeper.stop()
            elif not self.stopped:
                self._take_edit()
            self._replace_ended()

    def _take_edit(self) -> None:
        """Stops the streams that are no longer in the file, or otherwise; starts those that are new."""
        config = self.file.changed() if self.file is not None else None
        if config is None:
            return
        later = [key for key in _AT_THE_START if getattr(config, key) != getattr(self.config, key)]
        if later:
            logger.warning("`%s` is read at the start alone: start the agent anew for it", "`, `".join(later))
        self.config = config
        wanted = config.by_stream()
        for name in [*self._keepers]:
            if name not in wanted or _differ(wanted[name], self._keepers[name].config):
                logger.info("stream %s: %s", name, "changed" if name in wanted else "removed")
                self._leaving.append(self._keepers.pop(name))
                self._leaving[-1].stop()
        self._replace_ended()

    def _replace_ended(self) -> None:
        """Starts the streams that are wanted and whose place is free."""
        self._leaving = [keeper for keeper in self._leaving if keeper.state != "ended"]
        if self.stopped:
            return
        taken = {*self._keepers, *(keeper.name for keeper in self._leaving)}
        for name, settings in self.config.by_stream().items():
            if name not in taken:
                logger.info("stream %s: started", name)
                self._start(name, settings, tries_again=True)

    def _start(self, name: str, settings: DeviceConfig, *, tries_again: bool) -> None:
        keeper = StreamKeeper(
            name, settings, self._make_run, tries_again=tries_again, on_end=lambda: self._happened.put(None)
        )
        self._keepers[name] = keeper
        keeper.start()

    def _make_run(self, settings: DeviceConfig, name: str) -> StreamRun:
        return StreamRun(settings, name=name, tracing=self._tracing, clock_ns=self.clock_ns)

    def _close(self) -> None:
        """Ends every stream that has not ended by itself."""
        keepers = [*self._keepers.values(), *self._leaving]
        for keeper in keepers:
            if keeper.state != "ended":
                keeper.stop()
        for keeper in keepers:
            keeper.join(_CLOSES_WITHIN_S)


def _differ(one: DeviceConfig, other: DeviceConfig) -> bool:
    """Whether two streams' settings differ in what is read while the agent runs."""
    keys = DeviceConfig.model_fields.keys() - set(_AT_THE_START)
    return any(getattr(one, key) != getattr(other, key) for key in keys)

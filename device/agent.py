"""The agent: runs a device's streams side by side, and starts, restarts and stops them as its file is edited."""

import logging
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from ..models.forked import preload
from ..protos import edge_pb2
from ..protos.tracing import Tracing
from .agent_status import AgentStatus
from .certificate import renewing
from .config import DeviceConfig
from .decode_budget import DecodeBudget
from .footprint import Footprint
from .gate_swap import GATE_KEYS
from .governor.governor import Governor
from .governor.sensors import Sensors
from .governor.settings import OF_STREAM
from .rolled_out import RolledOut
from .settings_file import SettingsFile
from .sinks.base import Sink
from .sinks.open_sinks import OpenSinks
from .status_socket import serve_status
from .stream_keeper import StreamEnd, StreamKeeper
from .stream_log import called
from .stream_run import StreamRun
from .watchdog import Watchdog

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_CLOSES_WITHIN_S = 5.0
_DECODERS = "infilink.device.sources.preload"
_AT_THE_START = ("metrics_listen", "trace_to", "trace_share")


class Agent:
    """Runs a device's streams until their sources end or `stop` is called.

    What ends the only stream of a device without tables of streams ends the agent. Any other stream that fails leaves
    the others alone, and is tried again.

    Args:
        config: the settings.
        sinks: of the program that runs the agent: each is given every stream's results, besides those of the settings.
        file: where they come from: what is edited there is carried out; None: nothing is.
        clock_ns: Unix time, for the deadlines of inputs.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        sinks: Sequence[Sink] = (),
        file: SettingsFile | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config
        self.sinks = tuple(sinks)
        self.file = file
        self.clock_ns = clock_ns
        self.stopped = False
        self._open_sinks: OpenSinks
        self._tracing: Tracing | None = None
        self._governor: Governor | None = None
        self._footprint = Footprint()
        self._budget = DecodeBudget()
        self._keepers: dict[str, StreamKeeper] = {}
        self._leaving: list[StreamKeeper] = []
        self._rolled_out: dict[str, RolledOut] = {}
        self.status = AgentStatus(lambda: self.config, self._streams)
        self._watchdog = Watchdog(self._streams, self.status.text)
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
            stack.enter_context(renewing(config.by_stream().values()))
            stack.enter_context(serve_status(self.status.as_dict))
            logging.getLogger().addHandler(self.status.problems)
            stack.callback(logging.getLogger().removeHandler, self.status.problems)
            if config.governor.on:
                streams = config.by_stream().values()
                written = [one.results.parent for one in streams if one.results is not None]
                written += [one.spool.folder for one in streams if one.spool.folder is not None]
                sensors = Sensors(written, sysfs=config.governor.sysfs)
                self._governor = Governor(config.governor, sensors)
                self._governor.start()
                stack.callback(self._governor.close)
            self._open_sinks = OpenSinks(self.sinks)
            stack.callback(self._open_sinks.close)
            if not any(each.local or each.placement for each in config.by_stream().values()):
                preload(_DECODERS)
            stack.callback(self._close)
            stack.callback(self._watchdog.stopping)
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
        return {each.name: (each.report(), each.state == "running") for each in self._streams()}

    def _streams(self) -> list[StreamKeeper]:
        return [*self._leaving, *self._keepers.values()]

    def _wait(self) -> None:
        """Until all have ended; carries out what is edited meanwhile."""
        told = False
        while self._leaving or any(keeper.state != "ended" for keeper in self._keepers.values()):
            # In short turns: Ctrl-C that the system gives to another thread does not wake this one.
            with suppress(queue.Empty):
                self._happened.get(timeout=_LOOK_EVERY_S)
            self.status.look()
            self._watchdog.look()
            if self.stopped and not told:
                told = True
                self._watchdog.stopping()
                for keeper in self._keepers.values():
                    keeper.stop()
            elif not self.stopped:
                self._take_edit()
                for name in [*self._keepers]:
                    if self._keepers[name].look():
                        self._leave(name)
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
        if self._governor is not None:
            self._governor.use(config.governor)
        wanted = config.by_stream()
        for name in [*self._keepers]:
            keeper = self._keepers[name]
            if name in wanted and not _differ(wanted[name], keeper.config):
                continue
            if name in wanted and not _differ(wanted[name], keeper.config, but=GATE_KEYS) and keeper.turn(wanted[name]):
                logger.info("%s: another gate is opened while it runs", called(name))
            else:
                logger.info("%s: %s", called(name), "changed" if name in wanted else "removed")
                self._leave(name)
        self._replace_ended()

    def _leave(self, name: str) -> None:
        """Stops a stream; once it has ended, another takes its place if one is wanted."""
        self._leaving.append(self._keepers.pop(name))
        self._leaving[-1].stop()

    def _replace_ended(self) -> None:
        """Starts the streams that are wanted and whose place is free."""
        self._leaving = [keeper for keeper in self._leaving if keeper.state != "ended"]
        if self.stopped:
            return
        taken = {*self._keepers, *(keeper.name for keeper in self._leaving)}
        for name, settings in self.config.by_stream().items():
            if name not in taken:
                logger.info("%s: started", called(name))
                self._start(name, settings, tries_again=True)

    def _start(self, name: str, settings: DeviceConfig, *, tries_again: bool) -> None:
        keeper = StreamKeeper(
            name, settings, self._make_run, tries_again=tries_again, on_end=lambda: self._happened.put(None)
        )
        self._keepers[name] = keeper
        keeper.start()

    def _make_run(self, settings: DeviceConfig, name: str) -> StreamRun:
        return StreamRun(
            settings,
            name=name,
            sinks=self._open_sinks,
            tracing=self._tracing,
            governor=self._governor,
            memory_bytes=self._memory_bytes,
            clock_ns=self.clock_ns,
            budget=self._budget,
            rolled_out=self._rolled_out_of(name, settings.filters.folder),
        )

    def _rolled_out_of(self, name: str, folder: Path | None) -> RolledOut:
        """What a stream has from the coordinator, the same over all its runs."""
        found = self._rolled_out.get(name)
        if found is None or found.folder != folder:
            found = self._rolled_out[name] = RolledOut(folder, name)
        return found

    def _memory_bytes(self) -> int:
        """A stream's part of what the agent's processes take together."""
        return self._footprint.size_bytes() // max(1, sum(each.state != "ended" for each in self._keepers.values()))

    def _close(self) -> None:
        """Ends every stream that has not ended by itself."""
        keepers = [*self._keepers.values(), *self._leaving]
        for keeper in keepers:
            if keeper.state != "ended":
                keeper.stop()
        for keeper in keepers:
            keeper.join(_CLOSES_WITHIN_S)
        for each in self._rolled_out.values():
            each.close()


def _differ(one: DeviceConfig, other: DeviceConfig, *, but: frozenset[str] = frozenset()) -> bool:
    """Whether two streams' settings differ in what is read while the agent runs, leaving out `but`."""
    keys = DeviceConfig.model_fields.keys() - {*_AT_THE_START, "governor"} - but
    # The governor's limits are the device's, and taken over as they are edited.
    return any(getattr(one.governor, key) != getattr(other.governor, key) for key in OF_STREAM) or any(
        getattr(one, key) != getattr(other, key) for key in keys
    )

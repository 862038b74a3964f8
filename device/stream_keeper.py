"""Keeps one stream running: in a thread of its own, and again when it failed, whatever the other streams do."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import InfilinkError
from ..protos import edge_pb2
from .config import DeviceConfig
from .model_watch import ModelWatch, watch_models
from .stream_log import called, thread_name
from .stream_run import StreamRun
from .summary import Summary

logger = logging.getLogger(__name__)

_AGAIN_S = (1.0, 60.0)

State = Literal["running", "waiting", "ended"]
MakeRun = Callable[[DeviceConfig, str], StreamRun]


@dataclass(frozen=True)
class StreamEnd:
    """How a stream ended.

    Attributes:
        summary: the figures of its last run; None: that came to nothing.
        failure: why; None: it did not fail.
    """

    summary: Summary | None = None
    failure: InfilinkError | None = None

    def as_dict(self) -> dict[str, Any]:
        """The figures, with `failure`, or that alone."""
        figures: dict[str, Any] = {}
        if self.summary is not None:
            # `frames` is what inputs of every kind were called before there were others: whoever reads it goes on.
            figures = {"inputs": self.summary.frames, **asdict(self.summary)}
        return figures if self.failure is None else {**figures, "failure": str(self.failure)}


class StreamKeeper:
    """One stream's runs, one after another, until its source ends or `stop` is called.

    Args:
        name: the stream's.
        config: its settings.
        make_run: makes a run of it.
        tries_again: whether one that failed is run again, after a while; otherwise that ends it.
        on_end: called when it has ended, from its thread.

    Attributes:
        again_s: the shortest and the longest wait before a run that failed is tried again; it doubles each time.
        state: "waiting": it failed, and is tried again in a while.
        end: what became of its last run.
    """

    def __init__(
        self, name: str, config: DeviceConfig, make_run: MakeRun, *, tries_again: bool, on_end: Callable[[], None]
    ) -> None:
        self.name = name
        self.make_run = make_run
        self.tries_again = tries_again
        self.on_end = on_end
        self.again_s = _AGAIN_S
        self.state: State = "running"
        self.end = StreamEnd()
        self._stopped = threading.Event()
        self._config = config
        self._run: StreamRun | None = None
        self._models: ModelWatch | None = None
        self._told = ""
        self._thread = threading.Thread(target=self._keep, name=thread_name("stream", name), daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    @property
    def config(self) -> DeviceConfig:
        """Its settings: those of its run, which may have gone on with another gate."""
        return self._config if self._run is None else self._run.config

    @property
    def gate(self) -> str:
        """What decides, as its settings name it, or as it came from the coordinator."""
        return self._config.gate if self._run is None else self._run.gate

    @property
    def connected(self) -> bool:
        """Whether the coordinator has answered in this run."""
        return self._run is not None and self._run.connected

    @property
    def linked(self) -> bool:
        """Whether the coordinator is there now."""
        return self.state == "running" and self._run is not None and self._run.linked

    @property
    def capturing(self) -> bool:
        """Whether the source is open in this run."""
        return self.state == "running" and self._run is not None and self._run.pulse.capturing

    @property
    def settled(self) -> bool:
        """Whether it captures or, where it can't, it is known why."""
        return self.capturing or self.state != "running"

    @property
    def inputs(self) -> int:
        """How many inputs this run, or the last one, had so far: cheaper than a report."""
        return 0 if self._run is None else self._run.inputs

    def busy_s(self) -> float:
        """How long the capture loop has been at work on one input; 0: it is not."""
        return 0.0 if self._run is None else self._run.pulse.busy_s()

    def look(self) -> bool:
        """Looks whether a file that the run uses has changed; called about once a second.

        Another gate the run takes up by itself. Returns whether another model is there, for which the stream is to be
        started anew.
        """
        if self.state != "running" or self._run is None:
            return False
        self._run.look()
        return self._models is not None and self.capturing and self._models.look()

    def turn(self, config: DeviceConfig) -> bool:
        """Has the run go on with settings of another gate; whether that can be tried: else it is to be started anew."""
        return self.state == "running" and self._run is not None and self._run.turn(config)

    def report(self) -> edge_pb2.Report:
        """The counts of this run, or the last one."""
        return edge_pb2.Report() if self._run is None else self._run.report()

    def stop(self) -> None:
        """Ends the capture, or the wait before the next run; the answers to what was sent are still waited for."""
        self._stopped.set()
        if self._run is not None:
            self._run.stop()

    def join(self, timeout_s: float | None = None) -> None:
        """Waits until it has ended."""
        self._thread.join(timeout_s)

    def _keep(self) -> None:
        wait_s = self.again_s[0]
        while not self._stopped.is_set():
            self._models = watch_models(self.name, self.config)
            run = self.make_run(self.config, self.name)
            self._run = run
            if self._stopped.is_set():
                run.stop()
            self.end = self._try(run)
            if self.end.failure is None or self._stopped.is_set() or not self.tries_again:
                break
            wait_s = self.again_s[0] if run.connected else wait_s
            self._tell(self.end.failure, wait_s)
            self.state = "waiting"
            self._stopped.wait(wait_s * random.uniform(0.75, 1.0))
            self.state = "running"
            wait_s = min(2 * wait_s, self.again_s[1])
        self.state = "ended"
        if self.name and self.end.failure is None and not self._stopped.is_set():
            logger.info("stream %s: came to its end", self.name)
        self.on_end()

    def _try(self, run: StreamRun) -> StreamEnd:
        try:
            return StreamEnd(run.run())
        except InfilinkError as error:
            return StreamEnd(failure=error)
        except Exception as error:
            logger.exception("%s failed", called(self.name))
            return StreamEnd(failure=InfilinkError(f"failed: {error!r}"))

    def _tell(self, failure: InfilinkError, wait_s: float) -> None:
        """Says why a stream does not run: once, until it is something else."""
        if self._run is not None and self._run.connected:
            self._told = ""
        if str(failure) != self._told:
            self._told = str(failure)
            logger.warning(
                "%s: %s; it is tried again in %.0f s and then ever more seldom%s",
                called(self.name),
                failure,
                wait_s,
                ", the others go on" if self.name else "",
            )

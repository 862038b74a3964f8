"""Recording a trace: every model runs on every input of a source, each in a process of its own."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Self

from ..codec import decode_jpeg, encode_jpeg
from ..errors import BadOutput, InvalidInput, Unavailable
from ..models.cost import ModelCost, measure_cost
from ..models.forked import start_fork_server
from ..models.process import ModelProcess
from ..models.process_child import Inferred
from ..models.spec import digest, read_spec
from ..outputs import Array
from ..reporting import Progress
from ..traces.trace import Recording, Trace, TraceInfo, TraceWriter
from .sources.base import Input, Source
from .sources.open import open_source

logger = logging.getLogger(__name__)

_COST_FRAMES = 5
_IN_FLIGHT = 2
_BEGUN = "begun_unix_s"


@dataclass(frozen=True)
class Stretch:
    """What of each source is recorded.

    Attributes:
        start_s: where in the source to begin.
        seconds: how much of it to record; None: all of it.
        every: one of this many frames is recorded.

    Raises:
        InvalidInput: `every` is below 1.
    """

    start_s: float = 0.0
    seconds: float | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InvalidInput(f"every is {self.every}: it must be at least 1")


def record(
    source: str,
    models: dict[str, Path],
    out: Path,
    *,
    start_s: float = 0.0,
    seconds: float | None = None,
    every: int = 1,
    progress: Progress | None = None,
) -> Recording:
    """Runs every model over a source and writes the aligned inputs and outputs to a trace.

    As in the coordinator, the models run on frames that were JPEGs. Memory does not grow with the source's length. A
    recording that was interrupted (Ctrl-C) continues where it stopped when it is called again. A frame for which a
    model gives nothing that can be used is left out. The times of a live source count from the recording's beginning,
    also after a restart of the machine.

    Args:
        source: a video file, an RTSP address or a camera's number.
        models: each model's file, by its name.
        out: the trace to write, or to continue.
        start_s: where in the source to begin.
        seconds: how much of the source to record; None: all of it.
        every: one of this many frames is recorded.
        progress: called with the share that is done and what is being done.

    Raises:
        InvalidInput: the source can't be read, a model can't be loaded, the disk is full, or `out` was recorded from
            another source, from another place in it, with other models or with another `every`.
        BadOutput: a model gives nothing that can be used for any frame.
        Unavailable: a live source ended; what it gave is recorded.
    """
    camera = CameraRecording(source, out, Stretch(start_s, seconds, every))
    with RecordedModels(models, [out]) as shared:
        return camera.record(shared, progress or (lambda _share, _text: None))


class RecordedModels:
    """The models that run on what is recorded: one process and one thread each, however many cameras share them.

    Args:
        paths: each model's file, by its name.
        traces: where they are recorded: an earlier, unfinished recording of the same models has measured them already.

    Attributes:
        digests: of the files, by the models' names.
    """

    def __init__(self, paths: dict[str, Path], traces: list[Path]) -> None:
        self.paths = paths
        self.digests = {name: digest(path) for name, path in paths.items()}
        self._costs = next((costs for costs in map(self._known_costs, traces) if costs), None)
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._running: dict[str, tuple[ModelProcess, ThreadPoolExecutor]] = {}

    def costs(self, frames: list[Input], report: Progress) -> dict[str, ModelCost]:
        """What each model costs, measured on the frames of the first camera that asks; the others wait for it.

        Raises:
            InvalidInput: a model can't be loaded.
        """
        with self._lock:
            if self._costs is None:
                self._costs = _measure(self.paths, frames, report)
            return self._costs

    def _known_costs(self, path: Path) -> dict[str, ModelCost] | None:
        try:
            with Trace(path) as trace:
                return trace.info.costs if trace.info.digests == self.digests else None
        except InvalidInput:
            return None

    def submit(self, image: Array) -> dict[str, Future[Inferred]]:
        """Each model's output for a frame, to come.

        Raises:
            InvalidInput: a model can't be loaded.
            ModelFailed: a model's process does not start.
        """
        with self._lock:
            for name in [name for name in self.paths if name not in self._running]:
                process = self._opened.enter_context(ModelProcess(self.paths[name]))
                self._running[name] = process, self._opened.enter_context(ThreadPoolExecutor(1))
        return {name: thread.submit(process.infer, image) for name, (process, thread) in self._running.items()}

    def __enter__(self) -> Self:
        """The models themselves; a process starts with the first frame that is given to it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the processes, once they are through with what was given to them."""
        self._opened.close()


class CameraRecording:
    """The recording of one source.

    Args:
        source: as for `record`.
        out: the trace.
        stretch: what of the source is recorded.
    """

    def __init__(self, source: str, out: Path, stretch: Stretch) -> None:
        self.source = source
        self.out = out
        self.stretch = stretch
        self._opened: Source | None = None
        self._stopped = False

    def record(self, models: RecordedModels, report: Progress) -> Recording:
        """Records it to its end, or until it is stopped; raises what `record` does."""
        every, start_s = self.stretch.every, self.stretch.start_s
        with open_source(self.source, start_s=start_s, seconds=self.stretch.seconds) as opened:
            self._opened = opened
            if self._stopped:
                opened.close()
            frames = (frame for frame in opened if frame.sequence % every == 0)
            first = list(islice(frames, _COST_FRAMES))
            if not first:
                raise InvalidInput(f"source {opened.name}: gave no frame")
            info = self._info(opened, models, models.costs(first, report))
            self.out.parent.mkdir(parents=True, exist_ok=True)
            with TraceWriter(self.out, info) as writer:
                total = max(1, opened.input_count // every) if opened.input_count else None

                def recorded(sequence: int) -> None:
                    # The sequence counts from the source's own beginning, the share from `start_s`.
                    done = (sequence - first[0].sequence) // every + 1
                    report(min(1.0, done / total) if total else 0.0, f"frame {sequence}")

                added = _run(writer, models, _after(writer, first, frames, opened), recorded)
                left_out = writer.left_out
        with Trace(self.out) as trace:
            return Recording(path=self.out, inputs=len(trace), added=added, left_out=left_out)

    def stop(self) -> None:
        """Ends it, from any thread, as if its source had ended."""
        self._stopped = True
        if self._opened is not None:
            self._opened.close()

    def _info(self, opened: Source, models: RecordedModels, costs: dict[str, ModelCost]) -> TraceInfo:
        return TraceInfo(
            source=opened.name,
            fps=opened.inputs_per_s,
            models={name: read_spec(path) for name, path in models.paths.items()},
            digests=models.digests,
            costs=costs,
            every=self.stretch.every,
            start_s=float(self.stretch.start_s),
            times=opened.times,
        )


def _measure(models: dict[str, Path], frames: list[Input], report: Progress) -> dict[str, ModelCost]:
    start_fork_server()
    costs = {}
    images = [frame.value for frame in frames]
    for i, (name, path) in enumerate(models.items()):
        report(0.0, f"measuring {name} ({i + 1} of {len(models)})")
        costs[name] = measure_cost(path, images)
    return costs


def _after(writer: TraceWriter, first: list[Input], rest: Iterator[Input], opened: Source) -> Iterator[Input]:
    """The frames that are not recorded yet; those of a live source are numbered and timed on from the last one."""
    last = writer.last_sequence
    number = last + 1 if opened.live else 0
    times = LiveTimes(writer, step_s=1.0 / opened.inputs_per_s) if opened.live else None
    for frame in chain(first, rest):
        if frame.sequence + number > last:
            captured_s = frame.captured_s if times is None else times.since_the_beginning(frame.captured_s)
            yield replace(frame, sequence=frame.sequence + number, captured_s=captured_s)


class LiveTimes:
    """The times of a live source's frames in a recording: seconds since it was begun, also over a restart.

    The monotonic clock starts anew with the machine, so the recording remembers when it was begun by the calendar's.

    Args:
        writer: the recording.
        step_s: how far apart frames are.
        unix_s: the calendar's clock now.
        monotonic_s: the monotonic clock now.
    """

    def __init__(
        self,
        writer: TraceWriter,
        *,
        step_s: float,
        unix_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._step_s = step_s
        self._ahead_s = unix_s() - monotonic_s()
        self._moved_s: float | None = None

    def since_the_beginning(self, monotonic_s: float) -> float:
        """The time of a frame that arrived at this time of the monotonic clock."""
        if self._moved_s is None:
            self._moved_s = self._begin(monotonic_s)
        return monotonic_s + self._moved_s

    def _begin(self, monotonic_s: float) -> float:
        """What is added to the monotonic clock's time; not less than it takes for time to go on."""
        last_s = self._writer.last_s
        least_s = (0.0 if last_s is None else last_s + self._step_s) - monotonic_s
        begun = self._writer.recall(_BEGUN)
        if begun is None:
            self._writer.remember(_BEGUN, repr(self._ahead_s - least_s))
            return least_s
        return max(least_s, self._ahead_s - float(begun))


def _run(writer: TraceWriter, models: RecordedModels, frames: Iterator[Input], recorded: Callable[[int], None]) -> int:
    """Runs all models on the frames, a few frames at a time so that no model waits for the slowest; writes in order."""
    waiting: deque[tuple[Input, bytes, dict[str, Future[Inferred]]]] = deque()
    added = 0
    bad: dict[str, BadOutput] = {}

    def finish() -> None:
        nonlocal added
        frame, jpeg, futures = waiting.popleft()
        outputs = {}
        for name, future in futures.items():
            try:
                outputs[name] = future.result().value
            except BadOutput as error:
                if name not in bad:
                    logger.warning("%s; this input is left out, and all others like it", error)
                bad[name] = error
        if len(outputs) < len(futures):
            writer.leave_out(frame.sequence)
        else:
            writer.append(frame.sequence, frame.captured_s, jpeg, outputs)
            added += 1
        recorded(frame.sequence)

    try:
        for frame in frames:
            jpeg = encode_jpeg(frame.value)
            waiting.append((frame, jpeg, models.submit(decode_jpeg(jpeg))))
            if len(waiting) > _IN_FLIGHT:
                finish()
    except Unavailable:
        while waiting:
            finish()
        raise
    while waiting:
        finish()
    if bad and writer.last_s is None:
        raise next(iter(bad.values()))
    return added

"""Recording a trace: every model runs on every input of a source, each in a process of its own."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from ..codec import decode_jpeg, encode_jpeg
from ..errors import BadOutput, InvalidInput, Unavailable
from ..models.cost import ModelCost, measure_cost
from ..models.forked import start_fork_server
from ..models.process import ModelProcess
from ..models.process_child import Inferred
from ..models.spec import digest, read_spec
from ..reporting import Progress
from ..traces.trace import Recording, Trace, TraceInfo, TraceWriter
from .sources.base import Frame, Source
from .sources.open import open_source

logger = logging.getLogger(__name__)

_COST_FRAMES = 5
_IN_FLIGHT = 2
_BEGUN = "begun_unix_s"


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
    if every < 1:
        raise InvalidInput(f"every is {every}: it must be at least 1")
    report = progress or (lambda _share, _text: None)
    with open_source(source, start_s=start_s, seconds=seconds) as opened:
        frames = (frame for frame in opened if frame.sequence % every == 0)
        first = list(islice(frames, _COST_FRAMES))
        if not first:
            raise InvalidInput(f"source {opened.name}: gave no frame")
        out.parent.mkdir(parents=True, exist_ok=True)
        costs = _known_costs(out, models) or _measure(models, first, report)
        info = _info(opened, models, costs, every=every, start_s=start_s)
        with TraceWriter(out, info) as writer:
            total = max(1, opened.frame_count // every) if opened.frame_count else None

            def recorded(sequence: int) -> None:
                # The sequence counts from the source's own beginning, the share from `start_s`.
                done = (sequence - first[0].sequence) // every + 1
                report(min(1.0, done / total) if total else 0.0, f"frame {sequence}")

            added = _run(writer, models, _after(writer, first, frames, opened), recorded)
            left_out = writer.left_out
    with Trace(out) as trace:
        return Recording(path=out, inputs=len(trace), added=added, left_out=left_out)


def _info(
    opened: Source, models: dict[str, Path], costs: dict[str, ModelCost], *, every: int, start_s: float
) -> TraceInfo:
    return TraceInfo(
        source=opened.name,
        fps=opened.fps,
        models={name: read_spec(path) for name, path in models.items()},
        digests={name: digest(path) for name, path in models.items()},
        costs=costs,
        every=every,
        start_s=float(start_s),
        times=opened.times,
    )


def _known_costs(out: Path, models: dict[str, Path]) -> dict[str, ModelCost] | None:
    """The costs that an earlier, unfinished recording has measured already."""
    try:
        with Trace(out) as trace:
            return trace.info.costs if set(trace.info.costs) == set(models) else None
    except InvalidInput:
        return None


def _measure(models: dict[str, Path], frames: list[Frame], report: Progress) -> dict[str, ModelCost]:
    start_fork_server()
    costs = {}
    images = [frame.image for frame in frames]
    for i, (name, path) in enumerate(models.items()):
        report(0.0, f"measuring {name} ({i + 1} of {len(models)})")
        costs[name] = measure_cost(path, images)
    return costs


def _after(writer: TraceWriter, first: list[Frame], rest: Iterator[Frame], opened: Source) -> Iterator[Frame]:
    """The frames that are not recorded yet; those of a live source are numbered and timed on from the last one."""
    last = writer.last_sequence
    number = last + 1 if opened.live else 0
    times = LiveTimes(writer, step_s=1.0 / opened.fps) if opened.live else None
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


def _run(writer: TraceWriter, models: dict[str, Path], frames: Iterator[Frame], recorded: Callable[[int], None]) -> int:
    """Runs all models on the frames, a few frames at a time so that no model waits for the slowest; writes in order."""
    waiting: deque[tuple[Frame, bytes, dict[str, Future[Inferred]]]] = deque()
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
        if len(outputs) < len(models):
            writer.leave_out(frame.sequence)
        else:
            writer.append(frame.sequence, frame.captured_s, jpeg, outputs)
            added += 1
        recorded(frame.sequence)

    with ExitStack() as stack:
        processes = {name: stack.enter_context(ModelProcess(path)) for name, path in models.items()}
        threads = {name: stack.enter_context(ThreadPoolExecutor(1)) for name in models}
        try:
            for frame in frames:
                jpeg = encode_jpeg(frame.image)
                image = decode_jpeg(jpeg)
                waiting.append((frame, jpeg, {n: threads[n].submit(p.infer, image) for n, p in processes.items()}))
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

"""Recording a trace: every model runs on every input of a source, each in a process of its own."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Self

from ..errors import BadOutput, InvalidInput, Unavailable
from ..filters.rules.zones import Points
from ..models.cost import ModelCost, measure_cost
from ..models.forked import start_fork_server
from ..models.inputs.form import InputForm
from ..models.process import ModelProcess
from ..models.process_child import Inferred
from ..models.spec import digest, read_spec
from ..outputs import Array
from ..reporting import Progress
from ..traces.info import MASKED
from ..traces.stored import kept_as, restore, store
from ..traces.trace import Recording, Trace, TraceInfo, TraceWriter
from .mask import Mask
from .sources.base import Input, Source
from .sources.cut import WHOLE, Cut
from .sources.open import open_source

logger = logging.getLogger(__name__)

_COST_INPUTS = 5
_IN_FLIGHT = 2
_BEGUN = "begun_unix_s"


@dataclass(frozen=True)
class Stretch:
    """What of each source is recorded, and how it is cut into inputs.

    Attributes:
        start_s: where in the source to begin.
        seconds: how much of it to record; None: all of it.
        every: one of this many inputs is recorded.
        cut: windows and rates; by default what the source has as one.
        mask: polygons that are black in every picture, as the agent's `mask`.

    Raises:
        InvalidInput: `every` is below 1.
    """

    start_s: float = 0.0
    seconds: float | None = None
    every: int = 1
    cut: Cut = WHOLE
    mask: tuple[Points, ...] = ()

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
    cut: Cut = WHOLE,
    mask: tuple[Points, ...] = (),
    named: bool = False,
    progress: Progress | None = None,
) -> Recording:
    """Runs every model that looks at such inputs over a source and writes the aligned inputs and outputs to a trace.

    As in the coordinator, the models run on what travels: frames that were JPEGs. Memory does not grow with the
    source's length. A recording that was interrupted (Ctrl-C) continues where it stopped when it is called again. An
    input for which a model gives nothing that can be used is left out. The times of a live source count from the
    recording's beginning, also after a restart of the machine.

    Args:
        source: of any kind (`infilink sources`): a video file, an address, a folder of sounds, ...
        models: each model's file, by its name.
        out: the trace to write, or to continue.
        start_s: where in the source to begin.
        seconds: how much of the source to record; None: all of it.
        every: one of this many inputs is recorded.
        cut: how inputs are cut from the source.
        mask: polygons (shares of the picture's width and height) that are black before anything looks at a picture.
        named: whether a person has named these very models: then one that looks at other inputs is refused; otherwise
            it is left out, which is said.
        progress: called with the share that is done and what is being done.

    Raises:
        InvalidInput: the source can't be read, a model can't be loaded or none looks at such inputs, the disk is full,
            or `out` was recorded from another source, from another place in it, cut otherwise, with other models or
            with another `every`.
        BadOutput: a model gives nothing that can be used for any input.
        Unavailable: a live source ended; what it gave is recorded.
    """
    camera = CameraRecording(source, out, Stretch(start_s, seconds, every, cut, mask))
    with RecordedModels(models, [out], named=named) as shared:
        return camera.record(shared, progress or (lambda _share, _text: None))


class RecordedModels:
    """The models that run on what is recorded: one process and one thread each, however many cameras share them.

    Args:
        paths: each model's file, by its name.
        traces: where they are recorded: an earlier, unfinished recording of the same models has measured them already.
        named: whether a person has named these very models.

    Attributes:
        specs: by the models' names.
        digests: of the files, by the models' names.
    """

    def __init__(self, paths: dict[str, Path], traces: list[Path], *, named: bool = False) -> None:
        self.paths = paths
        self.specs = {name: read_spec(path) for name, path in paths.items()}
        self.digests = {name: digest(path) for name, path in paths.items()}
        self._named = named
        self._costs: dict[str, ModelCost] = {}
        for trace in traces:
            self._costs |= self._known_costs(trace)
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._running: dict[str, tuple[ModelProcess, ThreadPoolExecutor]] = {}

    def looking_at(self, form: InputForm, source: str) -> tuple[str, ...]:
        """The models that look at inputs of a form; that others are left out is said.

        Args:
            form: of the inputs.
            source: whose, for messages.

        Raises:
            InvalidInput: none does, or one does not that a person has named.
        """
        others = {name: why for name, spec in self.specs.items() if (why := spec.fits(form))}
        told = "; ".join(f"{name}: {why}" for name, why in others.items())
        if others and (self._named or len(others) == len(self.specs)):
            what = "these models do not look" if self._named else "no model here looks"
            raise InvalidInput(f"source {source}: {what} at its inputs: {told}")
        if others:
            logger.warning("source %s: left out, as they look at other inputs: %s", source, told)
        return tuple(name for name in self.specs if name not in others)

    def costs(self, names: Sequence[str], values: list[Array], report: Progress) -> dict[str, ModelCost]:
        """What each of some models costs, measured on the inputs of the first source that asks; the others wait for it.

        Raises:
            InvalidInput: a model can't be loaded.
        """
        with self._lock:
            new = {name: self.paths[name] for name in names if name not in self._costs}
            self._costs |= _measure(new, values, report)
            return {name: self._costs[name] for name in names}

    def _known_costs(self, path: Path) -> dict[str, ModelCost]:
        try:
            with Trace(path) as trace:
                found = trace.info
        except InvalidInput:
            return {}
        return {name: cost for name, cost in found.costs.items() if found.digests.get(name) == self.digests.get(name)}

    def submit(self, names: Sequence[str], value: Array) -> dict[str, Future[Inferred]]:
        """What some models say of an input, to come.

        Raises:
            InvalidInput: a model can't be loaded.
            ModelFailed: a model's process does not start.
        """
        with self._lock:
            for name in [name for name in names if name not in self._running]:
                process = self._opened.enter_context(ModelProcess(self.paths[name]))
                self._running[name] = process, self._opened.enter_context(ThreadPoolExecutor(1))
        running = {name: self._running[name] for name in names}
        return {name: thread.submit(process.infer, value) for name, (process, thread) in running.items()}

    def __enter__(self) -> Self:
        """The models themselves; a process starts with the first input that is given to it."""
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
        with open_source(self.source, start_s=start_s, seconds=self.stretch.seconds, cut=self.stretch.cut) as opened:
            self._opened = opened
            if self._stopped:
                opened.close()
            names = models.looking_at(opened.form, opened.name)
            mask = Mask(self.stretch.mask)
            mask.check(opened.form)
            inputs = (replace(each, value=mask.apply(each.value)) for each in opened if each.sequence % every == 0)
            first = list(islice(inputs, _COST_INPUTS))
            if not first:
                raise InvalidInput(f"source {opened.name}: gave no input")
            costs = models.costs(names, [each.value for each in first], report)
            info = self._info(opened, models, costs)
            self.out.parent.mkdir(parents=True, exist_ok=True)
            with TraceWriter(self.out, info) as writer:
                total = max(1, opened.input_count // every) if opened.input_count else None

                def recorded(sequence: int) -> None:
                    # The sequence counts from the source's own beginning, the share from `start_s`.
                    done = (sequence - first[0].sequence) // every + 1
                    report(min(1.0, done / total) if total else 0.0, f"input {sequence}")

                added = _run(writer, models, _after(writer, first, inputs, opened), recorded)
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
            models={name: models.specs[name] for name in costs},
            digests={name: models.digests[name] for name in costs},
            costs=costs,
            input=kept_as(opened.form),
            every=self.stretch.every,
            start_s=float(self.stretch.start_s),
            times=opened.times,
            form=opened.form,
            notes={MASKED: json.dumps(self.stretch.mask)} if self.stretch.mask else {},
        )


def _measure(models: dict[str, Path], values: list[Array], report: Progress) -> dict[str, ModelCost]:
    if not models:
        return {}
    start_fork_server()
    costs = {}
    for i, (name, path) in enumerate(models.items()):
        report(0.0, f"measuring {name} ({i + 1} of {len(models)})")
        costs[name] = measure_cost(path, values)
    return costs


def _after(writer: TraceWriter, first: list[Input], rest: Iterator[Input], opened: Source) -> Iterator[Input]:
    """The inputs that are not recorded yet; those of a live source are numbered and timed on from the last one."""
    last = writer.last_sequence
    number = last + 1 if opened.live else 0
    times = LiveTimes(writer, step_s=1.0 / (opened.inputs_per_s or 1.0)) if opened.live else None
    for each in chain(first, rest):
        if each.sequence + number > last:
            captured_s = each.captured_s if times is None else times.since_the_beginning(each.captured_s)
            yield replace(each, sequence=each.sequence + number, captured_s=captured_s)


class LiveTimes:
    """The times of a live source's inputs in a recording: seconds since it was begun, also over a restart.

    The monotonic clock starts anew with the machine, so the recording remembers when it was begun by the calendar's.

    Args:
        writer: the recording.
        step_s: how far apart inputs are.
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
        """The time of an input that arrived at this time of the monotonic clock."""
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


def _run(writer: TraceWriter, models: RecordedModels, inputs: Iterator[Input], recorded: Callable[[int], None]) -> int:
    """Runs the models on the inputs, a few at a time so that no model waits for the slowest; writes in order."""
    names, form = tuple(writer.info.models), writer.info.form
    assert form is not None, "a source says of which form its inputs are"
    waiting: deque[tuple[Input, bytes, dict[str, Future[Inferred]]]] = deque()
    added = 0
    bad: dict[str, BadOutput | InvalidInput] = {}

    def finish() -> None:
        nonlocal added
        each, payload, futures = waiting.popleft()
        outputs = {}
        for name, future in futures.items():
            try:
                outputs[name] = future.result().value
            except (BadOutput, InvalidInput) as error:
                if name not in bad:
                    logger.warning("%s; this input is left out, and all others like it", error)
                bad[name] = error
        if len(outputs) < len(futures):
            writer.leave_out(each.sequence)
        else:
            writer.append(each.sequence, each.captured_s, payload, outputs)
            added += 1
        recorded(each.sequence)

    try:
        for each in inputs:
            payload = store(each.value, form)
            waiting.append((each, payload, models.submit(names, restore(payload, writer.info.input))))
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

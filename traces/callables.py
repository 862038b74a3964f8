"""Recording a trace with any Python functions as models: whatever framework or service stands behind them."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..codec import decode_jpeg, encode_jpeg, pack
from ..errors import InvalidInput, ModelFailed
from ..models.cost import ModelCost
from ..models.spec import ModelSpec
from ..outputs import Array
from .import_log import ASSUMED_COST, LoggedModels, input_kind
from .trace import Recording, Trace, TraceWriter

logger = logging.getLogger(__name__)

Infer = Callable[[Any], Any]
_TIMED = 2
Keep = Literal["image", "array", "none"]


def record_callables(
    inputs: Iterable[Any],
    models: Mapping[str, tuple[ModelSpec | Mapping[str, Any], Infer]],
    out: Path | str,
    *,
    source: str = "python",
    captured_s: Iterable[float] | None = None,
    step_s: float = 1.0,
    keep: Keep | None = None,
    costs: Mapping[str, ModelCost] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Recording:
    """Runs functions over inputs and writes the aligned inputs and outputs to a trace.

    One input is held at a time, so memory stays flat. A recording that was cut off goes on where it stopped when it is
    called again with the same inputs from the start: those that are recorded are passed over, no function sees them.

    Args:
        inputs: what the functions are given, one after another.
        models: by name, the spec (or its keys as in docs/MODELS.md) and the function: of one input it returns the
            output as an array of the spec's kind, or what can be made one. An input for which one returns None, NaN or
            a class that is not there is left out, and counted.
        out: the trace to write, or to go on with.
        source: what the inputs are called.
        captured_s: when each was captured, rising; by default `step_s` apart.
        step_s: seconds from one input to the next, where `captured_s` does not say.
        keep: how inputs are stored: "image" (uint8 BGR, as JPEG; the functions see the frame after it was one),
            "array", or "none": outputs only, which links need no more than. By default what the first input is: a
            frame, an array (a text becomes its UTF-8 bytes), or else none.
        costs: what each model costs; by default the time is that of the second input, and the memory is assumed.
        progress: told how many inputs are recorded.

    Returns:
        How many inputs the trace holds, how many of them are new, and how many were left out.

    Raises:
        InvalidInput: there is no input or model, a spec is wrong, an output does not fit its spec, times do not rise,
            or `out` was recorded from something else. What was recorded before stays.
        ModelFailed: a function raised.
    """
    if not 0.0 < step_s < math.inf:
        raise InvalidInput(f"step_s must be above 0 s, not {step_s:g}")
    out = Path(out)
    timed = _timed(inputs, captured_s, step_s)
    first = list(islice(timed, 1))
    if not first:
        raise InvalidInput(f"{source}: gave no input")
    kind = keep or _kind_of(first[0][1])
    logged = LoggedModels.of({name: spec for name, (spec, _) in models.items()}, costs)
    run = _Run(source, logged.models, {name: infer for name, (_, infer) in models.items()}, kind)
    rows = run.rows(chain(first, timed))
    # A trace says what its models cost before its first row.
    head = [] if out.is_file() else list(islice(rows, _TIMED))
    timed_costs = {name: run.cost(name) for name in logged.assumed}
    info = replace(logged, costs={**logged.costs, **timed_costs}).info(source, fps=1.0 / step_s, input=kind)
    out.parent.mkdir(parents=True, exist_ok=True)
    added = 0
    with TraceWriter(out, info) as writer:
        run.after = writer.last_sequence
        for sequence, at_s, payload, outputs in chain(head, rows):
            if outputs is None:
                writer.leave_out(sequence)
                continue
            writer.append(sequence, at_s, payload, outputs)
            added += 1
            if progress is not None:
                progress(sequence + 1)
        left_out = writer.left_out
    with Trace(out) as trace:
        return Recording(path=out, inputs=len(trace), added=added, left_out=left_out)


class _Run:
    """The functions over the inputs, one at a time.

    Args:
        source: what the inputs are called.
        models: each function's spec.
        functions: the functions by name.
        kind: how inputs are stored.
    """

    def __init__(
        self, source: str, models: Mapping[str, ModelSpec], functions: Mapping[str, Infer], kind: Keep
    ) -> None:
        self.after = -1
        self._source = source
        self._models = models
        self._functions = functions
        self._kind: Keep = kind
        self._seconds: dict[str, float] = {}
        self._lacking: set[str] = set()

    def rows(self, timed: Iterable[tuple[float, Any]]) -> Iterator[tuple[int, float, bytes, dict[str, Array] | None]]:
        """What a trace takes, for every input that comes after sequence number `after`; None: it is left out."""
        before_s = -math.inf
        for sequence, (at_s, value) in enumerate(timed):
            if not before_s < at_s < math.inf:
                raise InvalidInput(
                    f"{self._source}: input {sequence} has time {at_s:g} s after {before_s:g} s: times must rise"
                )
            before_s = at_s
            if sequence > self.after:
                payload, seen = _stored(value, self._kind, sequence)
                yield sequence, at_s, payload, self._outputs(seen, sequence)

    def cost(self, name: str) -> ModelCost:
        """With the time of the latest call."""
        return replace(ASSUMED_COST, infer_s=self._seconds.get(name, ASSUMED_COST.infer_s))

    def _outputs(self, value: Any, sequence: int) -> dict[str, Array] | None:
        """The functions' outputs; None where one has none, or one with NaN or a class that is not there."""
        outputs = {}
        whole = True
        for name, spec in self._models.items():
            started = time.perf_counter()
            try:
                answer = self._functions[name](value)
            except Exception as error:  # whatever a user's function raises
                raise ModelFailed(f"input {sequence}: {name}: {type(error).__name__}: {error}") from error
            self._seconds[name] = time.perf_counter() - started
            if answer is None:
                whole = self._lacks(name, sequence, "there is no output")
                continue
            try:
                found = spec.output.check_shape(np.asarray(answer))
            except InvalidInput as error:
                raise InvalidInput(f"input {sequence}: {name}: {error}") from error
            try:
                outputs[name] = spec.output.check(found)
            except InvalidInput as error:
                whole = self._lacks(name, sequence, str(error))
        return outputs if whole else None

    def _lacks(self, name: str, sequence: int, why: str) -> Literal[False]:
        """Says once of a function that an input is left out as it has no usable output for it."""
        if name not in self._lacking:
            logger.warning(
                "%s: input %d: %s: %s; it is left out, as all others like it", self._source, sequence, name, why
            )
        self._lacking.add(name)
        return False


def _timed(inputs: Iterable[Any], captured_s: Iterable[float] | None, step_s: float) -> Iterator[tuple[float, Any]]:
    if captured_s is None:
        yield from ((i * step_s, value) for i, value in enumerate(inputs))
        return
    times = iter(captured_s)
    for value in inputs:
        at_s = next(times, None)
        if at_s is None:
            raise InvalidInput("`captured_s` ends before `inputs`; give one time for each input")
        yield float(at_s), value
    if next(times, None) is not None:
        raise InvalidInput("`captured_s` goes on after `inputs`; give one time for each input")


def _kind_of(value: Any) -> Keep:
    if isinstance(value, str):
        return "array"
    return input_kind(value) if isinstance(value, np.ndarray) and value.dtype != object else "none"


def _stored(value: Any, kind: Keep, sequence: int) -> tuple[bytes, Any]:
    """An input as it is stored, and as the functions see it."""
    if kind == "none":
        return b"", value
    if kind == "array":
        kept = np.frombuffer(value.encode(), np.uint8) if isinstance(value, str) else np.asarray(value)
        if kept.dtype == object:
            raise InvalidInput(f"input {sequence} is no array ({type(value).__name__}); give arrays, or keep='none'")
        return pack(kept), value
    if not isinstance(value, np.ndarray) or input_kind(value) != "image":
        raise InvalidInput(f"input {sequence} is no frame (uint8 BGR, height x width x 3); give keep='array' or 'none'")
    jpeg = encode_jpeg(value)
    return jpeg, decode_jpeg(jpeg)

"""Answers as they arrive, and as models on this device give them: a model's array and how it came to be."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..filters.gates import Ran
from ..models import ModelSpec
from ..outputs import Array
from ..protos import edge_pb2
from .frames import Frame
from .results_file import ResultRow

_DTYPES = ("float32", "int64")


def result_row(sequence: int, captured_s: float, output: Any) -> ResultRow:
    """One model's answer as the results file has it.

    Raises:
        InvalidInput: its bytes are not what its shape and dtype say.
    """
    return ResultRow(
        model=output.model,
        sequence=sequence,
        captured_s=captured_s,
        origin=edge_pb2.Origin.Name(output.origin).removeprefix("ORIGIN_").lower(),
        confidence=output.confidence,
        trusted=output.trusted,
        sources=tuple(output.sources),
        value=_array(output),
        trust=output.trust,
    )


def ran(answer: Any, rows: Sequence[ResultRow]) -> dict[str, Ran]:
    """What the models themselves said of an input, of a `Result` and its rows."""
    return {
        output.model: Ran(row.value, output.digest)
        for output, row in zip(answer.outputs, rows, strict=True)
        if output.origin == edge_pb2.ORIGIN_EXECUTED and row.value is not None
    }


def local_output(spec: ModelSpec, said: Ran) -> edge_pb2.Output:
    """What a model on this device said, as it travels."""
    value = np.ascontiguousarray(said.value)
    little: Array = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return edge_pb2.Output(
        model=spec.name,
        digest=said.digest,
        kind=spec.output.kind,
        shape=value.shape,
        dtype=value.dtype.name,
        value=little.tobytes(),
        origin=edge_pb2.ORIGIN_LOCAL,
    )


def local_row(model: str, frame: Frame, value: Array) -> ResultRow:
    """The same as the results file has it."""
    return ResultRow(model, frame.sequence, frame.captured_s, "local", 1.0, True, value=value, trust="exact")


def _array(output: Any) -> Array:
    if output.dtype not in _DTYPES:
        raise InvalidInput(f"{output.model}: sent as {output.dtype!r}; only {', '.join(_DTYPES)} are known")
    try:
        return np.frombuffer(output.value, np.dtype(output.dtype).newbyteorder("<")).reshape(tuple(output.shape))
    except ValueError as error:
        raise InvalidInput(f"{output.model}: {len(output.value)} bytes are no {tuple(output.shape)}") from error

"""Answers as they arrive: a model's array and how it came to be, from an `Output`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..filters.gates import Ran
from ..outputs import Array
from ..protos import edge_pb2
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


def _array(output: Any) -> Array:
    if output.dtype not in _DTYPES:
        raise InvalidInput(f"{output.model}: sent as {output.dtype!r}; only {', '.join(_DTYPES)} are known")
    try:
        return np.frombuffer(output.value, np.dtype(output.dtype).newbyteorder("<")).reshape(tuple(output.shape))
    except ValueError as error:
        raise InvalidInput(f"{output.model}: {len(output.value)} bytes are no {tuple(output.shape)}") from error

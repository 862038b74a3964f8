"""What a model costs on this machine: memory, time to load, time of an inference, all measured in its own process."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadOutput, InvalidInput
from ..outputs import Array
from .process import ModelProcess

# What any process goes on to take over its first hundreds of inferences: Python counts references in the pages that it
# inherited, and so makes them its own. Measured .4 MiB, whatever the model. And where its memory begins differs from
# one fork server to the next: it has a huge page more there, or less. Measured .3 to 2.2 MiB.
_GROWTH_BYTES = 2**19 + 2**21


@dataclass(frozen=True)
class ModelCost:
    """What a model costs on this machine, measured.

    Attributes:
        memory_bytes: the most that its process took by itself (unique set size) within a few inferences, and 2.5
            MiB that it may take later, or when it is loaded by another process.
        infer_s: median time of one inference, preprocessing and decoding included.
        load_s: from the start of the process to its first output.
    """

    memory_bytes: int
    infer_s: float
    load_s: float


def measure_cost(
    path: Path | str, inputs: Sequence[Array], *, threads: int = 1, kind: Callable[..., ModelProcess] = ModelProcess
) -> ModelCost:
    """Loads a model in a process of its own, runs it on `inputs`, and says what it took.

    Args:
        path: the model's file.
        inputs: what the model looks at, or what that kind of process takes.
        threads: how many one inference may use.
        kind: the process it runs in.

    Raises:
        InvalidInput: no inputs, or what `OnnxModel` raises.
    """
    if not inputs:
        raise InvalidInput("measuring a model needs at least one input")
    with kind(path, threads=threads) as process:
        times, most = [], 0
        refused: InvalidInput | None = None
        for value in inputs:
            started = time.perf_counter()
            try:
                times.append(process.infer(value).infer_s)
            except BadOutput:
                times.append(time.perf_counter() - started)  # It ran all the same.
            except InvalidInput as error:
                refused = error  # Another may do: a sound that is long enough.
            most = max(most, process.memory_bytes() + process.transient_bytes())
        if not times and refused is not None:
            raise refused
        return ModelCost(memory_bytes=most + _GROWTH_BYTES, infer_s=float(np.median(times)), load_s=process.load_s)

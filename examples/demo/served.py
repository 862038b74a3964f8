"""What a policy answered: every camera's answers, where each came from, and what it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...outputs import Array

ORIGINS = ("executed", "linked", "held", "constant", "reused", "skipped")


@dataclass(frozen=True)
class Stream:
    """One camera's answers.

    Attributes:
        values: each model's, for every input.
        origin: where they came from, as places in `ORIGINS`: int8 (models, inputs).
        kept: the inputs of which anything was sent: bool (inputs,).
        sent_bytes: what was sent of each: int (inputs,).
    """

    values: Mapping[str, Sequence[Array]]
    origin: Array
    kept: Array
    sent_bytes: Array


@dataclass(frozen=True)
class Served:
    """A policy's run over the site.

    Attributes:
        streams: by camera.
        executions: by model.
        cpu_s: the processors' seconds inside each model.
        peak_bytes: the most memory that models took.
        violations: measurements above the budget.
        memory: (second, bytes) while it ran.
        compute: (second, seconds spent by then) while it ran.
        loads: how often a model was loaded.
        held: when each model was in memory: from and to, in seconds.
        resident: the models that were loaded before the first input.
    """

    streams: Mapping[str, Stream]
    executions: Mapping[str, int]
    cpu_s: Mapping[str, float]
    peak_bytes: int = 0
    violations: int = 0
    memory: Sequence[tuple[float, int]] = ()
    compute: Sequence[tuple[float, float]] = ()
    loads: int = 0
    held: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    resident: tuple[str, ...] = ()

    @property
    def sent_bytes(self) -> int:
        """Of all cameras."""
        return sum(int(each.sent_bytes.sum()) for each in self.streams.values())


def count_executions(streams: Mapping[str, Stream], names: Sequence[str]) -> dict[str, int]:
    """How often each model ran."""
    ran = np.sum([(each.origin == ORIGINS.index("executed")).sum(axis=1) for each in streams.values()], axis=0)
    return {name: int(count) for name, count in zip(names, ran, strict=True)}

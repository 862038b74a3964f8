"""What a link across domains learns from: the sources' numbers and the target's, input by input, in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...trace import Trace
from .task import LinkTask


@dataclass(frozen=True)
class Pairs:
    """Aligned outputs as numbers.

    Attributes:
        inputs: the sources', side by side: float64 (n, inputs).
        targets: the target's: float64 (n, length).
    """

    inputs: Array
    targets: Array

    @classmethod
    def of(cls, task: LinkTask, sources: Mapping[str, Sequence[Array]], targets: Sequence[Array]) -> Self:
        """From outputs.

        Args:
            task: which models.
            sources: each source's outputs.
            targets: the target's on the same inputs.

        Raises:
            InvalidInput: they do not fit their types, or are not as many.
        """
        for name, values in sources.items():
            if len(values) != len(targets):
                raise InvalidInput(f"{name}: has {len(values)} outputs, {task.target} {len(targets)}; align them")
        read = [
            form.numbers([form.output.check(value) for value in sources[name]])
            for name, form in task.source_forms.items()
        ]
        return cls(np.concatenate(read, axis=1), task.form.numbers([task.output.check(value) for value in targets]))

    @classmethod
    def read(cls, trace: Trace, task: LinkTask) -> Self:
        """All of a trace."""
        return cls.of(task, {name: trace.outputs(name) for name in task.sources}, trace.outputs(task.target))

    def __len__(self) -> int:
        """How many."""
        return len(self.inputs)

    def rows(self, rows: Array | slice) -> "Pairs":
        """Some of them."""
        return Pairs(self.inputs[rows], self.targets[rows])

    def blocks(self, *shares: float) -> list["Pairs"]:
        """Stretches in time, with these shares of all, and a gap of 2 % between them: neighbours are alike."""
        gap = max(1, len(self) // 50)
        ends = np.rint(np.cumsum(shares) * len(self)).astype(int).tolist()
        starts = [0, *(end + gap for end in ends[:-1])]
        return [self.rows(slice(start, end)) for start, end in zip(starts, ends, strict=True)]

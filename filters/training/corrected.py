"""A recording some of whose answers a person has called wrong: they count as if the model had not said that."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from ...traces.trace import Trace
from ..rules.zones import Zone


@dataclass(frozen=True)
class Wrong:
    """What was not there, whatever the model said.

    Attributes:
        model: whose answers these are.
        what: a class, "CLASS in ZONE", or a rule's text: nothing that the rule asks for was there.
        first: the sequence number of the first input.
        last: that of the last one.
        zone: where it was not; None: nowhere.
    """

    model: str
    what: str
    first: int
    last: int
    zone: Zone | None = None


class CorrectedTrace(Trace):
    """A trace whose outputs are corrected as they are read; the file stays as it is.

    Args:
        path: the trace.
        wrong: which answers are wrong.
        start: the first input, by its index.
        stop: the one after the last; None: all.
    """

    def __init__(
        self, path: Path | str, wrong: Sequence[Wrong] = (), *, start: int = 0, stop: int | None = None
    ) -> None:
        super().__init__(path, start=start, stop=stop)
        self.wrong = tuple(wrong)

    def part(self, start: int, stop: int) -> Self:
        """The inputs from index `start` up to `stop`, corrected as these."""
        return type(self)(self.path, self.wrong, start=self._start + start, stop=self._start + min(stop, len(self)))

    def outputs(self, model: str) -> list[Array]:
        """Every output of a model, aligned with `sequences`, without what is wrong.

        Raises:
            InvalidInput: outputs are missing or damaged, or what is called wrong can't be corrected.
        """
        found = super().outputs(model)
        for each in self.wrong:
            if each.model != model:
                continue
            low, high = np.searchsorted(self.sequences, (each.first, each.last + 1)).tolist()
            for row in range(low, high):
                found[row] = without(found[row], self.models[model].output, each)
        return found


def without(output: Array, spec: OutputSpec, wrong: Wrong) -> Array:
    """An output that does not say what is wrong.

    Raises:
        InvalidInput: nobody can tell what it should say instead.
    """
    suffix = "" if wrong.zone is None else f" in {wrong.zone.name}"
    columns = [column for column, name in enumerate(spec.classes) if f"{name}{suffix}" == wrong.what]
    if not columns and any(wrong.what.startswith(f"{name} in ") for name in spec.classes):
        return output  # The zone that was meant is not drawn any more.
    if not columns:
        if spec.kind in ("label", "scalar", "vector"):
            raise InvalidInput(
                f"{wrong.model} gives a {spec.kind}: that {wrong.what!r} is wrong does not tell what is right"
            )
        return spec.empty()
    if spec.kind == "boxes":
        those = np.isin(output[:, 5].astype(np.int64), columns)
        return np.asarray(output[~(those if wrong.zone is None else those & wrong.zone.standing(output))])
    corrected = output.copy()
    corrected[columns] = 0.0
    if spec.kind == "label":
        rest = float(corrected.sum())
        others = np.asarray([column not in columns for column in range(len(corrected))], np.float32)
        corrected = corrected / rest if rest > 0.0 else others / max(1.0, float(others.sum()))
    return np.asarray(corrected, output.dtype)

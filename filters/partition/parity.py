"""Whether both parts of a model together say what the whole says, and what making the map smaller changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InvalidInput, ModelFailed
from ...models import OnnxModel
from ...outputs import Array
from ...preprocessing import preprocess
from .map import TRANSFERS, MapFormat, Transfer
from .parts import Head, Tail
from .spec import SeenMap


@dataclass(frozen=True)
class Parity:
    """How head and tail compare with the whole model.

    Attributes:
        samples: on how many inputs.
        difference: the largest absolute difference of any raw output, the map handed over as it is.
        scale: the largest absolute raw output.
        agreement: the mean agreement of the decoded outputs (outputs.py), by how the map travels.
        sent_bytes: the mean size of a map as it travels.
    """

    samples: int
    difference: float
    scale: float
    agreement: dict[Transfer, float]
    sent_bytes: dict[Transfer, float]


def compare(path: Path, head: Head, tail: Tail, frames: Sequence[Array]) -> Parity:
    """Runs the whole model and both parts, the map handed over in each form that it can travel in."""
    whole = _Raw(path)
    at = head.partition
    names = [name for name in TRANSFERS if not at.map.native or name.startswith("uint8")]
    difference = scale = 0.0
    agreements: dict[Transfer, list[float]] = {name: [] for name in names}
    sizes: dict[Transfer, list[int]] = {name: [] for name in names}
    for frame in frames:
        seen = head.see(frame)
        expected, said = whole.raw(frame), whole.infer(frame)
        found = tail.raw(seen)
        for name, value in expected.items():
            gaps = np.abs(np.asarray(value, np.float64) - np.asarray(found[name], np.float64))
            difference = max(difference, float(gaps.max(initial=0.0)))
            scale = max(scale, float(np.abs(np.asarray(value, np.float64)).max(initial=0.0)))
        for name in names:
            form = MapFormat(at.shape, at.dtype, name)
            try:
                packed = form.pack(seen.value)
                answer = tail.answer(SeenMap(form.unpack(packed), seen.placement))
            except (InvalidInput, ModelFailed):  # too large for float16: it agrees on nothing
                agreements[name].append(0.0)
                continue
            agreements[name].append(tail.spec.output.agreement(answer, said))
            sizes[name].append(len(packed))
    return Parity(
        samples=len(frames),
        difference=difference,
        scale=scale,
        agreement={name: float(np.mean(each)) for name, each in agreements.items()},
        sent_bytes={name: float(np.mean(each or [0])) for name, each in sizes.items()},
    )


class _Raw(OnnxModel):
    """The whole model, which also shows what its decoder is given."""

    def raw(self, frame: Array) -> dict[str, Array]:
        """Every raw output by name."""
        return self._run(preprocess(frame, self.spec.picture)[0])

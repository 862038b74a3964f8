"""What a link's network reads, in which order: one flat vector, the same in training and when it serves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..outputs import Array

FADE_S = 8.0
"""What the sources said when the target last ran fades away like this; kept at full strength it makes links worse at
ages above 20 s (measured on the rendered street: counts of vehicles 0.59 instead of 0.72 at 32 to 64 s)."""


@dataclass(frozen=True)
class FeatureLayout:
    """The parts of a feature vector.

    In order: what each source says now; how that differs from what it said when the target last ran; which sources
    are there; which were there then; the target's last exact output; whether there is one; log(1 + its age in s).
    Whatever is not there is 0.

    Attributes:
        lengths: the length of each source's vector, in the order of the sources.
        target_length: the length of the target's own vector.
    """

    lengths: Mapping[str, int]
    target_length: int

    @cached_property
    def total(self) -> int:
        """How long the sources' vectors are together."""
        return sum(self.lengths.values())

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each source's vector lies in the first part (and, `total` later, in the second)."""
        ends = np.cumsum(list(self.lengths.values())).tolist()
        pairs = zip(self.lengths.items(), ends, strict=True)
        return {name: slice(end - length, end) for (name, length), end in pairs}

    @property
    def last_at(self) -> int:
        """Where the target's last exact output begins."""
        return 2 * self.total + 2 * len(self.lengths)

    @property
    def size(self) -> int:
        """How long a feature vector is."""
        return self.last_at + self.target_length + 2

    def pack_many(self, now: Array, then: Array, last: Array, masks: Array, then_masks: Array, age_s: Array) -> Array:
        """Feature vectors (n, size) from arrays.

        Args:
            now: the sources' vectors (n, total).
            then: those of when the target last ran (n, total).
            last: the target's last exact output (n, target_length).
            masks: 1 where a source is there (n, sources).
            then_masks: 1 where it was there then as well (n, sources).
            age_s: the last output's age (n,); NaN where there is none.
        """
        masks = masks.astype(np.float32)
        held = np.isfinite(age_s).astype(np.float32)[:, None]
        then_masks = then_masks * masks * held
        widths = list(self.lengths.values())
        fade = np.exp(-np.nan_to_num(age_s, nan=0.0) / FADE_S).astype(np.float32)[:, None]
        age = np.log1p(np.nan_to_num(age_s, nan=0.0)).astype(np.float32)[:, None]
        parts = [
            now * np.repeat(masks, widths, axis=1),
            (now - then) * np.repeat(then_masks, widths, axis=1) * fade,
            masks,
            then_masks * fade,
            last * held,
            held,
            age * held,
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def pack(
        self,
        buffer: Array,
        now: Mapping[str, Array],
        then: Mapping[str, Array],
        last: Array | None,
        age_s: float,
    ) -> None:
        """Writes one feature vector into `buffer` (size,), from the vectors that are there."""
        buffer.fill(0.0)
        count = len(self.lengths)
        fade = math.exp(-age_s / FADE_S)
        for index, (name, where) in enumerate(self.slices.items()):
            vector = now.get(name)
            if vector is None:
                continue
            buffer[where] = vector
            buffer[2 * self.total + index] = 1.0
            before = then.get(name) if last is not None else None
            if before is not None:
                buffer[self.total + where.start : self.total + where.stop] = (vector - before) * fade
                buffer[2 * self.total + count + index] = fade
        if last is not None:
            buffer[self.last_at : self.last_at + self.target_length] = last
            buffer[-2] = 1.0
            buffer[-1] = np.log1p(age_s)

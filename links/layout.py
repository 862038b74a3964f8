"""What a link's network reads, in which order: one flat vector, the same in training and when it serves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..models.encoding.encoding import Encoding
from ..outputs import Array

FADE_S = 8.0
"""The time constant with which the change of the sources since the target last ran counts less. At full strength it
makes links worse at ages above 20 s (measured on the rendered street: counts of vehicles 0.59 instead of 0.72 at 32 to
64 s)."""


@dataclass(frozen=True)
class FeatureLayout:
    """The parts of a feature vector.

    In order: each source's vector; how it differs from the one of when the target last ran; which sources ran; which
    had run then; the target's last exact output; whether there is one; log(1 + its age in s). Behind that, for networks
    that read tokens one by one: the ids of each source that gives tokens, and those of the target's last exact output.
    Whatever is missing is 0.

    Attributes:
        lengths: the length of each source's vector, in the order of the sources.
        target_length: the length of the target's own vector.
        ids: how many ids of each source are read (of those that give tokens).
        target_ids: how many ids of the target's last exact output are read.
    """

    lengths: Mapping[str, int]
    target_length: int
    ids: Mapping[str, int] = field(default_factory=dict)
    target_ids: int = 0

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

    @cached_property
    def _places(self) -> tuple["_Place", ...]:
        """Where each source's numbers lie: looked up for every input, so computed once."""
        masks_at = 2 * self.total
        return tuple(
            _Place(
                name,
                where.stop - where.start,
                where,
                slice(self.total + where.start, self.total + where.stop),
                masks_at + index,
                masks_at + len(self.lengths) + index,
                self.id_slices.get(name),
            )
            for index, (name, where) in enumerate(self.slices.items())
        )

    @cached_property
    def last_at(self) -> int:
        """Where the target's last exact output begins."""
        return 2 * self.total + 2 * len(self.lengths)

    @cached_property
    def ids_at(self) -> int:
        """Where the ids begin: how long the part is that every network reads."""
        return self.last_at + self.target_length + 2

    @cached_property
    def id_slices(self) -> dict[str, slice]:
        """Where each source's ids lie."""
        ends = (self.ids_at + np.cumsum(list(self.ids.values()))).tolist()
        pairs = zip(self.ids.items(), ends, strict=True)
        return {name: slice(end - length, end) for (name, length), end in pairs}

    @cached_property
    def last_ids_at(self) -> int:
        """Where the ids of the target's last exact output begin."""
        return self.ids_at + sum(self.ids.values())

    @cached_property
    def size(self) -> int:
        """How long a feature vector is."""
        return self.last_ids_at + self.target_ids

    def pack_many(
        self,
        now: Array,
        then: Array,
        last: Array,
        masks: Array,
        then_masks: Array,
        age_s: Array,
        *,
        ids: Array | None = None,
        last_ids: Array | None = None,
    ) -> Array:
        """Feature vectors (n, size) from arrays.

        Args:
            now: the sources' vectors (n, total).
            then: those of when the target last ran (n, total).
            last: the target's last exact output (n, target_length).
            masks: 1 where a source ran (n, sources).
            then_masks: 1 where it had run then as well (n, sources).
            age_s: the last output's age (n,); NaN where there is none.
            ids: the ids of the sources that give tokens, side by side (n, their number); needed if any are read.
            last_ids: those of the target's last exact output (n, target_ids); needed if any are read.
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
        if self.ids:
            assert ids is not None
            there = [masks[:, index] for index, name in enumerate(self.lengths) if name in self.ids]
            parts.append(ids * np.repeat(np.stack(there, axis=1), list(self.ids.values()), axis=1))
        if self.target_ids:
            assert last_ids is not None
            parts.append(last_ids * held)
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def pack(
        self,
        buffer: Array,
        now: Mapping[str, Array],
        then: Mapping[str, Array],
        last: Array | None,
        age_s: float,
    ) -> None:
        """Writes one feature vector into `buffer` (size,).

        Args:
            buffer: what is written to.
            now: the vectors, with their ids, of the sources that ran.
            then: those of the sources that had run when the target last ran.
            last: the target's last exact output, with its ids; None if there is none.
            age_s: its age.
        """
        buffer.fill(0.0)
        fade = math.exp(-age_s / FADE_S)
        for place in self._places:
            vector = now.get(place.name)
            if vector is None:
                continue
            if len(vector) > place.length:
                if place.ids is not None:
                    buffer[place.ids] = vector[place.length :]
                vector = vector[: place.length]
            buffer[place.now] = vector
            buffer[place.mask] = 1.0
            before = then.get(place.name) if last is not None else None
            if before is not None:
                buffer[place.change] = (vector - before[: place.length]) * fade
                buffer[place.then_mask] = fade
        if last is not None:
            buffer[self.last_at : self.last_at + self.target_length] = last[: self.target_length]
            buffer[self.ids_at - 2] = 1.0
            buffer[self.ids_at - 1] = math.log1p(age_s)
            if self.target_ids:
                buffer[self.last_ids_at :] = last[self.target_length :]


def layout_of(encodings: Mapping[str, Encoding], target: str, sources: Sequence[str], *, ids: bool) -> FeatureLayout:
    """The layout of a target's network.

    Args:
        encodings: how each model's outputs become vectors.
        target: the model that is predicted.
        sources: those it is predicted from, in order.
        ids: whether the network reads tokens one by one.
    """
    lengths = {name: encodings[name].length for name in sources}
    if not ids:
        return FeatureLayout(lengths, encodings[target].length)
    source_ids = {name: encodings[name].ids for name in sources if encodings[name].ids}
    return FeatureLayout(lengths, encodings[target].length, source_ids, encodings[target].ids)


@dataclass(frozen=True)
class _Place:
    """Where one source's numbers lie in a feature vector.

    Attributes:
        name: the source.
        length: of its vector.
        now: its vector.
        change: how that differs from its vector of when the target last ran.
        mask: whether it ran.
        then_mask: whether it had run then.
        ids: its ids, if they are read.
    """

    name: str
    length: int
    now: slice
    change: slice
    mask: int
    then_mask: int
    ids: slice | None

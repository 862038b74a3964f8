"""Situations a link must answer in, drawn from a recording: which sources are there, and how old the last output is."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..features import layout_of
from .samples import OLDEST_S, Samples

_NEVER_SHARE = 0.15
_EVERY_SOURCE_SHARE = 0.1
_NO_THEN_SHARE = 0.15


@dataclass(frozen=True)
class Draws:
    """Many situations, one a row.

    Attributes:
        inputs: on which input the target is predicted.
        earlier: on which input it last ran; -1: never.
        masks: which sources ran on `inputs` (n, sources).
        then_masks: which ran on `earlier` as well (n, sources).
    """

    inputs: Array
    earlier: Array
    masks: Array
    then_masks: Array


class Situations:
    """A target's situations and their feature vectors.

    Args:
        samples: the recording.
        target: the model that is predicted.
        ids: whether its network reads tokens one by one.
    """

    def __init__(self, samples: Samples, target: str, *, ids: bool = False) -> None:
        self.samples = samples
        self.target = target
        self.sources = samples.sources(target)
        self.layout = layout_of(samples.encodings, target, self.sources, ids=ids)
        self.vectors = samples.standard(target)
        self.ids = samples.ids(target)
        self._stacked = samples.stacked(target)
        self._stacked_ids = np.concatenate([samples.ids(name) for name in self.sources], axis=1)

    def draw(self, rng: np.random.Generator, block: Array, count: int) -> Draws:
        """Random situations on the inputs of a block: any subset of the sources, any age."""
        inputs = rng.choice(block, count)
        ages = self.samples.draw_ages(rng, count, low_s=0.0, high_s=OLDEST_S)
        earlier = self.samples.earlier(inputs, ages)
        earlier[rng.random(count) < _NEVER_SHARE] = -1
        shares = np.where(rng.random(count) < _EVERY_SOURCE_SHARE, 1.0, rng.random(count))
        masks = rng.random((count, len(self.sources))) < shares[:, None]
        then_masks = masks & (rng.random(count) >= _NO_THEN_SHARE)[:, None]
        return Draws(inputs, earlier, masks, then_masks)

    def fixed(self, inputs: Array, earlier: Array, sources: tuple[str, ...]) -> Draws:
        """The situations in which just these sources run, always."""
        mask = np.asarray([name in sources for name in self.sources], bool)
        masks = np.repeat(mask[None], len(inputs), axis=0)
        return Draws(inputs, earlier, masks, masks)

    def features(self, draws: Draws) -> Array:
        """The network's feature vectors (n, `layout.size`)."""
        before = np.maximum(draws.earlier, 0)
        return self.layout.pack_many(
            self._stacked[draws.inputs],
            self._stacked[before],
            self.vectors[before],
            draws.masks,
            draws.then_masks,
            self.samples.ages(draws.inputs, draws.earlier),
            ids=self._stacked_ids[draws.inputs],
            last_ids=self.ids[before],
        )

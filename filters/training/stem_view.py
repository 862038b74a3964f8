"""A stem's features of every input of a trace: what the candidates with a stem learn from and are judged by."""

import math
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

import numpy as np
import onnx

from ...errors import InvalidInput
from ...models.heads.binary import Binary
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..gates.stem_feed import StemFeed
from ..spec import FilterStem
from .graphs import check_same, session_of

_MOST_PLACES_BYTES = 512 << 20
"""Of a trace whose places take more, heads learn from features alone."""
_CHECKED = 8
_BATCH = 256
# Here places are halved in precision, at work they are not.
_PARITY = 5e-3
# Of more inputs with places so many are learnt from, evenly spaced.
_MOST_LEARNT = 2000


@dataclass(frozen=True)
class StemView:
    """What a stem makes of a trace.

    Attributes:
        stem: the stem.
        trace: the inputs: pictures, in a stream or each by itself.
        features: float32 (inputs, length).
        places: float16 (inputs, channels, rows, columns); None: they would take too much memory.
    """

    stem: Stem
    trace: Trace
    features: Array = field(repr=False)
    places: Array | None = field(default=None, repr=False)

    @classmethod
    def of(cls, stem: Stem, trace: Trace, *, progress: Progress | None = None) -> Self:
        """Looks at every input.

        Raises:
            InvalidInput: an input is no picture.
        """
        features = np.empty((len(trace), stem.spec.length), np.float32)
        shape = (len(trace), *stem.spec.places)
        places = np.empty(shape, np.float16) if 2 * math.prod(shape) <= _MOST_PLACES_BYTES else None
        for i, frame in enumerate(trace.inputs()):
            try:
                seen = stem.see(frame)
                features[i] = seen.features
                if places is not None:
                    places[i] = seen.places
            except InvalidInput as error:
                raise InvalidInput(f"{trace.path}: input {int(trace.sequences[i])}: {error}") from error
            if progress is not None and i % 50 == 0:
                progress(i / len(trace), "the stem looks at the trace")
        return cls(stem, trace, features, places)

    @classmethod
    def beside(cls, stem: Stem | None, trace: Trace, modality: str, *, progress: Progress | None = None) -> Self | None:
        """The same, if there is a stem and the inputs are pictures."""
        if stem is None or (trace.info.input != "image" and modality != "image"):
            return None
        return cls.of(stem, trace, progress=progress)

    @property
    def used(self) -> FilterStem:
        """The stem as a filter's file names it."""
        return FilterStem(spec=self.stem.spec, digest=self.stem.digest)

    def head(self, truth: Array, rows: slice | Array, *, looks: bool) -> Binary:
        """A head that learns from some of the inputs.

        Args:
            truth: of each of them, whether it is so: bool (n,).
            rows: which, in the order of time.
            looks: whether it looks for the best place, too: where something is, or is not.
        """
        index = np.arange(len(self.trace))[rows]
        if self.places is None or not looks:
            return Binary.fit(self.features[index], truth)
        chosen = np.unique(np.linspace(0, len(index) - 1, min(len(index), _MOST_LEARNT)).astype(int))
        learnt = index[chosen]
        return Binary.fit(self.features[learnt], truth[chosen], places=self.places[learnt])

    def probability(self, head: Binary, rows: slice | Array = slice(None)) -> Array:
        """What a head says of some of the inputs: float64 (n,)."""
        index = np.arange(len(self.trace))[rows]
        found = np.empty(len(index))
        for first in range(0, len(index), _BATCH):
            part = index[first : first + _BATCH]
            places = None if self.places is None or head.best_place is None else self.places[part]
            found[first : first + _BATCH] = head.predict(self.features[part], places)
        return found

    def check(self, graph: onnx.ModelProto, scores: Array) -> None:
        """Makes sure that a filter's graph gives the scores (inputs, tasks) that are calibrated.

        Of some first inputs, of which only the very first is kept.
        """
        feed = StemFeed(session_of(graph), self.stem.spec)
        for i, frame in enumerate(islice(self.trace.inputs(), _CHECKED)):
            found = feed.scores(frame, float(self.trace.captured_s[i]))
            if i:
                check_same(scores[i], found, what="the graph's score", parity=_PARITY)
            else:
                feed.kept()

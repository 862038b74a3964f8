"""A stem's features of every input of a trace: what the candidates with a stem learn from and are judged by."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import onnx

from ...errors import InvalidInput
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..gates.stem_feed import StemFeed
from ..spec import FilterStem
from .graphs import check_same, session_of

STEM_FILE = "stem.onnx"
_CHECKED = 8


@dataclass(frozen=True)
class StemView:
    """What a stem makes of a trace.

    Attributes:
        stem: the stem.
        trace: the inputs: pictures, in a stream or each by itself.
        features: float32 (inputs, length).
    """

    stem: Stem
    trace: Trace
    features: Array = field(repr=False)

    @classmethod
    def of(cls, stem: Stem, trace: Trace, *, progress: Progress | None = None) -> Self:
        """Looks at every input.

        Raises:
            InvalidInput: an input is no picture.
        """
        features = np.empty((len(trace), stem.spec.length), np.float32)
        for i, frame in enumerate(trace.inputs()):
            try:
                features[i] = stem.see(frame).features
            except InvalidInput as error:
                raise InvalidInput(f"{trace.path}: input {int(trace.sequences[i])}: {error}") from error
            if progress is not None and i % 50 == 0:
                progress(i / len(trace), "the stem looks at the trace")
        return cls(stem, trace, features)

    @classmethod
    def beside(cls, stem: Stem | None, trace: Trace, modality: str, *, progress: Progress | None = None) -> Self | None:
        """The same, if there is a stem and the inputs are pictures."""
        if stem is None or (trace.info.input == "array" and modality != "image"):
            return None
        return cls.of(stem, trace, progress=progress)

    @property
    def used(self) -> FilterStem:
        """The stem as a filter's file names it."""
        return FilterStem(spec=self.stem.spec, digest=self.stem.digest)

    def check(self, graph: onnx.ModelProto, scores: Array) -> None:
        """Makes sure that a filter's graph gives the scores (inputs, tasks) that are calibrated.

        Of some first inputs, of which only the very first is kept.
        """
        feed = StemFeed(session_of(graph), self.stem.spec)
        for i, frame in enumerate(islice(self.trace.inputs(), _CHECKED)):
            found = feed.scores(frame, float(self.trace.captured_s[i]))
            if i:
                check_same(scores[i], found, what="the graph's score")
            else:
                feed.kept()


def stem_beside(trace: Path, named: Path | None) -> Stem | None:
    """The stem that a user names, else the one in the folder of the trace; None: there is none.

    Raises:
        InvalidInput: the file is no stem.
    """
    path = trace.parent / STEM_FILE if named is None else named
    if named is None and not path.is_file():
        return None
    return Stem(path)

"""A filter that holds the last kept input's answer, at work with a stem: what the head says now beside that answer.

NumPy, OpenCV and onnxruntime only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnxruntime as ort

from ...models.inputs.pixels import check_frame
from ...models.stem.spec import StemSpec
from ...models.stem.stem import FEATURES, PICTURE, shrink
from ...outputs import Array, OutputSpec
from ..modalities.stream import Channels
from .base import Learn, ModelOutput
from .stem_feed import SCORE

SCALARS = "scalars"
"""Graph input: float32 (n, 17), as `Channels` has them."""
CARRIED = "carried"
"""Graph output: float32 (n, 1), the changes to be expected since the last kept input."""
SAID = "said"
"""Graph output: float32 (n, k), the answers' numbers as the head reads them off this input."""
SAID_THEN = "said_then"
"""Graph input: float32 (n, k), the same of the last kept input."""
ANSWER = "answer"
"""Graph input: float32 (n, k), the numbers of the last kept input's own answer."""


@dataclass(frozen=True)
class AnswerNumbers:
    """The answers of some models as numbers, in which a head's and the models' own can be compared.

    Attributes:
        outputs: the models' outputs, by name.
        columns: of each model's numbers (`output_numbers`), which are compared; a model without any is left out.
    """

    outputs: Mapping[str, OutputSpec]
    columns: Mapping[str, tuple[int, ...]]

    @property
    def length(self) -> int:
        """How many numbers there are in all: k."""
        return sum(len(each) for each in self.columns.values())

    def of(self, values: Mapping[str, Array]) -> Array:
        """The numbers of one answer of each model: float32 (k,)."""
        parts = [
            output_numbers(self.outputs[model], values[model])[list(columns)] for model, columns in self.columns.items()
        ]
        return np.concatenate([np.zeros(0, np.float32), *parts])


def output_numbers(output: OutputSpec, value: Array) -> Array:
    """An output as numbers that a head can read off a picture: boxes are counted; masks and tokens have none."""
    if output.kind == "boxes":
        return output.counts(value).astype(np.float32)
    if output.kind in ("mask", "tokens"):
        return np.zeros(0, np.float32)
    return np.asarray(value, np.float32).reshape(-1)


class HeldFeed:
    """Feeds a filter's graph with one stream: pictures for the stem, the scalars, the answer that is held.

    The models' own answer for the last kept input counts as soon as it is there (what `kept` gives takes it); until
    then what the head said of that input does.

    Args:
        session: of the graph.
        stem: what the stem inside says of itself.
        numbers: how answers become numbers.
        step_s: the least time to the previous frame, in seconds of capture.

    Attributes:
        features: float32 (length,): what the stem made of the last input; None before the first.
        remembers: whether a score depends on earlier inputs: always.
    """

    remembers = True

    def __init__(self, session: ort.InferenceSession, stem: StemSpec, numbers: AnswerNumbers, *, step_s: float) -> None:
        self.features: Array | None = None
        self.channels = Channels(pairwise=True, step_s=step_s)
        self._session = session
        self._size = stem.size
        self._numbers = numbers
        self._said = np.zeros((1, numbers.length), np.float32)
        self._said_then = self._answer = self._said
        self._kept = 0

    def scores(self, frame: Array, captured_s: float) -> Array:
        """The graph's scores (1,) for the next frame (uint8 BGR), captured at `captured_s` seconds."""
        check_frame(frame)
        self.channels.see(frame, captured_s)
        feeds = {
            PICTURE: shrink(frame, self._size)[None],
            SCALARS: self.channels.scalars,
            SAID_THEN: self._said_then,
            ANSWER: self._answer,
        }
        score, carried, self._said, features = self._session.run((SCORE, CARRIED, SAID, FEATURES), feeds)
        self.channels.carry(float(carried[0, 0]))
        self.features = features[0]
        return np.asarray(score[0])

    def kept(self) -> Learn:
        """Notes that the input last seen is kept; what it gives takes the models' outputs for it."""
        self.channels.kept()
        self._said_then = self._answer = self._said
        self._kept += 1
        return partial(self._learn, self._kept)

    def reset(self) -> None:
        """Starts a new stream."""
        self.channels.reset()
        self._kept += 1

    def _learn(self, kept: int, outputs: Mapping[str, ModelOutput]) -> None:
        # An answer that is late, when another input is the last kept one, is of no use.
        if kept == self._kept and all(model in outputs for model in self._numbers.columns):
            self._answer = self._numbers.of({model: each.value for model, each in outputs.items()})[None]

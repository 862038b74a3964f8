"""A stem with what is behind it at work on one stream: one forward pass an input. NumPy and onnxruntime only."""

import math
from typing import Any

import numpy as np
import onnxruntime as ort

from ...models.inputs.pixels import check_frame
from ...models.stem.spec import StemSpec
from ...models.stem.stem import FEATURES, PICTURE, shrink
from ...outputs import Array
from .base import Learn

AGE = "age"
"""Graph input: float32 (n, 1), the logarithm of the seconds since the last kept input."""
KEPT = "kept"
"""Graph input: float32 (n, length), the features of the last kept input."""
LEAST = "least"
"""Graph input: float32 (n, things), the least that `THERE` was since an input was kept, that one among them."""
THERE = "there"
"""Graph output: float32 (n, things), how probably each thing is there that the rule tells apart."""
WEIGHTS, BIAS = "head_weights", "head_bias"
"""Graph inputs with a value in the file, float32 (length, tasks) and (tasks,): for what is learnt at work."""
SCORE = "score"
"""Graph output: float32 (n, tasks)."""

LEAST_AGE_S = 1e-3


class StemFeed:
    """Feeds a filter's graph with the pictures of one stream, and with what it carries from input to input.

    Args:
        session: of the graph.
        stem: what the stem inside says of itself.

    Attributes:
        features: float32 (length,): what the stem made of the last input; None before the first.
        weights: what is fed in place of weights in the file, by name; of those that the graph takes as inputs.
    """

    def __init__(self, session: ort.InferenceSession, stem: StemSpec) -> None:
        self.features: Array | None = None
        self.weights: dict[str, Array] = {}
        self._size = stem.size
        self._kept = np.zeros((1, stem.length), np.float32)
        self._age = np.zeros((1, 1), np.float32)
        self._there: Array | None = None
        self._captured_s = 0.0
        self._kept_s = -math.inf
        self._session = session
        shapes = {each.name: each.shape for each in session.get_inputs()}
        self._carried = {name: state for name, state in ((KEPT, self._kept), (AGE, self._age)) if name in shapes}
        self._asked = [SCORE, FEATURES]
        if LEAST in shapes:
            self._carried[LEAST] = np.ones((1, int(shapes[LEAST][1])), np.float32)
            self._asked.append(THERE)

    def scores(self, frame: Array, captured_s: float) -> Array:
        """The graph's scores (tasks,) for the next frame (uint8 BGR), captured at `captured_s` seconds."""
        check_frame(frame)
        self._captured_s = captured_s
        age_s = max(captured_s - self._kept_s, LEAST_AGE_S) if math.isfinite(self._kept_s) else LEAST_AGE_S
        self._age[0, 0] = math.log(age_s)
        feeds: dict[str, Any] = {PICTURE: shrink(frame, self._size)[None], **self._carried, **self.weights}
        score, features, *there = self._session.run(self._asked, feeds)
        self.features = features[0]
        if there:
            self._there = there[0]
            np.minimum(self._carried[LEAST], self._there, out=self._carried[LEAST])
        return np.asarray(score[0])

    @property
    def remembers(self) -> bool:
        """Whether a score depends on earlier inputs."""
        return bool(self._carried)

    def kept(self) -> Learn | None:
        """Notes that the input last seen is kept; it learns nothing from the models' outputs for it."""
        if self.features is not None:
            np.copyto(self._kept[0], self.features)
            self._kept_s = self._captured_s
        if self._there is not None:
            np.copyto(self._carried[LEAST], self._there)
        return None

    def reset(self) -> None:
        """Starts a new stream."""
        self._kept_s = -math.inf

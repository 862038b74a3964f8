"""A stem with what is behind it at work on one stream: one forward pass an input. NumPy and onnxruntime only."""

import math
from typing import Any

import numpy as np
import onnxruntime as ort

from ...models.preprocessing import check_frame
from ...models.stem.spec import StemSpec
from ...models.stem.stem import FEATURES, PICTURE, shrink
from ...outputs import Array
from .base import Learn

AGE = "age"
"""Graph input: float32 (n, 1), the logarithm of the seconds since the last kept input."""
KEPT = "kept"
"""Graph input: float32 (n, length), the features of the last kept input."""
BACKGROUND = "background"
"""Graph input: float32 (n, length), a slow mean of the features, this input's not among them."""
WEIGHTS, BIAS = "head_weights", "head_bias"
"""Graph inputs with a value in the file, float32 (length, tasks) and (tasks,): for what is learnt at work."""
SCORE = "score"
"""Graph output: float32 (n, tasks)."""

BACKGROUND_S = 20.0
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
        self._state = {name: np.zeros((1, stem.length), np.float32) for name in (KEPT, BACKGROUND)}
        self._state[AGE] = np.zeros((1, 1), np.float32)
        self._background = Background()
        self._captured_s = 0.0
        self._kept_s = -math.inf
        self.use(session)

    def use(self, session: ort.InferenceSession) -> None:
        """Switches to another graph with the same inputs; the stream goes on."""
        self._session = session
        wanted = [each.name for each in session.get_inputs()]
        self._carried = {name: self._state[name] for name in wanted if name in self._state}

    def scores(self, frame: Array, captured_s: float) -> Array:
        """The graph's scores (tasks,) for the next frame (uint8 BGR), captured at `captured_s` seconds."""
        check_frame(frame)
        self._captured_s = captured_s
        age_s = max(captured_s - self._kept_s, LEAST_AGE_S) if math.isfinite(self._kept_s) else LEAST_AGE_S
        self._state[AGE][0, 0] = math.log(age_s)
        feeds: dict[str, Any] = {PICTURE: shrink(frame, self._size)[None], **self._carried, **self.weights}
        score, features = self._session.run((SCORE, FEATURES), feeds)
        self.features = features[0]
        self._background.see(features[0], captured_s, self._state[BACKGROUND][0])
        return np.asarray(score[0])

    def kept(self) -> Learn | None:
        """Notes that the input last seen is kept; it learns nothing from the models' outputs for it."""
        if self.features is not None:
            np.copyto(self._state[KEPT][0], self.features)
            self._kept_s = self._captured_s
        return None

    def reset(self) -> None:
        """Starts a new stream."""
        self._background.reset()
        self._kept_s = -math.inf


class Background:
    """A slow running mean of features; how slow is counted in seconds of capture time, not in inputs."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._last_s = 0.0

    def reset(self) -> None:
        """Forgets what it saw."""
        self._first_s = None

    def see(self, features: Array, captured_s: float, mean: Array) -> None:
        """Adds the features to the mean, in place."""
        if self._first_s is None:
            self._first_s = self._last_s = captured_s
            np.copyto(mean, features)
            return
        step_s = max(0.0, captured_s - self._last_s)
        # A young background is the plain mean of what was seen so far.
        slow_s = max(min(BACKGROUND_S, captured_s - self._first_s), step_s, 1e-6)
        mean += (1.0 - math.exp(-step_s / slow_s)) * (features - mean)
        self._last_s = captured_s


def backgrounds(features: Array, captured_s: Array) -> Array:
    """What a filter at work compares each input of a stream with: float32 (inputs, length); the first with itself."""
    background, mean = Background(), np.zeros(features.shape[1], np.float32)
    found = np.empty_like(features)
    found[0] = features[0]
    for i, (row, at_s) in enumerate(zip(features, captured_s.tolist(), strict=True)):
        if i:
            found[i] = mean
        background.see(row, at_s, mean)
    return found

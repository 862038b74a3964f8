"""What a candidate for a filter is, and those that learn nothing (NumPy alone: a filter is judged beside them)."""

import math
from typing import Protocol

import numpy as np

from ...outputs import Array
from ..modalities.stream import LOW_LEVEL, SCALARS
from .losses import Losses
from .replay import Replay


class Candidate(Protocol):
    """Something that scores inputs: a learned network, or one of the free baselines.

    Attributes:
        name: what it competes as.
        most: the greatest threshold that makes sense for its scores.
    """

    name: str
    most: float

    @property
    def alone(self) -> Array | None:
        """Its score of each input, where that does not depend on what was kept."""

    def scores(self, kept: Array, current: int) -> Array:
        """How needed input `current` is, for each of the inputs `kept` as the last kept one."""


class ScalarCandidate:
    """One scalar as the score: "difference", "background", or "age" (which keeps every so many seconds)."""

    most = math.inf
    alone: Array | None = None

    def __init__(self, name: str, replay: Replay) -> None:
        self.name = name
        self.replay = replay
        self._column = SCALARS.index(name)

    def scores(self, kept: Array, current: int) -> Array:
        """The scalar, per last kept input."""
        scalars = self.replay.scalars(kept, np.full(len(kept), current))
        return np.asarray(scalars[:, self._column], np.float64)


class LowLevelCandidate:
    """One of Reducto's low-level differences to the reference as the score."""

    most = math.inf
    alone: Array | None = None

    def __init__(self, name: str, replay: Replay) -> None:
        self.name = name
        self.replay = replay
        self._column = LOW_LEVEL.index(name)

    def scores(self, kept: Array, current: int) -> Array:
        """The difference, per last kept input."""
        found = self.replay.low_level(kept, np.full(len(kept), current))[:, self._column]
        # As the file computes it: these are fractions that a threshold often equals.
        return np.asarray(found.astype(np.float32), np.float64)


class RandomCandidate:
    """One random draw per input as the score, the same for every threshold."""

    name = "random"
    most = math.inf

    def __init__(self, inputs: int, *, seed: int = 0) -> None:
        self.alone = np.random.default_rng(seed).random(inputs)

    def scores(self, kept: Array, current: int) -> Array:
        """What was drawn for the input."""
        return np.full(len(kept), self.alone[current])


class ScoredCandidate:
    """A candidate whose scores, which do not depend on what was kept, are computed already.

    Attributes:
        alone: the score of each input.
        most: the greatest threshold that makes sense for the scores.
    """

    def __init__(self, name: str, alone: Array, *, most: float = math.inf) -> None:
        self.name = name
        self.alone = alone
        self.most = most

    def scores(self, kept: Array, current: int) -> Array:
        """The input's score, whatever was kept."""
        return np.full(len(kept), self.alone[current])


class EveryCandidate:
    """Counts inputs since the last kept one; with whole thresholds it keeps every K-th."""

    name = "every K-th"
    most = math.inf
    alone: Array | None = None

    def scores(self, kept: Array, current: int) -> Array:
        """How many inputs ago it was."""
        return np.asarray(current - kept, np.float64)


class OracleCandidate:
    """The true loss as the score: what a filter that knew the outputs could do."""

    name = "oracle"
    most = math.inf
    alone: Array | None = None

    def __init__(self, losses: Losses, inputs: int) -> None:
        self._losses = losses
        # Among inputs of equal loss it takes some at random, so that there is a threshold for every rate.
        self._ties = 0.1 * np.random.default_rng(0).random(inputs)

    def scores(self, kept: Array, current: int) -> Array:
        """The loss of not keeping it."""
        return np.asarray(self._losses.of(kept, np.full(len(kept), current)) + self._ties[current])

"""The candidates that compete for a filter: the learned network and the free baselines."""

import math
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from ...outputs import Array
from ..modalities.stream import CARRIED, LOW_LEVEL, SCALARS
from .losses import Losses
from .replay import Replay, Singles

if TYPE_CHECKING:
    from .staleness import Pace

_BATCH = 64


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


class NetworkCandidate:
    """The learned network's expected loss as the score, computed by the very graph that its file will have."""

    name = "network"
    most = 0.5  # of an input that is skipped, the loss to expect
    alone: Array | None = None

    def __init__(self, session: ort.InferenceSession, replay: Replay) -> None:
        self.replay = replay
        self._session = session

    def scores(self, kept: Array, current: int) -> Array:
        """The expected loss, per last kept input."""
        wanted = kept if self.replay.pairwise else kept[:1]
        now = np.full(len(wanted), current)
        images = np.ascontiguousarray(self.replay.images(wanted, now).transpose(0, 3, 1, 2))
        channels = np.multiply(images, np.float32(1 / 255), dtype=np.float32)
        feed = {"channels": channels, "scalars": self.replay.scalars(wanted, now)}
        return np.broadcast_to(self._session.run(None, feed)[0][:, 0].astype(np.float64), kept.shape)


class AloneCandidate:
    """A candidate whose scores do not depend on what was kept: computed once, for every input from `start` on.

    Attributes:
        alone: how needed each input is.
        most: the greatest threshold that makes sense for the scores.
    """

    def __init__(
        self,
        name: str,
        session: ort.InferenceSession,
        singles: Singles,
        *,
        start: int,
        most: float = 0.9,
        task: int = 0,
    ) -> None:
        self.name = name
        self.most = most
        self.alone = np.ones(len(singles))
        for first in range(start, len(singles), _BATCH):
            index = np.arange(first, min(first + _BATCH, len(singles)))
            self.alone[index] = session.run(None, {"input": singles.rows(index)})[0][:, task]

    def scores(self, kept: Array, current: int) -> Array:
        """The input's score, whatever was kept."""
        return np.full(len(kept), self.alone[current])


class PaceCandidate:
    """The changes to be expected since the last kept input, at the learned pace."""

    name = "pace"
    most = math.inf
    alone: Array | None = None

    def __init__(self, pace: "Pace", replay: Replay) -> None:
        self.pace = pace
        self._changes = pace.changes(replay)

    def scores(self, kept: Array, current: int) -> Array:
        """The changes, per last kept input."""
        return np.asarray(self._changes[current] - self._changes[kept])


class BlendCandidate:
    """How likely the last kept answer is stale, by the learned blend, computed by the very graph of its file."""

    name = "blend"
    most = 1.0
    alone: Array | None = None

    def __init__(self, session: ort.InferenceSession, pace: "Pace", replay: Replay) -> None:
        self.pace = pace
        self.replay = replay
        self._session = session
        self._changes = pace.changes(replay)

    def scores(self, kept: Array, current: int) -> Array:
        """The probability, per last kept input."""
        scalars = self.replay.scalars(kept, np.full(len(kept), current))
        scalars[:, CARRIED] = self._changes[current - 1] - self._changes[kept]
        return np.asarray(self._session.run(["score"], {"scalars": scalars})[0][:, 0], np.float64)


class EveryCandidate:
    """Counts inputs since the last kept one; with whole thresholds it keeps every K-th."""

    name = "every K-th"
    most = math.inf
    alone: Array | None = None

    def scores(self, kept: Array, current: int) -> Array:
        """How many inputs ago it was."""
        return np.asarray(current - kept, np.float64)


class RandomCandidate:
    """A lot per input, the same for every threshold."""

    name = "random"
    most = math.inf

    def __init__(self, inputs: int, *, seed: int = 0) -> None:
        self.alone = np.random.default_rng(seed).random(inputs)

    def scores(self, kept: Array, current: int) -> Array:
        """The input's lot."""
        return np.full(len(kept), self.alone[current])


class OracleCandidate:
    """The true loss as the score: what a filter that knew the outputs could do."""

    name = "oracle"
    most = math.inf
    alone: Array | None = None

    def __init__(self, losses: Losses, inputs: int) -> None:
        self._losses = losses
        # Among inputs of equal loss it takes some by lot, so that there is a threshold for every rate.
        self._lots = 0.1 * np.random.default_rng(0).random(inputs)

    def scores(self, kept: Array, current: int) -> Array:
        """The loss of not keeping it."""
        return np.asarray(self._losses.of(kept, np.full(len(kept), current)) + self._lots[current])

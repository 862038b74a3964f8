"""The candidates that compete for a filter: the learned network and the free baselines."""

import math
from typing import TYPE_CHECKING

import numpy as np

from ..outputs import Array
from .channels import MOTION, SCALARS
from .losses import Losses
from .replay import Replay

if TYPE_CHECKING:
    from .network import TemporalNetwork
    from .pace import Pace


class ScalarCandidate:
    """One scalar as the score: "difference", "background", or "age" (which keeps every so many seconds)."""

    most = math.inf

    def __init__(self, name: str, replay: Replay) -> None:
        self.name = name
        self.replay = replay
        self._column = SCALARS.index(name)

    def scores(self, kept: Array, current: int) -> Array:
        """The scalar, per last kept input."""
        scalars = self.replay.scalars(kept, np.full(len(kept), current))
        return np.asarray(scalars[:, self._column], np.float64)


class NetworkCandidate:
    """The learned network's expected loss as the score."""

    name = "network"
    most = 0.5  # of an input that is skipped, the loss to expect

    def __init__(self, network: "TemporalNetwork", replay: Replay) -> None:
        self.network = network
        self.replay = replay

    def scores(self, kept: Array, current: int) -> Array:
        """The expected loss, per last kept input."""
        wanted = kept if self.replay.pairwise else kept[:1]
        now = np.full(len(wanted), current)
        found = self.network.scores(self.replay.images(wanted, now), self.replay.scalars(wanted, now))
        return np.broadcast_to(found, kept.shape)


class PaceCandidate:
    """The changes to be expected since the last kept input, at the learned pace."""

    name = "pace"
    most = math.inf

    def __init__(self, pace: "Pace", replay: Replay) -> None:
        self.pace = pace
        motion = np.stack([replay.column(name) for name in MOTION], axis=1)
        self._changes = np.cumsum(pace.rates(motion) * replay.column("step"))

    def scores(self, kept: Array, current: int) -> Array:
        """The changes, per last kept input."""
        return np.asarray(self._changes[current] - self._changes[kept])


class EveryCandidate:
    """Counts inputs since the last kept one; with whole thresholds it keeps every K-th."""

    name = "every K-th"
    most = math.inf

    def scores(self, kept: Array, current: int) -> Array:
        """How many inputs ago it was."""
        return np.asarray(current - kept, np.float64)


class RandomCandidate:
    """A lot per input, the same for every threshold."""

    name = "random"
    most = math.inf

    def __init__(self, inputs: int, *, seed: int = 0) -> None:
        self._lots = np.random.default_rng(seed).random(inputs)

    def scores(self, kept: Array, current: int) -> Array:
        """The input's lot."""
        return np.full(len(kept), self._lots[current])


class OracleCandidate:
    """The true loss as the score: what a filter that knew the outputs could do."""

    name = "oracle"
    most = math.inf

    def __init__(self, losses: Losses, inputs: int) -> None:
        self._losses = losses
        # Among inputs of equal loss it takes some by lot, so that there is a threshold for every rate.
        self._lots = 0.1 * np.random.default_rng(0).random(inputs)

    def scores(self, kept: Array, current: int) -> Array:
        """The loss of not keeping it."""
        return np.asarray(self._losses.of(kept, np.full(len(kept), current)) + self._lots[current])

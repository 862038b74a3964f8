"""What competes to find events, beside all that competes for accuracy: gates that compare with the last kept input.

What such a gate saw when it last kept an input is known to the models: as long as an input is like that one, its answer
can stand.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from ...outputs import Array
from .candidates import Candidate, ScalarCandidate
from .entrants import Entrant, Entry, Maker
from .graphs import scalar_graph
from .losses import Losses
from .replay import Replay
from .staleness import staleness_of
from .temporal import NetworkCandidate, temporal_entrant
from .workload import Workload

FLIP = "flip"
_BATCH = 64
_AGES_S = (0.05, 1000.0)


def kept_entrant(work: Workload, entry: Entry, *, scalar: str) -> Entrant:
    """How far a frame differs from the last kept one: a scalar of the stream, whatever the rule."""
    candidate = KeptCandidate(entry.name, scalar, work.stream.beside_kept())
    return Entrant(candidate, scalar_graph(scalar), compares=True, learnt=False)


def flip_entrant(work: Workload, entry: Entry) -> Entrant:
    """The learned state: how needed an input is; it is kept if that is no longer what it was of the last kept one."""
    return flip_of(temporal_entrant(work, replace(entry, name="network")), work)


def flip_of(network: Entrant, work: Workload) -> Entrant:
    """The same from a network that was trained already."""
    scores = scores_alone(network.candidate, work)
    return Entrant(FlipCandidate(scores), network.graph, network.modality, network.curve, keeps="change")


def news_entrant(work: Workload, entry: Entry) -> Entrant:
    """How likely something is there that was not when an input was last kept, by age, difference and motion."""
    replay, stop = work.stream.beside_kept(), work.split.trained
    made = staleness_of(replay, News(work.losses), start=entry.start, stop=stop, seed=work.seed)
    return replace(made, compares=True)


def event_makers(*, pairwise: bool) -> Mapping[str, Maker]:
    """Those on frames; where the rule is `unchanged` (`pairwise`) all compare with the last kept one already."""
    found: dict[str, Maker] = {
        "kept-blocks": partial(kept_entrant, scalar="top difference"),
        "age": partial(kept_entrant, scalar="age"),
    }
    if not pairwise:
        found["blend"] = news_entrant
        found |= {"kept-difference": partial(kept_entrant, scalar="difference"), FLIP: flip_entrant}
    return found


class News:
    """What is lost if an input is not kept: 1 if something is there that was not there when one was last kept."""

    def __init__(self, losses: Losses) -> None:
        self._there = np.stack(list(losses.truth.values()))

    def of(self, kept: Array, current: Array) -> Array:
        """Per pair: the loss."""
        return np.asarray((self._there[:, current] & ~self._there[:, kept]).any(axis=0), np.float64)


class KeptCandidate(ScalarCandidate):
    """A scalar that compares an input with the last kept one.

    Attributes:
        levels: thresholds worth trying; None: those that its scores on recorded pairs suggest, none of which is older
            than some seconds.
    """

    def __init__(self, name: str, scalar: str, replay: Replay) -> None:
        super().__init__(scalar, replay)
        self.name = name
        self.levels = np.log1p(np.append(-0.5, np.geomspace(*_AGES_S, 60))) if scalar == "age" else None


class FlipCandidate:
    """How far the learned state of an input is from that of the last kept one."""

    name = FLIP
    most = 1.0
    alone: Array | None = None

    def __init__(self, states: Array) -> None:
        self.states = states

    def scores(self, kept: Array, current: int) -> Array:
        """The difference of the states, per last kept input."""
        return np.asarray(np.abs(self.states[current] - self.states[kept]))


class ScoredCandidate:
    """A candidate whose scores, which do not depend on what was kept, are computed already."""

    most = math.inf

    def __init__(self, name: str, alone: Array) -> None:
        self.name = name
        self.alone = alone

    def scores(self, kept: Array, current: int) -> Array:
        """The input's score, whatever was kept."""
        return np.full(len(kept), self.alone[current])


def scored_once(candidate: Candidate, work: Workload) -> Candidate:
    """The same candidate; a network that sees each input whatever was kept is run once, in batches."""
    if isinstance(candidate, NetworkCandidate) and not candidate.replay.pairwise:
        return ScoredCandidate(candidate.name, scores_alone(candidate, work))
    return candidate


def scores_alone(candidate: Candidate, work: Workload) -> Array:
    """A candidate's score of each input of the calibration part; 1 before it."""
    if candidate.alone is not None:
        return candidate.alone
    assert isinstance(candidate, NetworkCandidate)
    found = np.ones(work.split.stop)
    for first in range(work.split.calibrated, work.split.stop, _BATCH):
        index = np.arange(first, min(first + _BATCH, work.split.stop))
        found[index] = candidate.of_pairs(np.maximum(index - 1, 0), index)
    return found

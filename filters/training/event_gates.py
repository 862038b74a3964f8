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
from ..spec import flipped
from .candidates import Candidate, ScalarCandidate, ScoredCandidate
from .entrants import Entrant, Entry, Maker
from .fit_loop import VALIDATION_SHARE
from .graphs import scalar_graph
from .losses import Losses
from .replay import Replay, sample_pairs
from .staleness import staleness_of
from .temporal import NetworkCandidate, temporal_entrant
from .workload import Workload

FLIP = "flip"
_BATCH = 64
_AGES_S = (0.05, 1000.0)
# So many pairs for each input of the part that weights are fitted on, in so many steps.
_DRAWS = 6
_STEPS = 12
_MOST_WEIGHT = 6.0
_LEAST_AGE_WEIGHT = 0.25


def kept_entrant(work: Workload, entry: Entry, *, scalar: str) -> Entrant:
    """How far a frame differs from the last kept one: a scalar of the stream, whatever the rule."""
    candidate = KeptCandidate(entry.name, scalar, work.stream.beside_kept())
    return Entrant(candidate, scalar_graph(scalar), compares=True, learnt=False)


def flip_entrant(work: Workload, entry: Entry) -> Entrant:
    """The learned state with a heartbeat: the sooner the more an input is needed than the last kept one was."""
    return flip_of(temporal_entrant(work, replace(entry, name="network")), work, start=entry.start)


def flip_of(network: Entrant, work: Workload, *, start: int = 0) -> Entrant:
    """The same from a network that was trained already.

    How far its state may be trusted is fitted where it was validated: it did not learn from these inputs.
    """
    stop = work.split.trained
    validated = stop - round((stop - start) * VALIDATION_SHARE)
    states = scores_alone(network.candidate, work, start=validated)
    weights = fit_weights(states, work, start=validated, stop=stop)
    candidate = FlipCandidate(states, work.replay.captured_s, weights)
    return Entrant(
        candidate, network.graph, network.modality, network.curve, keeps="flip", state_weights=candidate.weights
    )


def fit_weights(states: Array, work: Workload, *, start: int, stop: int) -> tuple[float, float]:
    """How much the state now, and that of the last kept input, say of whether something new is there.

    A logistic regression of what is new on the logarithm of the age and both states, by Newton's method; the weights
    are relative to that of the age.
    """
    random, replay, news = np.random.default_rng(work.seed), work.stream.beside_kept(), News(work.losses)
    pairs = [sample_pairs(replay, start, stop, random) for _ in range(_DRAWS)]
    kept, current = (np.concatenate([getattr(each, name) for each in pairs]) for name in ("kept", "current"))
    ages_s = replay.captured_s[current] - replay.captured_s[kept]
    columns = [np.log(ages_s), states[current], -states[kept], np.ones(len(kept))]
    features, targets = np.stack(columns, axis=1), news.of(kept, current)
    # Where little was seen it stays near a state that makes a heartbeat e times as fast.
    prior, strength = np.asarray([1.0, 1.0, 1.0, -3.0]), np.asarray([1.0, 1.0, 1.0, 0.01])
    weights = prior.copy()
    for _ in range(_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(features @ weights, -30.0, 30.0)))
        slope = features.T @ (chances - targets) + strength * (weights - prior)
        curvature = (features * (chances * (1.0 - chances))[:, None]).T @ features + np.diag(strength)
        weights = weights - np.linalg.solve(curvature, slope)
    now, before = weights[1:3] / max(float(weights[0]), _LEAST_AGE_WEIGHT)
    return float(np.clip(now, 0.0, _MOST_WEIGHT)), float(np.clip(before, 0.0, _MOST_WEIGHT))


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

    def scores(self, kept: Array, current: int) -> Array:
        """The scalar, per last kept input."""
        if self.levels is None:
            return super().scores(kept, current)
        times = self.replay.captured_s
        # As the file computes it.
        return np.asarray(np.log1p(np.maximum(times[current] - times[kept], 0.0)).astype(np.float32), np.float64)


class FlipCandidate:
    """What the learned states and the time since the last kept input make together.

    Attributes:
        weights: of the state now, and of that of the last kept input.
        levels: thresholds worth trying.
    """

    name = FLIP
    most = math.inf
    alone: Array | None = None

    def __init__(self, states: Array, captured_s: Array, weights: tuple[float, float]) -> None:
        self.weights = weights
        self._states = states
        self._captured_s = captured_s
        low, high = (math.log(age_s) for age_s in _AGES_S)
        self.levels = np.append(low - 10.0, np.linspace(low - weights[1], high + weights[0], 120))

    def scores(self, kept: Array, current: int) -> Array:
        """Per last kept input."""
        ages_s = self._captured_s[current] - self._captured_s[kept]
        return flipped(ages_s, self._states[current], self._states[kept], self.weights)


def scored_once(candidate: Candidate, work: Workload) -> Candidate:
    """The same candidate; a network that sees each input whatever was kept is run once, in batches."""
    if isinstance(candidate, NetworkCandidate) and not candidate.replay.pairwise:
        return ScoredCandidate(candidate.name, scores_alone(candidate, work, start=work.split.calibrated))
    return candidate


def scores_alone(candidate: Candidate, work: Workload, *, start: int) -> Array:
    """A candidate's score of each input from `start` on; 1 before it."""
    if candidate.alone is not None:
        return candidate.alone
    assert isinstance(candidate, NetworkCandidate)
    stop = len(work.replay)
    found = np.ones(stop)
    for first in range(start, stop, _BATCH):
        index = np.arange(first, min(first + _BATCH, stop))
        found[index] = candidate.of_pairs(np.maximum(index - 1, 0), index)
    return found

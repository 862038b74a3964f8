"""The candidates "blend" and "stem" with a stem: is the last kept answer stale, by what the models would say now?

A head reads the answers off the stem's features (counts of boxes, probabilities of classes, numbers). To what "blend"
looks at (`staleness.py`) come three distances, in those numbers, between what it reads off this input and the last kept
one's own answer: how far the head has moved since, how much further from that answer it now is than it was then, and
how far it is at least. An exact repeat is as near as any input can be, so that the score stays monotone.

What the head says of inputs that it has learnt from is taken from heads that have not (`Linear.fit_judged`). The
weights are the mean of those with and without the three: the head fails where the light turns, the pixels go on.
Whether "blend" uses them at all is chosen on later blocks of the training part; "stem" uses them in any case.

Tried beside the head's distances and left out: those of the features themselves and of the map's places (on eight
workloads of four clips and a rendered street, at .9, they dropped .01 more on one and .04 less on another), and a rate
of change that reads the features (no difference).
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import onnx
from onnx import helper

from ...errors import InvalidInput
from ...models.heads.linear import Linear
from ...models.stem.extend import extend_stem
from ...models.stem.stem import FEATURES
from ...outputs import Array
from ...traces.trace import Trace
from ..gates.held_feed import ANSWER, CARRIED, SAID, SAID_THEN, AnswerNumbers, output_numbers
from ..gates.stem_feed import SCORE
from .change_rate import ChangeRate, fit_change_rate
from .entrants import Entrant, Entry
from .graphs import SCALARS_INPUT
from .losses import Losses
from .replay import Pairs, Replay
from .staleness import Staleness, drawn_pairs, feature_nodes, pair_features, staleness_entrant
from .stem_view import StemView
from .workload import Workload

_MOST_NUMBERS = 32
_FLOOR = 1e-2
# Learnt on inputs up to the first share of the training part, judged on those up to the second.
_FOLDS = ((0.5, 0.75), (0.75, 1.0))
# On fewer inputs nobody can tell whether a head learnt from twice as many is of use.
_LEAST_FOLD = 30
# Blocks in which hardly any answer goes stale tell next to nothing, and then the head may say more later.
_TOLERATED = 5e-4
_DISTANCES = 3


def blend_entrant(work: Workload, entry: Entry) -> Entrant:
    """The candidate "blend": with the stem's distances unless they have told less on later blocks, else without."""
    if work.seen is not None and chosen(work, entry):
        model = StemStaleness.fit(work, start=entry.start, stop=work.split.trained)
        if model.answers.numbers.length:
            return _entrant(work, entry, model)
    return staleness_entrant(work, entry)


def stem_entrant(work: Workload, entry: Entry) -> Entrant:
    """The staleness with the stem's distances, fitted to the training part, and its graph."""
    model = StemStaleness.fit(work, start=entry.start, stop=work.split.trained)
    if not model.answers.numbers.length:
        raise InvalidInput(
            "candidate stem: a head reads counts, labels and numbers, and the models gave none, or always the same, in "
            "the training part; use the candidate blend, or record more"
        )
    return _entrant(work, entry, model)


def _entrant(work: Workload, entry: Entry, model: "StemStaleness") -> Entrant:
    candidate = StemStalenessCandidate(entry.name, model, work.stream)
    graph = model.graph(work.view)
    return Entrant(candidate, graph, stem=work.view.used, compared=model.answers.numbers.columns)


def chosen(work: Workload, entry: Entry) -> bool:
    """Whether the distances put later blocks of the training part at least as well in order, the stalest last.

    Only the order counts for a gate: the distances may know better how much goes stale, and yet not when.
    """
    gained = 0.0
    inputs = work.split.trained - entry.start
    for learnt, judged in _FOLDS:
        middle, stop = (entry.start + round(share * inputs) for share in (learnt, judged))
        if stop - middle < _LEAST_FOLD:
            return False
        model = StemStaleness.fit(work, start=entry.start, stop=middle)
        pairs = drawn_pairs(work.stream, middle, stop, work.seed)
        lost = work.losses.of(pairs.kept, pairs.current)
        features = model.features(work.stream, pairs)
        gained += _order(model.model.scores(features), lost) - _order(model.without.scores(features), lost)
    return gained > -_TOLERATED


def _order(scores: Array, lost: Array) -> float:
    """The covariance of the scores' ranks, from 0 to 1, with what is lost: that share of all pairs is put in order."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2)[place] / len(scores)
    return float(((ranks - 0.5) * lost).mean())


@dataclass(frozen=True)
class Answers:
    """A trace's answers as numbers, and as a head reads them off the stem's features.

    Attributes:
        numbers: which of them are compared.
        exact: the models' own: float64 (inputs, k).
        said: the head's: float64 (inputs, k).
        judged: the same, of inputs that the head has learnt from by heads that have not.
        head: the head.
    """

    numbers: AnswerNumbers
    exact: Array
    said: Array
    judged: Array
    head: Linear

    @classmethod
    def fit(cls, trace: Trace, losses: Losses, view: StemView, *, start: int, stop: int) -> Self:
        """Learns the head on a stretch."""
        outputs = {model: trace.models[model].output for model in losses.models}
        every = {
            model: np.stack([output_numbers(output, value) for value in trace.outputs(model)])
            for model, output in outputs.items()
        }
        numbers = AnswerNumbers(outputs, {model: _varying(each[start:stop]) for model, each in every.items()})
        exact = np.concatenate(
            [each[:, list(numbers.columns[model])] for model, each in every.items()], axis=1, dtype=np.float64
        )
        head, left_out = Linear.fit_judged(view.features[start:stop], exact[start:stop])
        found = cls.read(numbers, head, exact, view)
        found.judged[start:stop] = left_out.numbers
        return found

    @classmethod
    def read(cls, numbers: AnswerNumbers, head: Linear, exact: Array, view: StemView) -> Self:
        """Those of inputs that a head has not learnt from."""
        said = head.predict(view.features)
        return cls(numbers, exact, said, said.copy(), head)

    def on(self, view: StemView) -> Self:
        """The same of another trace of the same models."""
        outputs = {model: view.trace.outputs(model) for model in self.numbers.outputs}
        rows = [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
        exact = np.stack([self.numbers.of(row) for row in rows]).astype(np.float64)
        return self.read(self.numbers, self.head, exact, view)

    def distances(self, pairs: Pairs, *, judged: bool = False) -> Array:
        """The three distances of pairs of inputs, as logarithms: float32 (n, 3)."""
        said = self.judged if judged else self.said
        return answer_distances(said[pairs.current], said[pairs.kept], self.exact[pairs.kept])


def answer_distances(now: Array, then: Array, answer: Array) -> Array:
    """Three distances, as logarithms: float32 (n, 3); none is less than that of an exact repeat.

    Args:
        now: what the head says of inputs (n, k).
        then: what it said of their last kept ones (n, k).
        answer: what the models said of those (n, k).
    """
    off, before = np.abs(now - answer), np.abs(then - answer)
    found = (np.abs(now - then), np.maximum(off - before, 0.0), np.maximum(off, before))
    return np.log(np.stack([each.sum(axis=1) for each in found], axis=1) + _FLOOR).astype(np.float32)


def _varying(numbers: Array) -> tuple[int, ...]:
    """The columns that vary, of many those that vary most."""
    std = numbers.std(axis=0, dtype=np.float64)
    order = np.argsort(-std, kind="stable")[:_MOST_NUMBERS]
    return tuple(sorted(int(column) for column in order if std[column] > 1e-6))


@dataclass(frozen=True)
class StemStaleness:
    """How likely the last kept answer is stale.

    Attributes:
        rate: of change, by motion.
        answers: what the head says, and the models.
        without: by what "blend" looks at alone.
        model: by the distances as well.
    """

    rate: ChangeRate
    answers: Answers
    without: Staleness
    model: Staleness

    @classmethod
    def fit(cls, work: Workload, *, start: int, stop: int) -> Self:
        """Learns all of it on a stretch."""
        replay = work.stream
        rate = fit_change_rate(replay, work.losses, start=start, stop=stop)
        answers = Answers.fit(work.trace, work.losses, work.view, start=start, stop=stop)
        pairs = drawn_pairs(replay, start, stop, work.seed)
        plain = pair_features(replay, rate.changes(replay), pairs)
        features = np.concatenate([plain, answers.distances(pairs, judged=True)], axis=1)
        lost = work.losses.of(pairs.kept, pairs.current)
        without, within = Staleness.fit(features, lost, columns=plain.shape[1]), Staleness.fit(features, lost)
        weights, bias = (without.weights + within.weights) / 2, (without.bias + within.bias) / 2
        return cls(rate, answers, without, Staleness(within.mean, within.scale, weights, bias))

    def features(self, replay: Replay, pairs: Pairs) -> Array:
        """What the model looks at of pairs of inputs: float32 (n, 6)."""
        plain = pair_features(replay, self.rate.changes(replay), pairs)
        return np.concatenate([plain, self.answers.distances(pairs)], axis=1)

    def graph(self, view: StemView) -> onnx.ModelProto:
        """The stem, with the head and the score behind it."""
        nodes, weights = feature_nodes(self.rate, "blend_plain")
        more, read = _distance_nodes(self.answers.head)
        scored, scoring = self.model.nodes("blend_features", SCORE)
        nodes += [*more, helper.make_node("Concat", ["blend_plain", "blend_distances"], ["blend_features"], axis=1)]
        length = self.answers.numbers.length
        return extend_stem(
            view.stem.path,
            [*nodes, *scored],
            weights | read | scoring,
            inputs={**SCALARS_INPUT, SAID_THEN: ["n", length], ANSWER: ["n", length]},
            outputs={SCORE: ["n", 1], CARRIED: ["n", 1], SAID: ["n", length]},
        )


def _distance_nodes(head: Linear) -> tuple[list[Any], dict[str, Any]]:
    """The nodes, and their weights, that read the answers off the features and give their distances."""
    folded = head.folded()
    weights = {
        "said_low": folded.low[None],
        "said_high": folded.high[None],
        "said_weights": folded.weights,
        "said_constant": folded.constant,
        "said_sum": np.ones((folded.weights.shape[1], 1), np.float32),
        "said_floor": np.full(_DISTANCES, _FLOOR, np.float32),
        "said_nothing": np.float32(0.0),
    }
    make = helper.make_node
    nodes = [
        make("Max", [FEATURES, "said_low"], ["said_raised"]),
        make("Min", ["said_raised", "said_high"], ["said_cut"]),
        make("Gemm", ["said_cut", "said_weights", "said_constant"], [SAID]),
        make("Sub", [SAID, SAID_THEN], ["said_change"]),
        make("Abs", ["said_change"], ["said_moved"]),
        make("Sub", [SAID, ANSWER], ["said_off_now"]),
        make("Abs", ["said_off_now"], ["said_off"]),
        make("Sub", [SAID_THEN, ANSWER], ["said_off_then"]),
        make("Abs", ["said_off_then"], ["said_before"]),
        make("Sub", ["said_off", "said_before"], ["said_more"]),
        make("Max", ["said_more", "said_nothing"], ["said_further"]),
        make("Max", ["said_off", "said_before"], ["said_least"]),
    ]
    for name in ("moved", "further", "least"):
        nodes.append(make("MatMul", [f"said_{name}", "said_sum"], [f"said_total_{name}"]))
    totals = [f"said_total_{name}" for name in ("moved", "further", "least")]
    nodes += [
        make("Concat", totals, ["said_totals"], axis=1),
        make("Add", ["said_totals", "said_floor"], ["said_above"]),
        make("Log", ["said_above"], ["blend_distances"]),
    ]
    return nodes, weights


class StemStalenessCandidate:
    """How likely the last kept answer is stale, for a replay of the inputs that were looked at."""

    most = 1.0
    alone: Array | None = None

    def __init__(self, name: str, model: StemStaleness, replay: Replay) -> None:
        self.name = name
        self.model = model
        self._replay = replay
        self._changes = model.rate.changes(replay)

    def on(self, replay: Replay, view: StemView) -> Self:
        """The same on another trace of the same models."""
        answers = self.model.answers.on(view)
        return type(self)(self.name, replace(self.model, answers=answers), replay)

    def scores(self, kept: Array, current: int) -> Array:
        """The probability, per last kept input."""
        pairs = Pairs(kept, np.full(len(kept), current))
        plain = pair_features(self._replay, self._changes, pairs)
        return self.model.model.scores(np.concatenate([plain, self.model.answers.distances(pairs)], axis=1))

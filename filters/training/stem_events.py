"""Gates on a stem that find events: each compares an input with the last kept one, by what the stem makes of both.

Their score is a sum of three cues: the age of what was kept, how far the features are from it, and whether something is
there that was gone at some time since.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...models.heads.binary import Binary
from ...models.heads.calibration import fit_logistic
from ...models.stem.extend import extend_stem
from ...models.stem.stem import FEATURES
from ...outputs import Array
from ..gates.stem_feed import AGE, BIAS, KEPT, LEAST, LEAST_AGE_S, SCORE, THERE, WEIGHTS
from .entrants import Entrant, Entry
from .stem_presence import presence_nodes, presence_weights
from .stem_view import StemView
from .workload import Workload

CUES = ("age", "kept", "new")
# Of a feature's differences those that stand out: a person changes few of them, and light all.
_TOP_SHARE = 0.1
_LEAST_DISTANCE = 1e-3
_LEAST_CHANCE = 1e-3
_LEAST_NOISE = 1e-4
# What was kept is at most so old where the weights are learnt, and where thresholds are tried.
_LEARNT_AGE_S = 60.0
_LONGEST_AGE_S = 1000.0
_DRAWS = 6
_SAMPLED = 2000
_BLOCKS = 5
_RIDGE = 1.0
_QUANTILES = np.concatenate((np.linspace(0.0, 0.9, 31), 1.0 - np.geomspace(0.09, 0.0005, 32), [1.0]))


class There:
    """Whether things are there, input by input, and the least of it over any stretch.

    Args:
        of: how probably each thing is there, or whether it is: (things, inputs).
    """

    def __init__(self, of: Array) -> None:
        self.of = np.asarray(of, np.float64)
        # Row i has the least of each 2 ** i inputs in a row, by the first of them.
        rows = [self.of]
        while 2 ** len(rows) <= self.of.shape[1]:
            step, last = 2 ** (len(rows) - 1), rows[-1]
            found = last.copy()
            found[:, :-step] = np.minimum(last[:, :-step], last[:, step:])
            rows.append(found)
        self._rows = np.stack(rows)

    def least(self, kept: Array, current: Array) -> Array:
        """The least of it from inputs `kept` up to, but without, `current`: float64 (things, n)."""
        row = np.floor(np.log2(np.maximum(current - kept, 1))).astype(np.int64)
        last = np.maximum(current - 2**row, kept)
        return np.asarray(np.minimum(self._rows[row, :, kept], self._rows[row, :, last]).T)

    def news(self, kept: Array, current: Array) -> Array:
        """Whether something is there that was not at some time since: float64 (n,), of truth."""
        return np.asarray(((self.of[:, current] > 0.5) & (self.least(kept, current) < 0.5)).any(axis=0), np.float64)


@dataclass(frozen=True)
class Cues:
    """What the gates are told of an input beside the last kept one.

    Attributes:
        view: the inputs.
        scale: one over each feature's usual change from input to input: float32 (length,); 0 where it never changes.
        heads: whether each thing is there that the rule tells apart.
        there: what they say of every input.
    """

    view: StemView
    scale: Array
    heads: list[Binary]
    there: There = field(repr=False)

    @classmethod
    def fit(cls, view: StemView, truth: Array, *, start: int, stop: int, looks: bool) -> "Cues":
        """Learns them from a stretch of the inputs; `truth`: bool (things, inputs); `looks`: as of `StemView.head`."""
        noise = np.diff(view.features[start:stop], axis=0).std(axis=0)
        scale = np.where(noise > _LEAST_NOISE, 1.0 / np.maximum(noise, _LEAST_NOISE), 0.0).astype(np.float32)
        heads = [view.head(each[start:stop], slice(start, stop), looks=looks) for each in truth]
        return cls(view, scale, heads, There(np.stack([view.probability(head) for head in heads])))

    @property
    def top(self) -> int:
        """How many features' differences count."""
        return max(1, round(_TOP_SHARE * len(self.scale)))

    def of(self, kept: Array, current: Array, there: "There | None" = None) -> Array:
        """The cues of inputs `current` when `kept` are the last kept ones: float64 (n, 3).

        Args:
            kept: indices.
            current: indices.
            there: what the heads say of every input, if not what they do at work.
        """
        times, features = self.view.trace.captured_s, self.view.features
        there = self.there if there is None else there
        new = (there.of[:, current] * (1.0 - there.least(kept, current))).max(axis=0)
        new = np.clip(new, _LEAST_CHANCE, 1.0 - _LEAST_CHANCE)
        columns = (
            np.log(np.maximum(times[current] - times[kept], LEAST_AGE_S)),
            self._distance(features[current], features[kept]),
            np.log(new / (1.0 - new)),
        )
        return np.stack(columns, axis=1)

    def left_out(self, truth: Array, *, start: int, stop: int) -> There:
        """What heads say of blocks of the stretch that they have not learnt from."""
        looks = any(head.best_place is not None for head in self.heads)
        found, whole = self.there.of.copy(), np.arange(start, stop)
        for block in np.array_split(whole, _BLOCKS):
            rest = np.setdiff1d(whole, block)
            for row, each in zip(found, truth, strict=True):
                row[block] = self.view.probability(self.view.head(each[rest], rest, looks=looks), block)
        return There(found)

    def _distance(self, first: Array, second: Array) -> Array:
        apart = np.abs(first - second) * self.scale
        most = np.partition(apart, apart.shape[1] - self.top, axis=1)[:, -self.top :]
        return np.asarray(np.log(most.mean(axis=1, dtype=np.float64) + _LEAST_DISTANCE))


class CuesCandidate:
    """A weighted sum of the cues.

    Attributes:
        weights: of each cue (3,).
        levels: thresholds worth trying.
    """

    most = math.inf
    alone: Array | None = None

    def __init__(self, name: str, cues: Cues, weights: Array, constant: float, levels: tuple[int, int]) -> None:
        self.name = name
        self.weights = weights
        self._cues = cues
        self._constant = constant
        random = np.random.default_rng(0)
        stretch = levels[1] - levels[0]
        drawn = [_pairs(cues.view, *levels, _LONGEST_AGE_S, random) for _ in range(-(-_SAMPLED // stretch))]
        kept, current = (np.concatenate(each)[:_SAMPLED] for each in zip(*drawn, strict=True))
        scores = self._of(kept, current)
        self.levels = np.append(scores.min() - 1.0, np.unique(np.quantile(scores, _QUANTILES)))

    def scores(self, kept: Array, current: int) -> Array:
        """Per last kept input."""
        return self._of(kept, np.full(len(kept), current))

    def graph(self) -> onnx.ModelProto:
        """The stem with the same sum behind it."""
        cues, length = self._cues, self._cues.view.stem.spec.length
        weights = presence_weights(cues.heads, length) | {
            "cue_scale": cues.scale[None],
            "cue_top": np.asarray([cues.top], np.int64),
            "cue_least": np.float32(_LEAST_DISTANCE),
            "cue_low": np.float32(_LEAST_CHANCE),
            "cue_high": np.float32(1.0 - _LEAST_CHANCE),
            "cue_one": np.float32(1.0),
            "cue_weights": self.weights[:, None].astype(np.float32),
            "cue_constant": np.asarray([self._constant], np.float32),
        }
        nodes = [
            *_distance_nodes(KEPT, "cue_kept"),
            *presence_nodes(cues.heads, THERE),
            helper.make_node("Sub", ["cue_one", LEAST], ["cue_gone"]),
            helper.make_node("Mul", [THERE, "cue_gone"], ["cue_each"]),
            helper.make_node("ReduceMax", ["cue_each"], ["cue_any"], axes=[1], keepdims=1),
            helper.make_node("Clip", ["cue_any", "cue_low", "cue_high"], ["cue_chance"]),
            helper.make_node("Sub", ["cue_one", "cue_chance"], ["cue_rest"]),
            helper.make_node("Div", ["cue_chance", "cue_rest"], ["cue_odds"]),
            helper.make_node("Log", ["cue_odds"], ["cue_new"]),
            helper.make_node("Concat", [AGE, "cue_kept", "cue_new"], ["cues"], axis=1),
            helper.make_node("Gemm", ["cues", "cue_weights", "cue_constant"], [SCORE]),
        ]
        things = len(cues.heads)
        carried = {KEPT: ["n", length], LEAST: ["n", things], AGE: ["n", 1]}
        outputs = {SCORE: ["n", 1], THERE: ["n", things]}
        return extend_stem(
            cues.view.stem.path, nodes, weights, inputs=carried, outputs=outputs, overridable=(WEIGHTS, BIAS)
        )

    def _of(self, kept: Array, current: Array) -> Array:
        return np.asarray(self._cues.of(kept, current) @ self.weights + self._constant)


def cues_entrant(work: Workload, entry: Entry, *, used: tuple[str, ...]) -> Entrant:
    """A gate on some of the cues; their weights are learnt where there are several.

    What is learnt is how likely something is there that was not at some time since an input was kept: a logistic
    regression on pairs of inputs of the training part. There the heads speak of inputs that they have not learnt from.
    """
    view, split = work.view, work.split
    start, stop = entry.start, split.trained
    truth = _things(work, start, stop)
    cues = Cues.fit(view, truth, start=start, stop=stop, looks=work.losses.seeks)
    columns = [CUES.index(name) for name in used]
    weights, constant = np.zeros(len(CUES)), 0.0
    if len(used) == 1:
        weights[columns] = 1.0
    else:
        random = np.random.default_rng(work.seed)
        drawn = [_pairs(view, start, stop, _LEARNT_AGE_S, random) for _ in range(_DRAWS)]
        kept, current = (np.concatenate(each) for each in zip(*drawn, strict=True))
        seen = cues.of(kept, current, cues.left_out(truth, start=start, stop=stop))[:, columns]
        deviation = seen.std(axis=0) + 1e-6
        found = fit_logistic((seen - seen.mean(axis=0)) / deviation, There(truth).news(kept, current), ridge=_RIDGE)
        weights[columns] = found[:-1] / deviation
        constant = float(found[-1] - weights[columns] @ seen.mean(axis=0))
    candidate = CuesCandidate(entry.name, cues, weights, constant, (split.calibrated, split.stop))
    graph = candidate.graph()
    view.check(graph, _beside_first(candidate, len(work.trace)))
    return Entrant(candidate, graph, compares=True, stem=view.used)


def _things(work: Workload, start: int, stop: int) -> Array:
    """What the rule tells apart and is there in the stretch, input by input: bool (things, inputs)."""
    truth = np.stack(list(work.losses.truth.values()))
    there = truth[:, start:stop].any(axis=1)
    return truth[there] if there.any() else truth[:1]


def _pairs(view: StemView, start: int, stop: int, longest_s: float, random: np.random.Generator) -> tuple[Array, Array]:
    """One pair for each input of a stretch but the first: kept and current; ages are log-uniform up to `longest_s`."""
    times, current = view.trace.captured_s, np.arange(start + 1, stop)
    steps = np.maximum(times[current] - times[current - 1], LEAST_AGE_S)
    ages = steps * (longest_s / np.minimum(steps, longest_s)) ** random.random(len(current))
    kept = np.searchsorted(times, times[current] - ages, side="left")
    return np.clip(kept, start, current - 1), current


def _beside_first(candidate: CuesCandidate, inputs: int) -> Array:
    """The score of some first inputs when the very first is the last kept one; of the others nothing."""
    found = np.zeros((inputs, 1))
    for i in range(1, min(inputs, 16)):
        found[i] = candidate.scores(np.zeros(1, np.int64), i)
    return found


def _distance_nodes(other: str, out: str) -> list[Any]:
    return [
        helper.make_node("Sub", [FEATURES, other], [f"{out}_apart"]),
        helper.make_node("Abs", [f"{out}_apart"], [f"{out}_far"]),
        helper.make_node("Mul", [f"{out}_far", "cue_scale"], [f"{out}_scaled"]),
        helper.make_node("TopK", [f"{out}_scaled", "cue_top"], [f"{out}_most", f"{out}_which"], axis=1),
        helper.make_node("ReduceMean", [f"{out}_most"], [f"{out}_mean"], axes=[1], keepdims=1),
        helper.make_node("Add", [f"{out}_mean", "cue_least"], [f"{out}_positive"]),
        helper.make_node("Log", [f"{out}_positive"], [out]),
    ]

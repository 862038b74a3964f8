"""The candidate "stem": whether a model is needed, read off the stem's features of each input by itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...models.heads.best_place import BEST
from ...models.heads.binary import Binary
from ...models.heads.linear import Folded
from ...models.stem.extend import extend_stem
from ...models.stem.stem import FEATURES, PLACES
from ...outputs import Array
from ..gates.stem_feed import BIAS, SCORE, WEIGHTS
from ..local.packed import METADATA_KEY, pack_binary
from .candidates import ScoredCandidate
from .entrants import Entrant, Entry
from .losses import Losses
from .replay import Singles
from .stem_view import StemView
from .workload import Workload

MOST = 0.9
"""Of an input that is skipped, the probability that it is needed at most."""
_EVERY = "every_score"


def presence_entrant(work: Workload, entry: Entry) -> Entrant:
    """A head per model, learnt on the training part in closed form; of several models the mean of what they say."""
    view = work.view
    heads = fit_heads(view, [work.losses], start=entry.start, stop=work.split.trained)
    graph = heads_graph(view, heads, mean=True)
    # From there a device goes on learning.
    graph.metadata_props.add(key=METADATA_KEY, value=pack_binary(dict(zip(work.losses.models, heads, strict=True))))
    scores = scores_of(view, heads).mean(axis=1)
    view.check(graph, scores[:, None])
    modality = work.replay.modality if isinstance(work.replay, Singles) else None
    return Entrant(ScoredCandidate(entry.name, scores, most=MOST), graph, modality, stem=view.used)


def fit_heads(view: StemView, tasks: Sequence[Losses], *, start: int, stop: int) -> list[Binary]:
    """Whether each model of some tasks is needed.

    Args:
        view: the inputs.
        tasks: what is lost on each, and on which models.
        start: the first input that is learnt from.
        stop: the one after the last.
    """
    rows = slice(start, stop)
    return [view.head(each[rows] > 0.5, rows, looks=losses.seeks) for losses in tasks for each in losses.needed]


def scores_of(view: StemView, heads: Sequence[Binary]) -> Array:
    """The probability that each model is needed, for every input: float64 (inputs, models)."""
    return np.stack([view.probability(head) for head in heads], axis=1)


def heads_graph(view: StemView, heads: Sequence[Binary], *, mean: bool) -> onnx.ModelProto:
    """The stem with heads behind it: a score for each, or their mean."""
    nodes = list(presence_nodes(heads, _EVERY if mean else SCORE))
    if mean:
        nodes.append(helper.make_node("ReduceMean", [_EVERY], [SCORE], axes=[1], keepdims=1))
    return extend_stem(
        view.stem.path,
        nodes,
        presence_weights(heads, view.stem.spec.length),
        inputs={},
        outputs={SCORE: ["n", 1 if mean else len(heads)]},
        overridable=(WEIGHTS, BIAS),
    )


def presence_nodes(heads: Sequence[Binary], out: str) -> Sequence[Any]:
    """From features and places to each head's probability; names in between begin with that of what is given."""
    odds, nodes = f"{out}_odds", []
    if any(head.best_place is not None for head in heads):
        odds = f"{out}_pooled"
        nodes = [
            helper.make_node("Conv", [PLACES, "place_weights"], [f"{out}_cells"]),
            helper.make_node("Add", [f"{out}_cells", "place_bias"], [f"{out}_every"]),
            helper.make_node("Reshape", [f"{out}_every", "place_shape"], [f"{out}_flat"]),
            helper.make_node("TopK", [f"{out}_flat", "place_best"], [f"{out}_best", f"{out}_where"], axis=2),
            helper.make_node("ReduceMean", [f"{out}_best"], [f"{out}_placed"], axes=[2], keepdims=0),
            helper.make_node("Add", [odds, f"{out}_placed"], [f"{out}_odds"]),
        ]
    return (
        helper.make_node("Max", [FEATURES, "head_low"], [f"{out}_raised"]),
        helper.make_node("Min", [f"{out}_raised", "head_high"], [f"{out}_cut"]),
        helper.make_node("Gemm", [f"{out}_cut", WEIGHTS, BIAS], [odds]),
        *nodes,
        helper.make_node("Sigmoid", [f"{out}_odds"], [out]),
    )


def presence_weights(heads: Sequence[Binary], length: int) -> dict[str, Any]:
    """What those nodes read; all heads have learnt from the same features."""
    nothing = np.zeros((length, 1), np.float32)
    folded = [
        head.folded() or Folded(nothing[:, 0], nothing[:, 0], nothing, head.curve[-1:].astype(np.float32))
        for head in heads
    ]
    widest = max(folded, key=lambda each: float(np.abs(each.high - each.low).sum()))
    return _place_weights(heads) | {
        "head_low": widest.low[None],
        "head_high": widest.high[None],
        WEIGHTS: np.concatenate([each.weights for each in folded], axis=1),
        BIAS: np.concatenate([each.constant for each in folded]),
    }


def _place_weights(heads: Sequence[Binary]) -> dict[str, Any]:
    """What the nodes read that look at the places; a head that does not gets nothing from them."""
    looking = [head.best_place for head in heads if head.best_place is not None]
    if not looking:
        return {}
    channels, (rows, columns) = len(looking[0].weights), looking[0].bias.shape[1:]
    weights = np.zeros((len(heads), channels, 1, 1), np.float32)
    bias = np.zeros((1, len(heads), rows, columns), np.float32)
    for at, head in enumerate(heads):
        if head.best_place is not None:
            weights[at, :, 0, 0], bias[0, at] = head.best_place.weights[:, 0], head.best_place.bias[0]
    return {
        "place_weights": weights,
        "place_bias": bias,
        "place_shape": np.asarray([0, len(heads), -1], np.int64),
        "place_best": np.asarray([min(BEST, rows * columns)], np.int64),
    }

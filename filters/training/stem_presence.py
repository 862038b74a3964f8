"""The candidate "stem": whether a model is needed, read off the stem's features of each input by itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...models.heads.binary import Binary
from ...models.heads.linear import Folded
from ...models.stem.extend import extend_stem
from ...models.stem.stem import FEATURES
from ...outputs import Array
from ..gates.stem_feed import BIAS, SCORE, WEIGHTS
from .candidates import ScoredCandidate
from .entrants import Entrant, Entry
from .replay import Singles
from .stem_view import StemView
from .workload import Workload

# Of an input that is skipped, the probability that it is needed.
_MOST = 0.9
_EVERY = "every_score"


def presence_entrant(work: Workload, entry: Entry) -> Entrant:
    """A head per model, learnt on the training part in closed form; of several models the mean of what they say."""
    view = work.view
    heads = fit_heads(view, work.losses.needed, start=entry.start, stop=work.split.trained)
    graph = heads_graph(view, heads, mean=True)
    scores = scores_of(view, heads).mean(axis=1)
    view.check(graph, scores[:, None])
    modality = work.replay.modality if isinstance(work.replay, Singles) else None
    return Entrant(ScoredCandidate(entry.name, scores, most=_MOST), graph, modality, stem=view.used)


def fit_heads(view: StemView, needed: Array, *, start: int, stop: int) -> list[Binary]:
    """Whether each model is needed, from the features.

    Args:
        view: the inputs.
        needed: (models, inputs), 1 where it is.
        start: the first input that is learnt from.
        stop: the one after the last.
    """
    features = view.features[start:stop]
    return [Binary.fit(features, each[start:stop] > 0.5) for each in needed]


def scores_of(view: StemView, heads: Sequence[Binary]) -> Array:
    """The probability that each model is needed, for every input: float64 (inputs, models)."""
    return np.stack([head.predict(view.features) for head in heads], axis=1)


def heads_graph(view: StemView, heads: Sequence[Binary], *, mean: bool) -> onnx.ModelProto:
    """The stem with heads behind it: a score for each, or their mean."""
    nodes = list(presence_nodes(FEATURES, _EVERY if mean else SCORE))
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


def presence_nodes(features: str, out: str) -> Sequence[Any]:
    """From features to each head's probability; every name in between begins with that of what is given."""
    return (
        helper.make_node("Max", [features, "head_low"], [f"{out}_raised"]),
        helper.make_node("Min", [f"{out}_raised", "head_high"], [f"{out}_cut"]),
        helper.make_node("Gemm", [f"{out}_cut", WEIGHTS, BIAS], [f"{out}_odds"]),
        helper.make_node("Sigmoid", [f"{out}_odds"], [out]),
    )


def presence_weights(heads: Sequence[Binary], length: int) -> dict[str, Any]:
    """What those nodes read; all heads have learnt from the same features."""
    nothing = np.zeros((length, 1), np.float32)
    folded = [
        head.folded() or Folded(nothing[:, 0], nothing[:, 0], nothing, head.curve[1:].astype(np.float32))
        for head in heads
    ]
    widest = max(folded, key=lambda each: float(np.abs(each.high - each.low).sum()))
    return {
        "head_low": widest.low[None],
        "head_high": widest.high[None],
        WEIGHTS: np.concatenate([each.weights for each in folded], axis=1),
        BIAS: np.concatenate([each.constant for each in folded]),
    }

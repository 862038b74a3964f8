"""The cache's key from a stem: what a head says of each result, learnt in closed form; and its graph.

The head reads the commonest results off the stem's features, one number each, as the shares in which it believes them;
where results hardly come twice (scalars, vectors) it reads the outputs' own numbers. Inputs are near if the head
expects the same of them, and an exact repeat is at distance 0.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from ...models.heads.binary import Binary
from ...models.heads.linear import Linear
from ...models.stem.extend import extend_stem
from ...models.stem.stem import FEATURES
from ...outputs import Array, OutputSpec
from ..gates.held_feed import output_numbers
from ..training.stem_presence import presence_nodes, presence_weights
from ..training.stem_view import StemView
from .gate import EMBEDDING, SCORE

_MOST = 32
# Results that come again must be so many of all inputs for one number each to tell them apart.
_LEAST_SHARE = 0.5


def fit_key(features: Array, keys: Array, outputs: Sequence[Array], spec: OutputSpec) -> Linear | None:
    """The head.

    Args:
        features: (n, d), in the order of time.
        keys: int (n,): the same number for the same result.
        outputs: the model's, for each input.
        spec: their type.

    Returns:
        None: neither do results come again, nor can a head read outputs of this kind.
    """
    results, counts = np.unique(keys, return_counts=True)
    common = results[np.argsort(-counts, kind="stable")][:_MOST]
    shares = np.asarray(keys[:, None] == common[None], np.float64)
    if shares[:, shares.sum(axis=0) > 1].sum() >= _LEAST_SHARE * len(keys):
        return Linear.fit(features, shares)
    numbers = np.stack([output_numbers(spec, output) for output in outputs]).astype(np.float64)
    std = numbers.std(axis=0)
    varying = np.argsort(-std, kind="stable")[:_MOST]
    varying = varying[std[varying] > 1e-9]
    if not len(varying):
        return None
    return Linear.fit(features, numbers[:, varying] / std[varying])


def key_graph(view: StemView, key: Linear, scored: Binary | None) -> onnx.ModelProto:
    """The stem with the head behind it, and the SKIP score if there is a rule."""
    folded = key.folded()
    weights = {
        "key_low": folded.low[None],
        "key_high": folded.high[None],
        "key_weights": folded.weights,
        "key_constant": folded.constant,
    }
    nodes = [
        helper.make_node("Max", [FEATURES, "key_low"], ["key_raised"]),
        helper.make_node("Min", ["key_raised", "key_high"], ["key_cut"]),
        helper.make_node("Gemm", ["key_cut", "key_weights", "key_constant"], [EMBEDDING]),
    ]
    outputs = {EMBEDDING: ["n", folded.weights.shape[1]]}
    if scored is not None:
        nodes += presence_nodes([scored], SCORE)
        weights |= presence_weights([scored], view.stem.spec.length)
        outputs[SCORE] = ["n", 1]
    return extend_stem(view.stem.path, nodes, weights, inputs={}, outputs=outputs)

"""The candidate "stem": whether a model is needed, read off the stem's features of each input."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...models.heads.linear import FURTHEST, Linear
from ...models.stem.extend import extend_stem
from ...models.stem.stem import FEATURES
from ...outputs import Array
from ..gates.stem_feed import BIAS, SCORE, WEIGHTS
from .candidates import ScoredCandidate
from .entrants import Entrant, Entry
from .replay import Singles
from .stem_view import StemView
from .workload import Workload

_MOST = 0.9


def presence_entrant(work: Workload, entry: Entry) -> Entrant:
    """A head on the stem's features, learnt on the training part in closed form."""
    view = work.view
    head = fit_presence(view, work.losses.needed.mean(axis=0)[:, None], start=entry.start, stop=work.split.trained)
    graph, scores = presence_graph(view, head)
    modality = work.replay.modality if isinstance(work.replay, Singles) else None
    return Entrant(ScoredCandidate(entry.name, scores[:, 0], most=_MOST), graph, modality, stem=view.used)


def fit_presence(view: StemView, needed: Array, *, start: int, stop: int) -> Linear:
    """How needed inputs are, from their features.

    Args:
        view: the inputs.
        needed: float (inputs, tasks), from 0 to 1.
        start: the first input that is learnt from.
        stop: the one after the last.
    """
    return Linear.fit(view.features[start:stop], needed[start:stop])


def presence_graph(view: StemView, head: Linear) -> tuple[onnx.ModelProto, Array]:
    """The stem with a head behind it, and the scores of all inputs: float64 (inputs, tasks)."""
    tasks = head.weights.shape[1]
    graph = extend_stem(
        view.stem.path,
        head_nodes(FEATURES, SCORE),
        head_weights(head),
        inputs={},
        outputs={SCORE: ["n", tasks]},
        overridable=(WEIGHTS, BIAS),
    )
    scores = np.clip(head.predict(view.features), 0.0, 1.0)
    view.check(graph, scores)
    return graph, scores


def head_nodes(features: str, out: str) -> Sequence[Any]:
    """From features to how needed an input is; every name in between begins with that of what is given."""
    return (
        helper.make_node("Sub", [features, "head_mean"], [f"{out}_centred"]),
        helper.make_node("Mul", [f"{out}_centred", "head_scale"], [f"{out}_scaled"]),
        helper.make_node("Clip", [f"{out}_scaled", "head_low", "head_high"], [f"{out}_standard"]),
        helper.make_node("Gemm", [f"{out}_standard", WEIGHTS, BIAS], [f"{out}_sum"]),
        helper.make_node("Clip", [f"{out}_sum", "head_zero", "head_one"], [out]),
    )


def head_weights(head: Linear) -> dict[str, Any]:
    """What those nodes read."""
    return {
        "head_mean": head.mean[None].astype(np.float32),
        "head_scale": head.scale[None].astype(np.float32),
        "head_low": np.float32(-FURTHEST),
        "head_high": np.float32(FURTHEST),
        "head_zero": np.float32(0.0),
        "head_one": np.float32(1.0),
        WEIGHTS: head.weights[:-1].astype(np.float32),
        BIAS: head.weights[-1].astype(np.float32),
    }

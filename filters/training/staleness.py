"""The candidate "blend": how likely the last kept answer is stale, for the rule `unchanged` (torch for training only).

The last kept input's age, the blocks that differ most from it and the changes to be expected since (`change_rate.py`),
as one probability which none of them can lower: what is exactly the last kept input is staler than nothing else is.
With a stem there is more to be seen (`stem_staleness.py`).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper
from torch.nn import functional as F

from ...outputs import Array
from ..modalities.stream import AGE, CARRIED, SCALARS
from .change_rate import CLIP, ChangeRate, PairLosses, change_rate_nodes, fit_change_rate
from .entrants import Entrant, Entry
from .graphs import SCALARS_INPUT, build_graph, session_of
from .replay import Pairs, Replay, sample_pairs
from .workload import Workload

TOP = SCALARS.index("top difference")
# What is added before a logarithm is taken: a quarter of a grey level, and a thousandth of a change.
_FLOOR = 1e-3
# It is fitted to so many pairs for each input.
_DRAWS = 12
_RIDGE = 1e-3


def staleness_entrant(work: Workload, entry: Entry) -> Entrant:
    """The staleness model, fitted to the training part, and its graph."""
    return staleness_of(work.stream, work.losses, start=entry.start, stop=work.split.trained, seed=work.seed)


def staleness_of(replay: Replay, losses: PairLosses, *, start: int, stop: int, seed: int = 0) -> Entrant:
    """The same for any loss of pairs of inputs, on a stretch."""
    rate = fit_change_rate(replay, losses, start=start, stop=stop)
    graph = staleness_graph(rate, fit_staleness(replay, losses, rate, start=start, stop=stop, seed=seed))
    return Entrant(StalenessCandidate(session_of(graph), rate, replay), graph)


@dataclass(frozen=True)
class Staleness:
    """A probability that rises with each of its features; they are less `mean` times `scale`, clipped to ±4.

    Attributes:
        mean: of each feature (m,).
        scale: one over its deviation (m,).
        weights: at least 0 (m,).
        bias: the constant.
    """

    mean: Array
    scale: Array
    weights: Array
    bias: float

    @classmethod
    def fit(cls, features: Array, targets: Array, *, columns: int | None = None) -> Self:
        """The one that best tells, of pairs of inputs, which answers had gone stale.

        Args:
            features: (n, m).
            targets: what is lost by each pair's answer, from 0 to 1 (n,).
            columns: how many of the features, from the first on, may count; None: all.
        """
        used = features.shape[1] if columns is None else columns
        mean, scale = features.mean(axis=0), 1.0 / np.maximum(features.std(axis=0), 1e-2)
        normal = torch.from_numpy(np.clip((features - mean) * scale, -CLIP, CLIP)[:, :used].astype(np.float64))
        wanted = torch.from_numpy(targets.astype(np.float64))
        roots = torch.full((used,), 0.5, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([roots, bias], max_iter=100, line_search_fn="strong_wolfe")

        def objective() -> torch.Tensor:
            optimizer.zero_grad()
            # Squares can't fall below 0.
            weights = roots.square()
            missed = F.binary_cross_entropy_with_logits(normal @ weights + bias, wanted)
            loss = missed + _RIDGE * weights.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(objective)  # type: ignore[no-untyped-call]
        weights = np.zeros(features.shape[1], np.float32)
        weights[:used] = roots.detach().square().numpy()
        return cls(mean.astype(np.float32), scale.astype(np.float32), weights, float(bias.detach()))

    def scores(self, features: Array) -> Array:
        """How likely the answer is stale, for features (n, m): float64 (n,), from 0 to 1."""
        normal = np.clip((features - self.mean) * self.scale, -CLIP, CLIP)
        return np.asarray(1.0 / (1.0 + np.exp(-(normal @ self.weights + self.bias))), np.float64)

    def nodes(self, features: str, score: str) -> tuple[list[Any], dict[str, Any]]:
        """The nodes, and their weights, that compute the same of features by name; they read "low" and "high" too."""
        weights = {
            "blend_mean": self.mean,
            "blend_scale": self.scale,
            "blend_weights": self.weights[:, None],
            "blend_bias": np.asarray([self.bias], np.float32),
        }
        nodes = [
            helper.make_node("Sub", [features, "blend_mean"], ["blend_centred"]),
            helper.make_node("Mul", ["blend_centred", "blend_scale"], ["blend_scaled"]),
            helper.make_node("Max", ["blend_scaled", "low"], ["blend_raised"]),
            helper.make_node("Min", ["blend_raised", "high"], ["blend_normal"]),
            helper.make_node("Gemm", ["blend_normal", "blend_weights", "blend_bias"], ["blend_odds"]),
            helper.make_node("Sigmoid", ["blend_odds"], [score]),
        ]
        return nodes, weights


def fit_staleness(
    replay: Replay, losses: PairLosses, rate: ChangeRate, *, start: int, stop: int, seed: int
) -> Staleness:
    """The model that best tells, on a stretch, which answers still held after how long; `rate` was fitted there."""
    pairs = drawn_pairs(replay, start, stop, seed)
    return Staleness.fit(pair_features(replay, rate.changes(replay), pairs), losses.of(pairs.kept, pairs.current))


def drawn_pairs(replay: Replay, start: int, stop: int, seed: int) -> Pairs:
    """Pairs of inputs of a stretch, some for each input, of all ages."""
    random = np.random.default_rng(seed)
    draws = [sample_pairs(replay, start, stop, random) for _ in range(_DRAWS)]
    return Pairs(np.concatenate([each.kept for each in draws]), np.concatenate([each.current for each in draws]))


def pair_features(replay: Replay, changes: Array, pairs: Pairs) -> Array:
    """What the model looks at of each pair; `changes` are those to be expected from the replay's beginning on."""
    expected = changes[pairs.current] - changes[pairs.kept]
    return staleness_features(replay.scalars(pairs.kept, pairs.current), expected)


def staleness_features(scalars: Array, changes: Array) -> Array:
    """All as logarithms: age, top difference, changes to be expected since the last kept input: float32 (n, 3).

    Args:
        scalars: float32 (n, 17), as `Channels` has them.
        changes: (n,).
    """
    top, expected = (np.log(values.astype(np.float32) + np.float32(_FLOOR)) for values in (scalars[:, TOP], changes))
    return np.stack([scalars[:, AGE], top, expected], axis=1)


def feature_nodes(rate: ChangeRate, name: str) -> tuple[list[Any], dict[str, Any]]:
    """The nodes, and their weights, that make these features of the scalars; the changes are given as "carried"."""
    nodes, weights = change_rate_nodes(rate, "carried")
    weights |= {
        "age_at": np.asarray([AGE], np.int64),
        "top_at": np.asarray([TOP], np.int64),
        "floor": np.float32(_FLOOR),
    }
    nodes += [
        helper.make_node("Gather", ["scalars", "age_at"], ["log_age"], axis=1),
        helper.make_node("Gather", ["scalars", "top_at"], ["top"], axis=1),
        helper.make_node("Concat", ["top", "carried"], ["levels"], axis=1),
        helper.make_node("Add", ["levels", "floor"], ["above"]),
        helper.make_node("Log", ["above"], ["logs"]),
        helper.make_node("Concat", ["log_age", "logs"], [name], axis=1),
    ]
    return nodes, weights


def staleness_graph(rate: ChangeRate, model: Staleness) -> onnx.ModelProto:
    """A graph whose score is how likely the last kept answer is stale; it carries the changes to be expected."""
    nodes, weights = feature_nodes(rate, "blend_features")
    more, read = model.nodes("blend_features", "score")
    return build_graph(nodes + more, weights | read, SCALARS_INPUT, outputs=("score", "carried"))


class StalenessCandidate:
    """How likely the last kept answer is stale, computed by the very graph of its file."""

    name = "blend"
    most = 1.0
    alone: Array | None = None

    def __init__(self, session: ort.InferenceSession, rate: ChangeRate, replay: Replay) -> None:
        self.rate = rate
        self.replay = replay
        self._session = session
        self._changes = rate.changes(replay)

    def scores(self, kept: Array, current: int) -> Array:
        """The probability, per last kept input."""
        scalars = self.replay.scalars(kept, np.full(len(kept), current))
        scalars[:, CARRIED] = self._changes[current - 1] - self._changes[kept]
        return np.asarray(self._session.run(["score"], {"scalars": scalars})[0][:, 0], np.float64)

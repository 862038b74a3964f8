"""The candidates "pace" and "blend": how fast answers go stale, for the rule `unchanged` (torch for training only).

`ChangeRate` ("pace"): each input adds `exp(weights · motion + bias) * step_s` to the changes to be expected since the
last kept input; when they pass the threshold, the input is kept. With weights of 0 it keeps every so many seconds. It
has a handful of parameters, so that a short recording is enough; and as it sums over time, an odd frame weighs little.

`StalenessModel` ("blend"): these changes, the last kept input's age and the blocks that differ most from it, as one
probability that the kept answer is stale, which none of the three can lower.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper
from torch.nn import functional as F

from ...outputs import Array
from ..modalities.stream import AGE, CARRIED, MOTION, SCALARS, STEP
from .entrants import Entrant, Entry
from .graphs import SCALARS_INPUT, STREAM_INPUTS, build_graph, session_of
from .replay import Replay, sample_pairs
from .workload import Workload

TOP = SCALARS.index("top difference")
_CLIP = 4.0
# What is added before a logarithm is taken: a quarter of a grey level, and a thousandth of a change.
_FLOOR = 1e-3
# The rate is fitted to all pairs within windows of so many inputs, which begin so many inputs apart.
_WINDOW = 24
_STRIDE = 4
_RATE_RIDGE = 0.01
# The staleness is fitted to so many pairs for each input.
_DRAWS = 12
_STALENESS_RIDGE = 1e-3


class PairLosses(Protocol):
    """What is lost on inputs if others were the last kept ones."""

    def of(self, kept: Array, current: Array) -> Array:
        """Per pair: the loss, from 0 to 1."""


def change_rate_entrant(work: Workload, entry: Entry) -> Entrant:
    """The rate of change, fitted to the training part, and its graph."""
    rate = fit_change_rate(work.stream, work.losses, start=entry.start, stop=work.split.trained)
    return Entrant(ChangeRateCandidate(rate, work.stream), change_rate_graph(rate))


def staleness_entrant(work: Workload, entry: Entry) -> Entrant:
    """The staleness model, fitted to the training part, and its graph."""
    return staleness_of(work.stream, work.losses, start=entry.start, stop=work.split.trained, seed=work.seed)


def staleness_of(replay: Replay, losses: PairLosses, *, start: int, stop: int, seed: int = 0) -> Entrant:
    """The same for any loss of pairs of inputs, on a stretch."""
    rate = fit_change_rate(replay, losses, start=start, stop=stop)
    graph = staleness_graph(fit_staleness(replay, losses, rate, start=start, stop=stop, seed=seed))
    return Entrant(StalenessCandidate(session_of(graph), rate, replay), graph)


@dataclass(frozen=True)
class ChangeRate:
    """The parameters, about motion features less `mean` times `scale`, clipped to ±4."""

    mean: Array
    scale: Array
    weights: Array
    bias: float

    def rates(self, motion: Array) -> Array:
        """Expected changes per second for rows of motion features (n, 10)."""
        normal = np.clip((motion - self.mean) * self.scale, -_CLIP, _CLIP)
        return np.asarray(np.exp(normal @ self.weights + self.bias), np.float64)

    def changes(self, replay: Replay) -> Array:
        """Expected changes from a replay's beginning to each of its inputs: float64 (inputs,)."""
        return np.asarray(np.cumsum(self.rates(_motion(replay)) * replay.column("step")), np.float64)


def fit_change_rate(replay: Replay, losses: PairLosses, *, start: int, stop: int) -> ChangeRate:
    """The rate that best explains, on a stretch, which answers still held after how long.

    The chance that the answer for input i no longer holds at j is 1 - exp(-expected changes between them).
    """
    motion = _motion(replay)[start:stop]
    mean, scale = motion.mean(axis=0), 1.0 / np.maximum(motion.std(axis=0), 1e-3)
    normal = torch.from_numpy(np.clip((motion - mean) * scale, -_CLIP, _CLIP).astype(np.float64))
    steps = torch.from_numpy(np.diff(replay.captured_s[start:stop], prepend=replay.captured_s[start]))
    first, second = _pairs(stop - start)
    targets = torch.from_numpy(losses.of(start + first, start + second).astype(np.float64))
    adjacent = np.arange(start, stop - 1)
    per_step = float(losses.of(adjacent, adjacent + 1).mean()) + 1e-4
    bias = torch.tensor(np.log(per_step / float(steps[1:].mean())), dtype=torch.float64, requires_grad=True)
    weights = torch.zeros(len(MOTION), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        changes = torch.cumsum(torch.exp((normal @ weights + bias).clamp(-12, 6)) * steps, dim=0)
        stale = (1.0 - torch.exp(changes[first] - changes[second])).clamp(1e-6, 1.0 - 1e-6)
        loss = F.binary_cross_entropy(stale, targets) + _RATE_RIDGE * (weights * weights).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    return ChangeRate(
        mean.astype(np.float32),
        scale.astype(np.float32),
        weights.detach().numpy().astype(np.float32),
        float(bias.detach()),
    )


def _motion(replay: Replay) -> Array:
    """The motion features of every input: (inputs, 10)."""
    return np.stack([replay.column(name) for name in MOTION], axis=1)


def _pairs(inputs: int) -> tuple[Array, Array]:
    """All pairs within windows that overlap: indices of the earlier and of the later input."""
    window = min(_WINDOW, inputs)
    first, second = np.triu_indices(window, 1)
    starts = np.arange(0, inputs - window + 1, _STRIDE)[:, None]
    return (starts + first).reshape(-1), (starts + second).reshape(-1)


@dataclass(frozen=True)
class StalenessModel:
    """The parameters, about features less `mean` times `scale`, clipped to ±4; `weights` (3,) at least 0."""

    rate: ChangeRate
    mean: Array
    scale: Array
    weights: Array
    bias: float

    def scores(self, scalars: Array, changes: Array) -> Array:
        """How likely the answer is stale.

        Args:
            scalars: float32 (n, 17), as `Channels` has them.
            changes: (n,), to be expected since the last kept input at the learned rate.

        Returns:
            float64 (n,), from 0 to 1.
        """
        normal = np.clip((_features(scalars, changes) - self.mean) * self.scale, -_CLIP, _CLIP)
        return np.asarray(1.0 / (1.0 + np.exp(-(normal @ self.weights + self.bias))), np.float64)


def fit_staleness(
    replay: Replay, losses: PairLosses, rate: ChangeRate, *, start: int, stop: int, seed: int
) -> StalenessModel:
    """The model that best tells, on a stretch, which answers still held after how long; `rate` was fitted there."""
    random = np.random.default_rng(seed)
    draws = [sample_pairs(replay, start, stop, random) for _ in range(_DRAWS)]
    kept = np.concatenate([pairs.kept for pairs in draws])
    current = np.concatenate([pairs.current for pairs in draws])
    changes = rate.changes(replay)
    features = _features(replay.scalars(kept, current), changes[current] - changes[kept])
    mean, scale = features.mean(axis=0), 1.0 / np.maximum(features.std(axis=0), 1e-2)
    normal = torch.from_numpy(np.clip((features - mean) * scale, -_CLIP, _CLIP).astype(np.float64))
    targets = torch.from_numpy(losses.of(kept, current).astype(np.float64))
    roots = torch.full((features.shape[1],), 0.5, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([roots, bias], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        # Squares can't fall below 0.
        weights = roots.square()
        missed = F.binary_cross_entropy_with_logits(normal @ weights + bias, targets)
        loss = missed + _STALENESS_RIDGE * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    weights = roots.detach().square().numpy().astype(np.float32)
    return StalenessModel(rate, mean.astype(np.float32), scale.astype(np.float32), weights, float(bias.detach()))


def _features(scalars: Array, changes: Array) -> Array:
    """What the model looks at, all as logarithms: age, top difference, expected changes: float32 (n, 3)."""
    top, expected = (np.log(values.astype(np.float32) + np.float32(_FLOOR)) for values in (scalars[:, TOP], changes))
    return np.stack([scalars[:, AGE], top, expected], axis=1)


def change_rate_graph(rate: ChangeRate) -> onnx.ModelProto:
    """A graph whose score is what was carried plus the changes to be expected since the last frame."""
    nodes, weights = _changes(rate, "score")
    return build_graph(nodes, weights, STREAM_INPUTS)


def staleness_graph(model: StalenessModel) -> onnx.ModelProto:
    """A graph whose score is how likely the last kept answer is stale; it carries the changes to be expected."""
    nodes, weights = _changes(model.rate, "carried")
    weights |= {
        "age_at": np.asarray([AGE], np.int64),
        "top_at": np.asarray([TOP], np.int64),
        "floor": np.float32(_FLOOR),
        "blend_mean": model.mean,
        "blend_scale": model.scale,
        "blend_weights": model.weights[:, None],
        "blend_bias": np.asarray([model.bias], np.float32),
    }
    nodes += [
        helper.make_node("Gather", ["scalars", "age_at"], ["age"], axis=1),
        helper.make_node("Gather", ["scalars", "top_at"], ["top"], axis=1),
        helper.make_node("Concat", ["top", "carried"], ["levels"], axis=1),
        helper.make_node("Add", ["levels", "floor"], ["above"]),
        helper.make_node("Log", ["above"], ["logs"]),
        helper.make_node("Concat", ["age", "logs"], ["features"], axis=1),
        helper.make_node("Sub", ["features", "blend_mean"], ["blend_centred"]),
        helper.make_node("Mul", ["blend_centred", "blend_scale"], ["blend_scaled"]),
        helper.make_node("Clip", ["blend_scaled", "low", "high"], ["blend_normal"]),
        helper.make_node("Gemm", ["blend_normal", "blend_weights", "blend_bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    return build_graph(nodes, weights, SCALARS_INPUT, outputs=("score", "carried"))


def _changes(rate: ChangeRate, name: str) -> tuple[list[Any], dict[str, Any]]:
    """The nodes, and their weights, that make of the scalars what was carried plus the changes of this frame."""
    weights = {
        "motion": np.asarray([SCALARS.index(each) for each in MOTION], np.int64),
        "step": np.asarray([STEP], np.int64),
        "before_at": np.asarray([CARRIED], np.int64),
        "mean": rate.mean,
        "scale": rate.scale,
        "low": np.float32(-_CLIP),
        "high": np.float32(_CLIP),
        "weights": rate.weights[:, None],
        "bias": np.asarray([rate.bias], np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["scalars", "motion"], ["moves"], axis=1),
        helper.make_node("Sub", ["moves", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["normal"]),
        helper.make_node("Gemm", ["normal", "weights", "bias"], ["log_rate"]),
        helper.make_node("Exp", ["log_rate"], ["rate"]),
        helper.make_node("Gather", ["scalars", "step"], ["step_s"], axis=1),
        helper.make_node("Mul", ["rate", "step_s"], ["changes"]),
        helper.make_node("Gather", ["scalars", "before_at"], ["before"], axis=1),
        helper.make_node("Add", ["before", "changes"], [name]),
    ]
    return nodes, weights


class ChangeRateCandidate:
    """The changes to be expected since the last kept input, at the learned rate."""

    name = "pace"
    most = np.inf
    alone: Array | None = None

    def __init__(self, rate: ChangeRate, replay: Replay) -> None:
        self.rate = rate
        self._changes = rate.changes(replay)

    def scores(self, kept: Array, current: int) -> Array:
        """The changes, per last kept input."""
        return np.asarray(self._changes[current] - self._changes[kept])


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

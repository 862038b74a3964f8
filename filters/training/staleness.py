"""The learned pace: how fast answers go stale, from how much moves (torch, training only).

For the rule `unchanged`. Each input adds `exp(weights · motion + bias) * step_s` to the changes to be expected since
the last kept input; when they pass the threshold, the input is kept. With weights of 0 it keeps every so many seconds.
It has a handful of parameters, so that a short recording is enough; and as it sums over time, an odd frame weighs
little.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ...outputs import Array
from ..modalities.stream import AGE, MOTION, SCALARS
from .losses import Losses
from .replay import Replay, sample_pairs

CLIP = 4.0
_WINDOW = 24
_STRIDE = 4
_RIDGE = 0.01


@dataclass(frozen=True)
class Pace:
    """The parameters, about motion features less `mean` times `scale`, clipped to ±4."""

    mean: Array
    scale: Array
    weights: Array
    bias: float

    def rates(self, motion: Array) -> Array:
        """Expected changes per second for rows of motion features (n, 10)."""
        normal = np.clip((motion - self.mean) * self.scale, -CLIP, CLIP)
        return np.asarray(np.exp(normal @ self.weights + self.bias), np.float64)

    def changes(self, replay: Replay) -> Array:
        """Expected changes from a replay's beginning to each of its inputs: float64 (inputs,)."""
        motion = np.stack([replay.column(name) for name in MOTION], axis=1)
        return np.asarray(np.cumsum(self.rates(motion) * replay.column("step")), np.float64)


def fit_pace(replay: Replay, losses: Losses, *, start: int, stop: int) -> Pace:
    """The pace that best explains, on a stretch, which answers still held after how long.

    The chance that the answer for input i no longer holds at j is 1 - exp(-expected changes between them).
    """
    motion = np.stack([replay.column(name) for name in MOTION], axis=1)[start:stop]
    mean, scale = motion.mean(axis=0), 1.0 / np.maximum(motion.std(axis=0), 1e-3)
    normal = torch.from_numpy(np.clip((motion - mean) * scale, -CLIP, CLIP).astype(np.float64))
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
        loss = F.binary_cross_entropy(stale, targets) + _RIDGE * (weights * weights).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    return Pace(
        mean.astype(np.float32),
        scale.astype(np.float32),
        weights.detach().numpy().astype(np.float32),
        float(bias.detach()),
    )


def _pairs(inputs: int) -> tuple[Array, Array]:
    """All pairs within windows that overlap: indices of the earlier and of the later input."""
    window = min(_WINDOW, inputs)
    first, second = np.triu_indices(window, 1)
    starts = np.arange(0, inputs - window + 1, _STRIDE)[:, None]
    return (starts + first).reshape(-1), (starts + second).reshape(-1)


# What is added before a logarithm is taken: a quarter of a grey level, and a thousandth of a change.
FLOOR = 1e-3
TOP = SCALARS.index("top difference")
_DRAWS = 12
_BLEND_RIDGE = 1e-3


@dataclass(frozen=True)
class Blend:
    """The parameters, about features less `mean` times `scale`, clipped to ±4; `weights` (3,) at least 0."""

    pace: Pace
    mean: Array
    scale: Array
    weights: Array
    bias: float

    def scores(self, scalars: Array, changes: Array) -> Array:
        """How likely the answer is stale.

        Args:
            scalars: float32 (n, 17), as `Channels` has them.
            changes: (n,), to be expected since the last kept input at the learned pace.

        Returns:
            float64 (n,), from 0 to 1.
        """
        normal = np.clip((features_of(scalars, changes) - self.mean) * self.scale, -CLIP, CLIP)
        return np.asarray(1.0 / (1.0 + np.exp(-(normal @ self.weights + self.bias))), np.float64)


def features_of(scalars: Array, changes: Array) -> Array:
    """What is blended, all as logarithms: age, top difference, expected changes: float32 (n, 3)."""
    top, expected = (np.log(values.astype(np.float32) + np.float32(FLOOR)) for values in (scalars[:, TOP], changes))
    return np.stack([scalars[:, AGE], top, expected], axis=1)


def fit_blend(replay: Replay, losses: Losses, pace: Pace, *, start: int, stop: int, seed: int) -> Blend:
    """The blend that best tells, on a stretch, which answers still held after how long; `pace` was fitted there."""
    random = np.random.default_rng(seed)
    draws = [sample_pairs(replay, start, stop, random) for _ in range(_DRAWS)]
    kept = np.concatenate([pairs.kept for pairs in draws])
    current = np.concatenate([pairs.current for pairs in draws])
    changes = pace.changes(replay)
    features = features_of(replay.scalars(kept, current), changes[current] - changes[kept])
    mean, scale = features.mean(axis=0), 1.0 / np.maximum(features.std(axis=0), 1e-2)
    normal = torch.from_numpy(np.clip((features - mean) * scale, -CLIP, CLIP).astype(np.float64))
    targets = torch.from_numpy(losses.of(kept, current).astype(np.float64))
    roots = torch.full((features.shape[1],), 0.5, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([roots, bias], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        # Squares can't fall below 0.
        weights = roots.square()
        loss = (
            F.binary_cross_entropy_with_logits(normal @ weights + bias, targets) + _BLEND_RIDGE * weights.square().sum()
        )
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(objective)  # type: ignore[no-untyped-call]
    weights = roots.detach().square().numpy().astype(np.float32)
    return Blend(pace, mean.astype(np.float32), scale.astype(np.float32), weights, float(bias.detach()))

"""The learned blend: how likely an answer has gone stale, from its age, the picture and the pace (torch to fit).

For the rule `unchanged`. A logistic regression on the age, on how far the most different blocks are from the last kept
picture, and on the changes to be expected since then at the learned pace. No weight is below 0, so the score rises with
each of them whatever was learnt: a threshold on one alone is a special case, and a short recording is enough.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ..outputs import Array
from .channels import AGE, SCALARS
from .losses import Losses
from .pace import CLIP, Pace
from .replay import Replay, sample_pairs

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

"""The learned blend: how likely an answer has gone stale, from its age and from how much moved (torch to fit).

For the rule `unchanged`. A score that rises with the age and with the largest region that differs from the last kept
picture, whatever was learnt: no weight is below 0. So keeping every K-th input and a threshold on the region are
special cases of it, and a short recording is enough. With more differences it did worse on the real clips tried.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..outputs import Array
from .channels import SCALARS
from .losses import Losses
from .low_level import AREA
from .replay import Replay, sample_pairs

# What is added before the logarithm of an area: some ten pixels.
FLOOR = 1e-3
_AGE = SCALARS.index("age")
_HIDDEN = 8
_MEMBERS = 3
_DRAWS = 12
_STEPS = 400
_DECAY = 1e-3


@dataclass(frozen=True)
class Blend:
    """The parameters: features less `mean` times `scale`, a hidden layer, one logit; all weights at least 0."""

    mean: Array
    scale: Array
    hidden: Array
    hidden_bias: Array
    last: Array
    last_bias: float

    def scores(self, scalars: Array, area: Array) -> Array:
        """How likely the answer is stale, for rows of scalars and areas (n,): float64 (n,)."""
        normal = np.clip((features_of(scalars, area) - self.mean) * self.scale, -4.0, 4.0)
        active = np.tanh(normal @ self.hidden + self.hidden_bias)
        return np.asarray(1.0 / (1.0 + np.exp(-(active @ self.last + self.last_bias))), np.float64)


def features_of(scalars: Array, area: Array) -> Array:
    """What is blended: the age (a logarithm already), and the logarithm of the area: float32 (n, 2)."""
    return np.stack([scalars[:, _AGE], np.log(area.astype(np.float32) + np.float32(FLOOR))], axis=1)


class _Rising(nn.Module):
    """A network whose weights can't fall below 0."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.randn(features, _HIDDEN) * 0.3 - 1.5)
        self.hidden_bias = nn.Parameter(torch.linspace(-1.5, 1.5, _HIDDEN))
        self.last = nn.Parameter(torch.full((_HIDDEN,), -0.5))
        self.last_bias = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        active = torch.tanh(features @ F.softplus(self.hidden) + self.hidden_bias)
        out: Tensor = active @ F.softplus(self.last) + self.last_bias
        return out


def fit_blend(replay: Replay, losses: Losses, *, start: int, stop: int, seed: int) -> Blend:
    """The blend that best tells, on a stretch, which answers still held after how long: the mean of three trainings."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    draws = [sample_pairs(replay, start, stop, random) for _ in range(_DRAWS)]
    kept = np.concatenate([pairs.kept for pairs in draws])
    current = np.concatenate([pairs.current for pairs in draws])
    features = features_of(replay.scalars(kept, current), replay.low_level(kept, current)[:, AREA])
    mean, scale = features.mean(axis=0), 1.0 / np.maximum(features.std(axis=0), 1e-2)
    normal = torch.from_numpy(np.clip((features - mean) * scale, -4.0, 4.0).astype(np.float32))
    targets = torch.from_numpy(losses.of(kept, current).astype(np.float32))
    members = [_fit(normal, targets) for _ in range(_MEMBERS)]
    with torch.no_grad():
        return Blend(
            mean.astype(np.float32),
            scale.astype(np.float32),
            torch.cat([F.softplus(each.hidden) for each in members], dim=1).numpy(),
            torch.cat([each.hidden_bias for each in members]).numpy(),
            torch.cat([F.softplus(each.last) / _MEMBERS for each in members]).numpy(),
            float(np.mean([float(each.last_bias) for each in members])),
        )


def _fit(features: Tensor, targets: Tensor) -> _Rising:
    network = _Rising(features.shape[1])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        weights = F.softplus(network.hidden).sum() + F.softplus(network.last).sum()
        loss = F.binary_cross_entropy_with_logits(network(features), targets) + _DECAY * weights
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network

"""How fast answers go stale while a stream moves so or so: the rate of change (torch for training only).

Each input adds `exp(weights · motion + bias) * step_s` to the changes to be expected since the last kept input. With
weights of 0 they are the time. There is a handful of parameters, so that a short recording is enough; and as it sums
over time, an odd frame weighs little.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from onnx import helper
from torch.nn import functional as F

from ...outputs import Array
from ..modalities.stream import CARRIED, MOTION, SCALARS, STEP
from .replay import Replay

CLIP = 4.0
"""A standardised number beyond is cut."""
# The rate is fitted to all pairs within windows of so many inputs, which begin so many inputs apart.
_WINDOW = 24
_STRIDE = 4
_RIDGE = 0.01


class PairLosses(Protocol):
    """What is lost on inputs if others were the last kept ones."""

    def of(self, kept: Array, current: Array) -> Array:
        """Per pair: the loss, from 0 to 1."""


@dataclass(frozen=True)
class ChangeRate:
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
        return np.asarray(np.cumsum(self.rates(_motion(replay)) * replay.column("step")), np.float64)


def fit_change_rate(replay: Replay, losses: PairLosses, *, start: int, stop: int) -> ChangeRate:
    """The rate that best explains, on a stretch, which answers still held after how long.

    The chance that the answer for input i no longer holds at j is 1 - exp(-expected changes between them).
    """
    motion = _motion(replay)[start:stop]
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
    return ChangeRate(
        mean.astype(np.float32),
        scale.astype(np.float32),
        weights.detach().numpy().astype(np.float32),
        float(bias.detach()),
    )


def change_rate_nodes(rate: ChangeRate, name: str) -> tuple[list[Any], dict[str, Any]]:
    """The nodes, and their weights, that make of the scalars what was carried plus the changes of this frame."""
    weights = {
        "rate_motion": np.asarray([SCALARS.index(each) for each in MOTION], np.int64),
        "rate_step": np.asarray([STEP], np.int64),
        "rate_before": np.asarray([CARRIED], np.int64),
        "rate_mean": rate.mean,
        "rate_scale": rate.scale,
        "low": np.float32(-CLIP),
        "high": np.float32(CLIP),
        "rate_weights": rate.weights[:, None],
        "rate_bias": np.asarray([rate.bias], np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["scalars", "rate_motion"], ["moves"], axis=1),
        helper.make_node("Sub", ["moves", "rate_mean"], ["rate_centred"]),
        helper.make_node("Mul", ["rate_centred", "rate_scale"], ["rate_scaled"]),
        helper.make_node("Max", ["rate_scaled", "low"], ["rate_raised"]),
        helper.make_node("Min", ["rate_raised", "high"], ["rate_normal"]),
        helper.make_node("Gemm", ["rate_normal", "rate_weights", "rate_bias"], ["log_rate"]),
        helper.make_node("Exp", ["log_rate"], ["rate"]),
        helper.make_node("Gather", ["scalars", "rate_step"], ["step_s"], axis=1),
        helper.make_node("Mul", ["rate", "step_s"], ["changes"]),
        helper.make_node("Gather", ["scalars", "rate_before"], ["before"], axis=1),
        helper.make_node("Add", ["before", "changes"], [name]),
    ]
    return nodes, weights


def _motion(replay: Replay) -> Array:
    """The motion features of every input: (inputs, 10)."""
    return np.stack([replay.column(name) for name in MOTION], axis=1)


def _pairs(inputs: int) -> tuple[Array, Array]:
    """All pairs within windows that overlap: indices of the earlier and of the later input."""
    window = min(_WINDOW, inputs)
    first, second = np.triu_indices(window, 1)
    starts = np.arange(0, inputs - window + 1, _STRIDE)[:, None]
    return (starts + first).reshape(-1), (starts + second).reshape(-1)

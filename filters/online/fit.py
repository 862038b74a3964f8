"""Trains an online filter's network further: on what was just labelled and, as much of it, on what it remembers."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from ...outputs import Array
from ..modalities.stream import SCALARS
from ..training.fit_loop import one_thread
from ..training.replay import Examples
from ..training.temporal import TemporalNetwork, augment, to_channels
from .memory import ReplayMemory, join, take

BATCH = 32
_RATE = 1e-3
_FASTEST = 3e-3
_UNUSED = ("step", "carried", "age")


def new_network(seed: int) -> TemporalNetwork:
    """An untrained network; torch's own random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TemporalNetwork(np.zeros(len(SCALARS)), np.zeros(len(SCALARS))).eval()


def train_further(
    network: TemporalNetwork,
    new: Examples,
    memory: ReplayMemory,
    *,
    steps: int,
    random: np.random.Generator,
) -> None:
    """Takes `steps` steps on batches of which one half is new and the other remembered.

    What is remembered makes up for what is new: each batch has as many needed as redundant inputs, if it can, or a
    period of which only one kind was labelled would turn the whole filter.
    The scalars are normalised anew by all that is known, as their scale drifts with the scene. The same inputs, labels
    and seed give the same weights: it runs on one thread.
    """
    _normalise(network, np.concatenate([memory.scalars, new.scalars]))
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_FASTEST, total_steps=steps + 1, pct_start=0.25)
    rows = _rounds(len(new.targets), random)
    network.train()
    with one_thread():
        for _ in range(steps):
            fresh = take(new, rows(BATCH // 2 if len(memory) else BATCH))
            _step(network, optimizer, _completed(fresh, memory, random), random)
            schedule.step()
    network.eval()


def _completed(fresh: Examples, memory: ReplayMemory, random: np.random.Generator) -> Examples:
    """A batch whose other half is from the memory, so that both kinds come equally often."""
    if not len(memory):
        return fresh
    needed = BATCH // 2 - int((fresh.targets > 0.5).sum())
    return join([fresh, memory.draw((BATCH - len(fresh.targets) - needed, needed), random)])


def _step(
    network: TemporalNetwork, optimizer: torch.optim.Optimizer, batch: Examples, random: np.random.Generator
) -> None:
    channels = to_channels(augment(batch.images, random))
    gain = torch.from_numpy(random.uniform(0.8, 1.2, (len(batch.targets), 1, 1, 1)).astype(np.float32))
    logits = network(channels * gain, torch.from_numpy(batch.scalars))
    loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(batch.targets))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _normalise(network: TemporalNetwork, scalars: Array) -> None:
    scale = 1.0 / np.maximum(scalars.std(axis=0), 1e-4)
    scale[[SCALARS.index(name) for name in _UNUSED]] = 0.0
    assert isinstance(network.mean, torch.Tensor) and isinstance(network.scale, torch.Tensor)
    network.mean.copy_(torch.from_numpy(scalars.mean(axis=0).astype(np.float32)))
    network.scale.copy_(torch.from_numpy(scale.astype(np.float32)))


def _rounds(count: int, random: np.random.Generator) -> Callable[[int], Array]:
    """Gives rows so that each has come once before any comes again."""
    waiting = np.empty(0, np.int64)

    def rows(wanted: int) -> Array:
        nonlocal waiting
        while len(waiting) < wanted:
            waiting = np.concatenate([waiting, random.permutation(count)])
        found, waiting = waiting[:wanted], waiting[wanted:]
        return found

    return rows

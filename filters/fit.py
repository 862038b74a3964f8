"""Trains the learned candidate (torch): on single inputs for a SKIP rule, on pairs of inputs for `unchanged`."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ..outputs import Array
from .channels import SCALARS
from .losses import Losses
from .network import TemporalNetwork, to_channels
from .replay import Progress, Replay, sample_pairs

BATCH = 32
_SEEN = 10_000
_MOST_EPOCHS = 30
_VALIDATION = 0.15
_SHIFT = 6


@dataclass(frozen=True)
class Examples:
    """What the network learns from: images (uint8, channels last), scalars, and the losses to expect."""

    images: Array
    scalars: Array
    targets: Array


def fit_network(
    replay: Replay, losses: Losses, *, start: int, stop: int, seed: int, progress: Progress | None = None
) -> TemporalNetwork:
    """The network trained on a stretch; its last part is not learnt from but tells when the network was best."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = stop - round((stop - start) * _VALIDATION)
    checked = [_examples(replay, losses, middle, stop, random) for _ in range(3 if replay.pairwise else 1)]
    network = _new_network(replay, _examples(replay, losses, start, middle, random))
    epochs = int(np.clip(_SEEN / (middle - start), 8, _MOST_EPOCHS))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=4e-3, total_steps=epochs * -(-(middle - start) // BATCH), pct_start=0.25
    )
    best, best_loss = copy.deepcopy(network.state_dict()), float("inf")
    for epoch in range(epochs):
        network.train()
        examples = _examples(replay, losses, start, middle, random)
        for rows in np.array_split(random.permutation(len(examples.targets)), -(-len(examples.targets) // BATCH)):
            _step(network, optimizer, examples, rows, random)
            schedule.step()
        loss = float(np.mean([_validate(network, part) for part in checked]))
        if loss < best_loss:
            best, best_loss = copy.deepcopy(network.state_dict()), loss
        if progress is not None:
            progress((epoch + 1) / epochs, f"training, validation loss {loss:.3f}")
    network.load_state_dict(best)
    return network.eval()


def _examples(replay: Replay, losses: Losses, start: int, stop: int, random: np.random.Generator) -> Examples:
    pairs = sample_pairs(replay, start, stop, random)
    return Examples(
        replay.images(pairs.kept, pairs.current),
        replay.scalars(pairs.kept, pairs.current),
        losses.of(pairs.kept, pairs.current).astype(np.float32),
    )


def _new_network(replay: Replay, examples: Examples) -> TemporalNetwork:
    scale = 1.0 / np.maximum(examples.scalars.std(axis=0), 1e-4)
    # The time since the last kept input means nothing to a rule on single inputs; nothing is carried.
    unused = ("step", "carried") if replay.pairwise else ("step", "carried", "age")
    scale[[SCALARS.index(name) for name in unused]] = 0.0
    return TemporalNetwork(examples.scalars.mean(axis=0), scale)


def _step(
    network: TemporalNetwork,
    optimizer: torch.optim.Optimizer,
    examples: Examples,
    rows: Array,
    random: np.random.Generator,
) -> None:
    channels = to_channels(augment(examples.images[rows], random))
    gain = torch.from_numpy(random.uniform(0.8, 1.2, (len(rows), 1, 1, 1)).astype(np.float32))
    logits = network(channels * gain, torch.from_numpy(examples.scalars[rows]))
    loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(examples.targets[rows]))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _validate(network: TemporalNetwork, examples: Examples) -> float:
    scores = np.clip(network.scores(examples.images, examples.scalars), 1e-6, 1 - 1e-6)
    return float(-np.mean(examples.targets * np.log(scores) + (1 - examples.targets) * np.log1p(-scores)))


def augment(images: Array, random: np.random.Generator) -> Array:
    """Shifts and mirrors each image (uint8, channels last), all of its channels alike."""
    out = np.empty_like(images)
    for row, image in zip(out, images, strict=True):
        down, across = random.integers(-_SHIFT, _SHIFT + 1, 2)
        moved = np.roll(image, (down, across), axis=(0, 1))
        row[:] = moved[:, ::-1] if random.random() < 0.5 else moved
    return out

"""Trains the network (torch): on single inputs for a SKIP rule, on pairs of inputs for `unchanged`."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..outputs import Array
from ..progress import Progress
from .channels import SCALARS
from .examples import Examples
from .fit_loop import Checkpoint, Epoch, Recipe, train
from .losses import Losses
from .network import TemporalNetwork, to_channels
from .replay import Replay, sample_pairs

_SEEN = 10_000
_MOST_EPOCHS = 30
_VALIDATION = 0.15
_SHIFT = 6


def fit_network(
    replay: Replay,
    losses: Losses,
    *,
    start: int,
    stop: int,
    seed: int,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[TemporalNetwork, list[Epoch]]:
    """The network trained on a stretch, and its curve; the last part is not learnt from but tells when it was best."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = stop - round((stop - start) * _VALIDATION)
    checked = [_examples(replay, losses, middle, stop, random) for _ in range(3 if replay.pairwise else 1)]
    network = _new_network(replay, _examples(replay, losses, start, middle, random))
    epochs = int(np.clip(_SEEN / (middle - start), 8, _MOST_EPOCHS))
    curve = train(
        network,
        _Frames(network, replay, losses, start, middle, checked),
        Recipe(epochs, patience=epochs),
        examples=middle - start,
        random=random,
        checkpoint=checkpoint,
        progress=progress,
    )
    return network, curve


class _Frames:
    """Frames of a stretch, a new pair for each at every epoch."""

    def __init__(
        self,
        network: TemporalNetwork,
        replay: Replay,
        losses: Losses,
        start: int,
        stop: int,
        checked: list[Examples],
    ) -> None:
        self._network = network
        self._replay = replay
        self._losses = losses
        self._start, self._stop = start, stop
        self._checked = checked
        self._examples = checked[0]

    def begin(self, random: np.random.Generator) -> int:
        self._examples = _examples(self._replay, self._losses, self._start, self._stop, random)
        return len(self._examples.targets)

    def loss(self, rows: Array, random: np.random.Generator) -> Tensor:
        channels = to_channels(augment(self._examples.images[rows], random))
        gain = torch.from_numpy(random.uniform(0.8, 1.2, (len(rows), 1, 1, 1)).astype(np.float32))
        logits = self._network(channels * gain, torch.from_numpy(self._examples.scalars[rows]))
        return F.binary_cross_entropy_with_logits(logits, torch.from_numpy(self._examples.targets[rows]))

    def validate(self) -> float:
        return float(np.mean([_validate(self._network, part) for part in self._checked]))


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

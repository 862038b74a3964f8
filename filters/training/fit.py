"""Trains the network (torch): on single inputs for a SKIP rule, on pairs of inputs for `unchanged`."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...outputs import Array
from ...reporting import Progress
from ..modalities import Learnable
from ..modalities.stream import SCALARS
from ..networks.encoders import EncoderNetwork
from .fit_loop import Checkpoint, Epoch, Recipe, train
from .losses import Losses
from .replay import Examples, Replay, Singles, sample_pairs
from .temporal import TemporalNetwork, to_channels

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


_ENCODER_SEEN = 20_000
_EPOCHS = (8, 60)
_PATIENCE = 8
PAPER = Recipe(epochs=20, patience=20, one_cycle=False)
# The rarer kind of input makes up at least so much of what is learnt from.
_LEAST_SHARE = 0.25


def fit_encoder(
    singles: Singles,
    needed: Array,
    modality: Learnable,
    *,
    start: int,
    stop: int,
    seed: int,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[EncoderNetwork, list[Epoch]]:
    """The network trained on a stretch, and its curve; the last part is not learnt from but tells when it was best.

    The paper's networks are trained as the paper says: RMSprop, 20 epochs, nothing augmented or balanced.

    Args:
        singles: the inputs.
        needed: float (inputs,) or (inputs, tasks), how needed each one is, from 0 to 1.
        modality: how they are augmented, and their encoder.
        start: the first input of the stretch.
        stop: the one after its last.
        seed: of everything that is drawn.
        checkpoint: where the training is kept.
        progress: is told the share done.
    """
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = stop - max(1, round((stop - start) * _VALIDATION))
    needed = needed.reshape(len(needed), -1)
    network = EncoderNetwork(*modality.encoder(), plain=modality.net != "ours", tasks=needed.shape[1])
    if modality.net == "paper":
        # Its large maps go through LayerNorms over channels: with these last in memory it takes two thirds of the time.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learnt, checked = np.arange(start, middle), np.arange(middle, stop)
    ours = Recipe(int(np.clip(_ENCODER_SEEN / len(learnt), *_EPOCHS)), _PATIENCE)
    curve = train(
        network,
        _Alone(network, singles, needed, modality, learnt, checked),
        PAPER if modality.net == "paper" else ours,
        examples=len(learnt),
        random=random,
        checkpoint=checkpoint,
        progress=progress,
    )
    return network, curve


class _Alone:
    """Inputs by themselves; those of the rarer kind are drawn more often if they are very few."""

    def __init__(
        self,
        network: EncoderNetwork,
        singles: Singles,
        needed: Array,
        modality: Learnable,
        learnt: Array,
        checked: Array,
    ) -> None:
        self._network = network
        self._singles = singles
        self._needed = needed
        self._modality = modality
        self._learnt = self._drawn = learnt
        self._checked = checked
        wanted = needed[learnt].max(axis=1)
        share = float(np.clip(wanted.mean(), 1e-6, 1 - 1e-6))
        aim = float(np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE))
        weights = wanted * aim / share + (1 - wanted) * (1 - aim) / (1 - share)
        self._weights = None if modality.net == "paper" or aim == share else weights / weights.sum()

    def begin(self, random: np.random.Generator) -> int:
        if self._weights is not None:
            self._drawn = random.choice(self._learnt, len(self._learnt), p=self._weights)
        return len(self._drawn)

    def loss(self, rows: Array, random: np.random.Generator) -> Tensor:
        index = self._drawn[rows]
        inputs = self._singles.rows(index)
        if self._modality.net != "paper":
            inputs = self._modality.augment(inputs, random)
        logits = self._network.logits(torch.from_numpy(np.ascontiguousarray(inputs)))
        return F.binary_cross_entropy_with_logits(logits, torch.from_numpy(self._needed[index].astype(np.float32)))

    def validate(self) -> float:
        found = np.clip(scores_of(self._network, self._singles, self._checked), 1e-6, 1 - 1e-6)
        wanted = self._needed[self._checked]
        return float(-np.mean(wanted * np.log(found) + (1 - wanted) * np.log1p(-found)))


@torch.no_grad()
def scores_of(network: EncoderNetwork, singles: Singles, index: Array, *, batch: int = 64) -> Array:
    """How needed inputs are, by the network: float64 (n, tasks)."""
    network.eval()
    parts = [network(torch.from_numpy(singles.rows(index[i : i + batch]))) for i in range(0, len(index), batch)]
    return np.asarray(torch.cat(parts).numpy(), np.float64)

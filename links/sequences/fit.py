"""Trains our network of a target that gives token sequences: the exact tokens before are known (teacher forcing)."""

from dataclasses import replace

import numpy as np
import torch

from ...outputs import Array
from ..training.fit import Batch, Recipe, one_thread, platt, sequence_loss, train_best
from ..training.judge import Judge
from ..training.samples import Situations
from .network import SequenceNetwork, counted, cut_to_longest
from .residual import ResidualSequenceNetwork
from .search import WIDTH

STEPS = 400
BATCH = 64
_CHECK_DRAWS = 256
_AGREE_DRAWS = 400


def fit_sequence(
    situations: Situations, judge: Judge, *, seed: int, width: int = WIDTH, steps: int = STEPS
) -> ResidualSequenceNetwork:
    """A trained network, in evaluation mode; the same seed on the same machine gives the same weights.

    Args:
        situations: the recording's, with ids.
        judge: compares the target's outputs.
        seed: of everything random.
        width: how many beginnings are followed when a sequence is read; 1: greedy.
        steps: how many it trains for at most.
    """
    with torch.random.fork_rng(), one_thread():
        torch.manual_seed(seed)
        network = ResidualSequenceNetwork(situations.layout, situations.samples.encodings, situations.target)
        network.decoding = replace(network.decoding, width=width)
        _fit(network, situations, seed=seed, steps=steps)
        network.eval()
        calibrate(network, situations, judge, seed=seed)
        return network


def calibrate(network: SequenceNetwork, situations: Situations, judge: Judge, *, seed: int) -> None:
    """Makes the mean probability of the tokens one of agreement, on the validation block (Platt)."""
    draws = situations.draw(np.random.default_rng(seed + 2), situations.samples.blocks.validation, _AGREE_DRAWS)
    ids, probability = network.read(torch.from_numpy(situations.features(draws)), network.decoding)
    sources = [[name for name, on in zip(situations.sources, mask, strict=True) if on] for mask in draws.masks]
    agrees = judge.linked(ids, draws.inputs, draws.earlier, sources)
    inside = torch.from_numpy(np.clip(probability, 1e-4, 1.0 - 1e-4).astype(np.float32))
    slope, shift = platt(torch.logit(inside), torch.from_numpy(agrees.astype(np.float32)))
    # A slope below 0 would trust most what it is least sure of: then the mean is all that is known.
    network.decoding = replace(network.decoding, slope=max(slope, 0.0), shift=shift)


def _fit(network: ResidualSequenceNetwork, situations: Situations, *, seed: int, steps: int) -> None:
    rng, blocks = np.random.default_rng(seed), situations.samples.blocks

    def loss(features: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        ids = cut_to_longest(rows)
        return sequence_loss(network.forced(features, ids), ids, counted(ids))

    train_best(
        network,
        # What it is better by must be worth the time.
        Recipe(steps, BATCH, rate=4e-3, least_rate=2e-4, weight_decay=0.01, better=0.99, most_norm=1.0),
        draw=lambda count: _batch(situations, rng, blocks.train, count),
        loss=loss,
        check=_batch(situations, np.random.default_rng(seed + 1), blocks.validation, _CHECK_DRAWS),
    )


def _batch(situations: Situations, rng: np.random.Generator, block: Array, count: int) -> Batch:
    """Random situations: features, and the exact ids with their end behind."""
    draws = situations.draw(rng, block, count)
    return torch.from_numpy(situations.features(draws)), with_end(situations.ids[draws.inputs])


def with_end(ids: Array) -> torch.Tensor:
    """Rows of ids (n, longest) with room for the end behind the longest: int64 (n, longest + 1)."""
    return torch.from_numpy(np.pad(ids.astype(np.int64), ((0, 0), (0, 1))))

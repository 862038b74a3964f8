"""Trains the paper's networks by its recipe: RMSprop, 100 epochs, batches of 32; links first, then the ensemble.

Unlike in the reference code vectors are standardised, every draw comes from the seed, and the last batch of an epoch
may be a smaller one.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import nn

from ..networks.paper_sequence import PaperSequenceNetwork
from ..networks.paper_vector import PaperNetwork
from ..sequences.fit import calibrate, with_end
from ..sequences.network import counted, cut_to_longest
from .fit import fit_agree, one_thread, paper_loss_of, sequence_loss
from .judge import Judge
from .samples import Situations

EPOCHS = 100
BATCH = 32
RATE = 0.01
# Keras' defaults, which the reference code has.
_DECAY = 0.9
_EPSILON = 1e-7


def fit_paper(situations: Situations, judge: Judge, *, seed: int, epochs: int = EPOCHS) -> PaperNetwork:
    """The paper's links and ensemble of a target that is a vector, in evaluation mode.

    Args:
        situations: the recording's, with ids.
        judge: compares the target's outputs.
        seed: of everything random; the same on the same machine gives the same weights.
        epochs: how often the training block is seen.
    """
    with torch.random.fork_rng(), one_thread():
        torch.manual_seed(seed)
        network = PaperNetwork(situations.layout, situations.samples.encodings, situations.target)
        features = _all_sources(situations)
        wanted = torch.from_numpy(situations.vectors[situations.samples.blocks.train])
        loss = paper_loss_of(situations.samples.encodings[situations.target])
        rng = np.random.default_rng(seed)

        def links_loss(rows: torch.Tensor) -> torch.Tensor:
            linked = network.linked(features[rows])
            # Their weights are apart from one another: the sum trains each as if it were alone.
            return torch.stack([loss(linked[:, i], wanted[rows]) for i in range(linked.shape[1])]).sum()

        if network.links:
            network.train()
            _train(network.links.parameters(), links_loss, len(features), rng, epochs)
            network.eval()
            with torch.no_grad():
                linked = network.linked(features)
            _train(
                [network.weights],
                lambda rows: loss((linked[rows] * network.weights).sum(dim=1), wanted[rows]),
                len(features),
                rng,
                epochs,
            )
        fit_agree(network, situations, judge, seed=seed)
        return network.eval()


def fit_paper_sequence(
    situations: Situations, judge: Judge, *, seed: int, epochs: int = EPOCHS
) -> PaperSequenceNetwork:
    """The same of a target that gives token sequences, with teacher forcing.

    Args:
        situations: the recording's, with ids.
        judge: compares the target's outputs.
        seed: of everything random; the same on the same machine gives the same weights.
        epochs: how often the training block is seen.
    """
    with torch.random.fork_rng(), one_thread():
        torch.manual_seed(seed)
        network = PaperSequenceNetwork(situations.layout, situations.samples.encodings, situations.target)
        features = _all_sources(situations)
        wanted = with_end(situations.ids[situations.samples.blocks.train])
        rng = np.random.default_rng(seed)

        def links_loss(rows: torch.Tensor) -> torch.Tensor:
            ids = cut_to_longest(wanted[rows])
            logits = _forced(network, features[rows], ids)
            losses = [sequence_loss(logits[:, :, i], ids, counted(ids)) for i in range(logits.shape[2])]
            return torch.stack(losses).sum()

        def ensemble_loss(rows: torch.Tensor) -> torch.Tensor:
            ids = cut_to_longest(wanted[rows])
            with torch.no_grad():
                logits = _forced(network, features[rows], ids)
            mixed = (logits * network.weights).sum(dim=2)
            return sequence_loss(mixed, ids, counted(ids))

        if network.links:
            network.train()
            _train(network.links.parameters(), links_loss, len(features), rng, epochs)
            network.eval()
            _train([network.weights], ensemble_loss, len(features), rng, epochs)
        network.eval()
        calibrate(network, situations, judge, seed=seed)
        return network


def _all_sources(situations: Situations) -> torch.Tensor:
    """The features of the training block when every source ran and the target never did."""
    train = situations.samples.blocks.train
    draws = situations.fixed(train, np.full(len(train), -1), situations.sources)
    return torch.from_numpy(situations.features(draws))


def _forced(network: PaperSequenceNetwork, features: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Every link's logits (n, steps, sources, size) when the exact tokens before are known."""
    fixed, state = network.encode(features)
    before, logits = network.before(ids), []
    for position in range(ids.shape[1]):
        logit, state = network.each(fixed, state, before[:, position])
        logits.append(logit)
    return torch.stack(logits, dim=1)


def _train(
    parameters: Iterable[nn.Parameter],
    loss: Callable[[torch.Tensor], torch.Tensor],
    count: int,
    rng: np.random.Generator,
    epochs: int,
) -> None:
    learnt = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = torch.optim.RMSprop(learnt, lr=RATE, alpha=_DECAY, eps=_EPSILON, foreach=True)
    for rows in _batches(count, rng, epochs):
        optimizer.zero_grad()
        loss(rows).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _batches(count: int, rng: np.random.Generator, epochs: int) -> Iterator[torch.Tensor]:
    for _ in range(epochs):
        yield from torch.split(torch.from_numpy(rng.permutation(count)), BATCH)

"""Trains one link's network: any subset of its sources, any age of its last output, stopped when it stops to help."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...outputs import Array
from .draws import Situations
from .fit_loop import Batch, Recipe, train_best
from .judge import Judge
from .losses import loss_of
from .network import LinkNetwork, ResidualNetwork, VectorNetwork

STEPS = 350
BATCH = 256
_CHECK_DRAWS = 1024
_AGREE_DRAWS = 1500
_AGREE_STEPS = 200


def fit_link(situations: Situations, judge: Judge, *, seed: int, steps: int = STEPS) -> ResidualNetwork:
    """A trained network of a target that is a vector, in evaluation mode.

    Args:
        situations: the recording's.
        judge: compares the target's outputs.
        seed: of everything random; the same on the same machine gives the same weights.
        steps: how many it trains for at most.
    """
    with torch.random.fork_rng(), one_thread():
        torch.manual_seed(seed)
        network = ResidualNetwork(situations.layout)
        _fit_vector(network, situations, seed=seed, steps=steps)
        fit_agree(network, situations, judge, seed=seed)
        return network.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices this small train many times slower on two threads than on one, when other work runs beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def predict(network: LinkNetwork, features: Array) -> tuple[Array, Array]:
    """Predicted vectors (n, length), or rows of ids (n, ids), and probabilities of agreement (n,)."""
    with torch.no_grad():
        predicted, agree = network.eval().predict(torch.from_numpy(features))
    return predicted.numpy(), agree.numpy()


def _fit_vector(network: ResidualNetwork, situations: Situations, *, seed: int, steps: int) -> None:
    """Trains the prediction."""
    rng, blocks = np.random.default_rng(seed), situations.samples.blocks
    loss = loss_of(situations.samples.encodings[situations.target])
    train_best(
        network,
        Recipe(steps, BATCH, rate=3e-3, least_rate=1e-4, weight_decay=0.02),
        draw=lambda count: _batch(situations, rng, blocks.train, count),
        loss=lambda features, wanted: loss(network.vector(features, network.hidden(features)), wanted),
        check=_batch(situations, np.random.default_rng(seed + 1), blocks.validation, _CHECK_DRAWS),
    )


def _batch(situations: Situations, rng: np.random.Generator, block: Array, count: int) -> Batch:
    """Random situations: features and the exact vectors."""
    draws = situations.draw(rng, block, count)
    return torch.from_numpy(situations.features(draws)), torch.from_numpy(situations.vectors[draws.inputs])


def fit_agree(network: VectorNetwork, situations: Situations, judge: Judge, *, seed: int) -> None:
    """Trains the second head on what the first reaches, then corrects it on the validation block (Platt)."""
    rng = np.random.default_rng(seed + 2)
    blocks = situations.samples.blocks
    hidden, vector, agrees = _judged(network, situations, judge, rng, blocks.train)
    layers = [*network.agree_hidden.parameters(), *network.agree_out.parameters()]
    optimizer = torch.optim.AdamW(layers, lr=1e-2, weight_decay=0.01)
    for _ in range(_AGREE_STEPS):
        optimizer.zero_grad()
        logit = network.agree_logit(hidden, vector)
        F.binary_cross_entropy_with_logits(logit, agrees).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    hidden, vector, agrees = _judged(network, situations, judge, rng, blocks.validation)
    with torch.no_grad():
        logit = network.agree_logit(hidden, vector)
    slope, shift = platt(logit, agrees)
    with torch.no_grad():
        network.agree_out.weight.mul_(slope)
        network.agree_out.bias.mul_(slope).add_(shift)


def platt(logit: torch.Tensor, agrees: torch.Tensor) -> tuple[float, float]:
    """The slope and the shift that make log-odds (n,) fit what they came to (n,), each in [0, 1]."""
    slope, shift = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.0))
    newton = torch.optim.LBFGS([slope, shift], max_iter=30, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        newton.zero_grad()
        # The slight pull to (1, 0) keeps it finite when every output agrees.
        pull = 1e-3 * ((slope - 1) ** 2 + shift**2)
        value = F.binary_cross_entropy_with_logits(logit * slope + shift, agrees) + pull
        value.backward()  # type: ignore[no-untyped-call]
        return value

    newton.step(closure)  # type: ignore[no-untyped-call]
    return float(slope.detach()), float(shift.detach())


def _judged(
    network: VectorNetwork, situations: Situations, judge: Judge, rng: np.random.Generator, block: Array
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden layers, predictions and their agreement with the exact outputs, for random situations."""
    draws = situations.draw(rng, block, _AGREE_DRAWS // (3 if judge.slow else 1))
    features = torch.from_numpy(situations.features(draws))
    network.eval()
    with torch.no_grad():
        hidden = network.hidden(features)
        vector = network.vector(features, hidden)
    sources = [[name for name, on in zip(situations.sources, mask, strict=True) if on] for mask in draws.masks]
    agrees = judge.linked(vector.numpy(), draws.inputs, draws.earlier, sources)
    return hidden, vector, torch.from_numpy(agrees.astype(np.float32))

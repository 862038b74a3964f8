"""Trains one link's network: any subset of its sources, any age of its last output, stopped when it stops to help."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..outputs import Array
from .draws import Situations
from .encoding import Encoding
from .judge import Judge
from .network import LinkNetwork

STEPS = 350
BATCH = 256
_CHECK_EVERY = 25
_PATIENCE = 6
_CHECK_DRAWS = 1024
_AGREE_DRAWS = 1500
_AGREE_STEPS = 200
_COUNTS_WEIGHT = 0.7

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def fit_link(situations: Situations, judge: Judge, *, seed: int) -> LinkNetwork:
    """A trained network, in evaluation mode; the same seed on the same machine gives the same weights."""
    with torch.random.fork_rng(), one_thread():
        torch.manual_seed(seed)
        network = LinkNetwork(situations.layout)
        _fit_vector(network, situations, seed=seed)
        _fit_agree(network, situations, judge, seed=seed)
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
    """Predicted vectors (n, length) and probabilities of agreement (n,)."""
    with torch.no_grad():
        vector, logit = network.eval()(torch.from_numpy(features))
    return vector.numpy(), torch.sigmoid(logit).numpy()


def _fit_vector(network: LinkNetwork, situations: Situations, *, seed: int) -> None:
    """Trains the prediction; keeps the weights that did best on the validation block."""
    rng = np.random.default_rng(seed)
    blocks = situations.samples.blocks
    loss = _loss(situations.samples.encodings[situations.target])
    check, wanted = _batch(situations, np.random.default_rng(seed + 1), blocks.validation, _CHECK_DRAWS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02, fused=True)
    rounds = STEPS // _CHECK_EVERY
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rounds, eta_min=1e-4)
    best, best_state, worse = float("inf"), network.state_dict(), 0
    for _ in range(rounds):
        network.train()
        drawn = _batch(situations, rng, blocks.train, BATCH * _CHECK_EVERY)
        for features, target in zip(*(torch.split(tensor, BATCH) for tensor in drawn), strict=True):
            optimizer.zero_grad()
            loss(network.vector(features, network.hidden(features)), target).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        network.eval()
        with torch.no_grad():
            reached = float(loss(network.vector(check, network.hidden(check)), wanted))
        worse = 0 if reached < best else worse + 1
        if reached < best:
            best, best_state = reached, {name: value.clone() for name, value in network.state_dict().items()}
        if worse >= _PATIENCE:
            break
    network.load_state_dict(best_state)


def _batch(
    situations: Situations, rng: np.random.Generator, block: Array, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random situations: features and the exact vectors."""
    draws = situations.draw(rng, block, count)
    return torch.from_numpy(situations.features(draws)), torch.from_numpy(situations.vectors[draws.inputs])


def _fit_agree(network: LinkNetwork, situations: Situations, judge: Judge, *, seed: int) -> None:
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
    with torch.no_grad():
        network.agree_out.weight.mul_(slope)
        network.agree_out.bias.mul_(slope).add_(shift)


def _judged(
    network: LinkNetwork, situations: Situations, judge: Judge, rng: np.random.Generator, block: Array
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


def _loss(encoding: Encoding) -> Loss:
    """What a kind of output is trained with."""
    kind = encoding.output.kind
    mean, std = torch.from_numpy(encoding.mean), torch.from_numpy(encoding.std)

    def label(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(predicted * std + mean, torch.softmax(wanted * std + mean, dim=1))

    def multilabel(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(predicted * std + mean, torch.sigmoid(wanted * std + mean))

    is_count = torch.from_numpy(encoding.columns < len(encoding.output.classes)).float()
    weights = is_count * _COUNTS_WEIGHT / max(1.0, float(is_count.sum()))
    weights += (1 - is_count) * (1 - _COUNTS_WEIGHT) / max(1.0, float((1 - is_count).sum()))

    def boxes(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return (F.smooth_l1_loss(predicted, wanted, beta=0.3, reduction="none") * weights).sum(dim=1).mean()

    def numbers(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.smooth_l1_loss(predicted, wanted, beta=0.3)

    return {"label": label, "multilabel": multilabel, "boxes": boxes}.get(kind, numbers)

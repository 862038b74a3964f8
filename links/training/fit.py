"""What training a link's network takes: rounds with checks, losses, and how probably what it says agrees."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...models.encoding.encoding import Encoding
from ...outputs import Array
from ..networks.vector import LinkNetwork, VectorNetwork
from .judge import Judge
from .samples import Situations

Batch = tuple[torch.Tensor, torch.Tensor]
"""What is read (n, ...), and what is wanted."""
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From predicted vectors (n, length) and the exact ones to one number."""

_CHECK_EVERY = 25
_PATIENCE = 6
_AGREE_DRAWS = 1500
_AGREE_STEPS = 200


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


def platt(logit: torch.Tensor, agrees: torch.Tensor) -> tuple[float, float]:
    """Platt's slope and shift: what fits log-odds (n,) best to the agreements (n,), in [0, 1], that they predict."""
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


def predict(network: LinkNetwork, features: Array) -> tuple[Array, Array]:
    """Predicted vectors (n, length), or rows of ids (n, ids), and probabilities of agreement (n,)."""
    with torch.no_grad():
        predicted, agree = network.eval().predict(torch.from_numpy(features))
    return predicted.numpy(), agree.numpy()


@contextmanager
def one_thread() -> Iterator[None]:
    """Has torch use one thread: so small matrices train many times slower on two when other work runs beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW, the learning rate falling along a cosine.

    Attributes:
        steps: at most.
        batch: situations in each step.
        rate: the learning rate at the start.
        least_rate: the learning rate at the end.
        weight_decay: of AdamW.
        better: the share of the best loss so far that has to be reached for patience to begin anew.
        most_norm: the norm that a step's gradient is clipped to; None: it is not.
    """

    steps: int
    batch: int
    rate: float
    least_rate: float
    weight_decay: float
    better: float = 1.0
    most_norm: float | None = None


def train_best(
    network: nn.Module,
    recipe: Recipe,
    *,
    draw: Callable[[int], Batch],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    check: Batch,
) -> None:
    """Trains in rounds of some steps, each followed by a check; stops early, and keeps the weights of the best check.

    Args:
        network: is trained in place.
        recipe: how.
        draw: gives that many training situations.
        loss: of a batch.
        check: the validation situations of each check.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True)
    rounds = max(1, recipe.steps // _CHECK_EVERY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rounds, eta_min=recipe.least_rate)
    best, best_state, worse = float("inf"), network.state_dict(), 0
    for _ in range(rounds):
        network.train()
        drawn = draw(recipe.batch * _CHECK_EVERY)
        for read, wanted in zip(*(torch.split(tensor, recipe.batch) for tensor in drawn), strict=True):
            optimizer.zero_grad()
            loss(read, wanted).backward()  # type: ignore[no-untyped-call]
            if recipe.most_norm is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.most_norm)
            optimizer.step()
        schedule.step()
        network.eval()
        with torch.no_grad():
            reached = float(loss(*check))
        worse = 0 if reached < best * recipe.better else worse + 1
        if reached < best:
            best, best_state = reached, {name: value.clone() for name, value in network.state_dict().items()}
        if worse >= _PATIENCE:
            break
    network.load_state_dict(best_state)


def paper_loss_of(encoding: Encoding) -> Loss:
    """The paper's losses: cross-entropy on soft labels for classes, MAE for counts and scalars, MSE for the rest.

    Unlike in the paper, numbers are standardised.
    """
    mean_absolute = encoding.output.kind in ("count", "scalar")
    return _of_classes(encoding) or (F.l1_loss if mean_absolute else F.mse_loss)


def _of_classes(encoding: Encoding) -> Loss | None:
    mean, std = torch.from_numpy(encoding.mean), torch.from_numpy(encoding.std)

    def label(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(predicted * std + mean, torch.softmax(wanted * std + mean, dim=1))

    def multilabel(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(predicted * std + mean, torch.sigmoid(wanted * std + mean))

    return {"label": label, "multilabel": multilabel}.get(encoding.output.kind)


def sequence_loss(logits: torch.Tensor, ids: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of logits (n, steps, ids) with ids (n, steps), where `counts` (n, steps) is 1.

    Neither padding nor the length of the batch's longest sequence changes it.
    """
    each = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none").reshape(ids.shape)
    return (each * counts).sum() / counts.sum().clamp(min=1.0)

"""Trains a network until it stops to help on the validation block, and keeps the weights that did best there."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

Batch = tuple[torch.Tensor, torch.Tensor]

_CHECK_EVERY = 25
_PATIENCE = 6


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW, the rate falling along a cosine.

    Attributes:
        steps: at most.
        batch: situations in each.
        rate: at the start.
        least_rate: at the end.
        weight_decay: of AdamW.
        better: the share of the best loss so far that has to be reached for patience to begin anew.
        most_norm: of a step's gradient; None: any.
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
    """Trains in rounds of some steps, each followed by a look at the validation block.

    Args:
        network: is trained in place.
        recipe: how.
        draw: that many training situations: what is read, and what is wanted.
        loss: of a batch.
        check: validation situations.
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

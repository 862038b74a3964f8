"""The training loop of every network here: epochs, validation, early stopping, a checkpoint to resume from (torch)."""

import copy
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ...files import replacing
from ...models.heads.threads import one_blas_thread
from ...outputs import Array
from ...reporting import Progress

BATCH = 32
VALIDATION_SHARE = 0.15
"""Of what is learnt from: the last part, which tells when a network was best."""


@dataclass(frozen=True)
class Epoch:
    """The mean losses of one epoch: on what is learnt from, and on what is not."""

    training: float
    validation: float


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: at most.
        patience: it stops after so many epochs without a better validation loss.
        one_cycle: AdamW with one cycle of the learning rate; else RMSprop at 0.001, as the paper has it.
    """

    epochs: int
    patience: int
    one_cycle: bool = True


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is kept after each epoch, to be resumed after an interruption as if there had been none.

    Attributes:
        path: the file; a finished training stays there, too.
        identity: what is trained on what; a file of another identity is not resumed.
    """

    path: Path
    identity: str


class Lessons(Protocol):
    """What a network learns from."""

    def begin(self, random: np.random.Generator) -> int:
        """Begins an epoch; returns how many examples it has."""

    def loss(self, rows: Array, random: np.random.Generator) -> Tensor:
        """The mean loss on some of its examples."""

    def validate(self) -> float:
        """The loss on what is not learnt from."""


def train(
    network: nn.Module,
    lessons: Lessons,
    recipe: Recipe,
    *,
    examples: int,
    random: np.random.Generator,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> list[Epoch]:
    """Trains a network in place and leaves it, in evaluation mode, as it was at its best; returns the curve.

    Args:
        network: what is trained.
        lessons: what it learns from.
        recipe: how.
        examples: how many an epoch has, at most: the learning rate's cycle is cut to it.
        random: what everything is drawn from.
        checkpoint: where to keep it; None: nowhere.
        progress: is told the share done.
    """
    steps = recipe.epochs * -(-examples // BATCH)
    optimizer, schedule = _optimizer(network, recipe, steps)
    state: dict[str, Any] = {"epoch": 0, "curve": [], "best": float("inf"), "since": 0, "done": False}
    best = copy.deepcopy(network.state_dict())
    kept = _read(checkpoint)
    if kept is not None:
        state, best = kept["state"], kept["best"]
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        if schedule is not None:
            schedule.load_state_dict(kept["schedule"])
        random.bit_generator.state = kept["random"]
        torch.set_rng_state(kept["torch"])
    while state["epoch"] < recipe.epochs and not state["done"]:
        training = _epoch(network, lessons, optimizer, schedule, random)
        network.eval()
        validation = lessons.validate()
        state["curve"].append(Epoch(training, validation))
        state["epoch"] += 1
        state["since"] += 1
        if validation < state["best"]:
            best, state["best"], state["since"] = copy.deepcopy(network.state_dict()), validation, 0
        state["done"] = state["since"] >= recipe.patience
        if checkpoint is not None:
            cycle = None if schedule is None else schedule.state_dict()
            parts = (network.state_dict(), optimizer.state_dict(), cycle)
            _write(checkpoint, state, best, *parts, random)
        if progress is not None:
            progress(state["epoch"] / recipe.epochs, f"training, validation loss {validation:.3f}")
    network.load_state_dict(best)
    network.eval()
    curve: list[Epoch] = state["curve"]
    return curve


def _epoch(
    network: nn.Module,
    lessons: Lessons,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
    random: np.random.Generator,
) -> float:
    network.train()
    count = lessons.begin(random)
    losses = []
    for rows in np.array_split(random.permutation(count), -(-count // BATCH)):
        loss = lessons.loss(rows, random)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


def _optimizer(
    network: nn.Module, recipe: Recipe, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
    if not recipe.one_cycle:
        return torch.optim.RMSprop(network.parameters(), lr=1e-3), None
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.25)


def _write(
    checkpoint: Checkpoint,
    state: dict[str, Any],
    best: Any,
    network: Any,
    optimizer: Any,
    schedule: Any,
    random: np.random.Generator,
) -> None:
    kept = {
        "identity": checkpoint.identity,
        "state": {**state, "curve": [(epoch.training, epoch.validation) for epoch in state["curve"]]},
        "best": best,
        "network": network,
        "optimizer": optimizer,
        "schedule": schedule,
        "random": random.bit_generator.state,
        "torch": torch.get_rng_state(),
    }
    with replacing(checkpoint.path) as part:
        torch.save(kept, part)


def _read(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    """What was kept of the same training; None if there is nothing to resume."""
    if checkpoint is None or not checkpoint.path.is_file():
        return None
    try:
        kept: dict[str, Any] = torch.load(checkpoint.path, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError):
        return None
    if kept.get("identity") != checkpoint.identity:
        return None
    kept["state"]["curve"] = [Epoch(*pair) for pair in kept["state"]["curve"]]
    return kept


def cross_entropy(wanted: Array, found: Array) -> float:
    """The mean loss of probabilities, none of which is taken to be quite 0 or 1."""
    sure = np.clip(found, 1e-6, 1 - 1e-6)
    return float(-np.mean(wanted * np.log(sure) + (1 - wanted) * np.log1p(-sure)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch and BLAS on one: as fast for what is so small, many times faster on a busy machine, and repeatable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with one_blas_thread():
            yield
    finally:
        torch.set_num_threads(before)

"""Trains an encoder and its head on inputs that stand alone (torch)."""

import copy

import numpy as np
import torch
from torch.nn import functional as F

from ..outputs import Array
from .encoders import EncoderNetwork
from .modalities import Modality
from .replay import Progress
from .singles import Singles

BATCH = 32
_SEEN = 20_000
_EPOCHS = (8, 60)
_VALIDATION = 0.15
_PATIENCE = 8


def fit_encoder(
    singles: Singles,
    needed: Array,
    modality: Modality,
    *,
    start: int,
    stop: int,
    seed: int,
    progress: Progress | None = None,
) -> EncoderNetwork:
    """The network trained on a stretch; its last part is not learnt from but tells when the network was best.

    Args:
        singles: the inputs.
        needed: float (inputs,), how needed each one is, from 0 to 1.
        modality: how they are augmented, and their encoder.
        start: the first input of the stretch.
        stop: the one after its last.
        seed: of everything that is drawn.
        progress: is told the share done.
    """
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = stop - max(1, round((stop - start) * _VALIDATION))
    network = EncoderNetwork(*modality.encoder())
    learnt, checked = np.arange(start, middle), np.arange(middle, stop)
    epochs = int(np.clip(_SEEN / len(learnt), *_EPOCHS))
    steps = epochs * -(-len(learnt) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.25)
    best, best_loss, since = copy.deepcopy(network.state_dict()), float("inf"), 0
    for epoch in range(epochs):
        network.train()
        for rows in np.array_split(random.permutation(learnt), -(-len(learnt) // BATCH)):
            inputs = torch.from_numpy(np.ascontiguousarray(modality.augment(singles.rows(rows), random)))
            targets = torch.from_numpy(needed[rows].astype(np.float32))
            loss = F.binary_cross_entropy_with_logits(network.logits(inputs), targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        found = np.clip(scores_of(network, singles, checked), 1e-6, 1 - 1e-6)
        wanted = needed[checked]
        checked_loss = float(-np.mean(wanted * np.log(found) + (1 - wanted) * np.log1p(-found)))
        since += 1
        if checked_loss < best_loss:
            best, best_loss, since = copy.deepcopy(network.state_dict()), checked_loss, 0
        if progress is not None:
            progress((epoch + 1) / epochs, f"training, validation loss {checked_loss:.3f}")
        if since >= _PATIENCE:
            break
    network.load_state_dict(best)
    return network.eval()


@torch.no_grad()
def scores_of(network: EncoderNetwork, singles: Singles, index: Array, *, batch: int = 256) -> Array:
    """How needed inputs are, by the network: float64 (n,)."""
    network.eval()
    parts = [network(torch.from_numpy(singles.rows(index[i : i + batch]))) for i in range(0, len(index), batch)]
    return np.asarray(torch.cat(parts)[:, 0].numpy(), np.float64)

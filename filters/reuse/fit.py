"""Trains an embedding on pairs of inputs with and without the same result (torch; InFi's sections 2.4 and 2.5)."""

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...outputs import Array
from ...progress import Progress
from ..modalities import Learnable
from ..singles import Singles
from .outliers import draw_outliers
from .pair_head import PairNetwork
from .pairs import draw_batches
from .proxies import Proxies

DIMS = 32
_SEEN = 12_000
_EPOCHS = (6, 25)
_VALIDATION = 0.15
_VALIDATED = 500
_PATIENCE = 8
_HARD_SHARE = 0.25
_OUTLIERS = 12
_OUTLIER_WEIGHT = 0.5


def validated_from(stop: int) -> int:
    """The first input of the later stretch, among `stop` inputs, that tells when the network was best."""
    return stop - max(2, round(stop * _VALIDATION))


def fit_pairs(
    singles: Singles,
    keys: Array,
    modality: Learnable,
    *,
    stop: int,
    seed: int,
    needed: Array | None = None,
    progress: Progress | None = None,
) -> PairNetwork:
    """The network trained on the first `stop` inputs; the last of them are not learnt from.

    Args:
        singles: the inputs.
        keys: int (inputs,): the same number for the same result.
        modality: how inputs are augmented, and their encoder.
        stop: how many inputs are learnt from, those of the validation among them.
        seed: of everything that is drawn.
        needed: for a SKIP head, float (inputs,): how needed each input is, from 0 to 1.
        progress: is told the share done.
    """
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    middle = validated_from(stop)
    learnt = np.arange(middle)
    checked = np.arange(middle, stop)
    checked = checked[np.linspace(0, len(checked) - 1, min(len(checked), _VALIDATED)).round().astype(int)]
    network = PairNetwork(*modality.encoder(), dims=DIMS, scored=needed is not None)
    some = torch.from_numpy(embeddings_of(network, singles, learnt[:: max(1, len(learnt) // 200)]))
    network.start_from(float(torch.pdist(some, p=1).mean()))
    proxies = Proxies(embeddings_of(network, singles, learnt), keys[learnt])
    epochs = int(np.clip(_SEEN / len(learnt), *_EPOCHS))
    optimizer = torch.optim.AdamW([*network.parameters(), *proxies.parameters()], lr=1e-3, weight_decay=0.02)
    schedule: torch.optim.lr_scheduler.OneCycleLR | None = None
    best, best_loss, since = copy.deepcopy(network.state_dict()), float("inf"), 0
    for epoch in range(epochs):
        batches = draw_batches(embeddings_of(network, singles, learnt), keys[learnt], random)
        if schedule is None:
            steps = epochs * len(batches)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.25)
        network.train()
        for rows in batches:
            batch = modality.augment(singles.rows(rows), random)
            inputs = torch.from_numpy(np.ascontiguousarray(batch))
            outliers = torch.from_numpy(draw_outliers(batch, _OUTLIERS, random))
            loss = _loss(network, proxies, inputs, outliers, keys[rows], None if needed is None else needed[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        loss_now = _validate(network, singles, checked, keys, needed)
        since += 1
        if loss_now < best_loss:
            best, best_loss, since = copy.deepcopy(network.state_dict()), loss_now, 0
        if progress is not None:
            progress((epoch + 1) / epochs, f"training, validation loss {loss_now:.3f}")
        if since >= _PATIENCE:
            break
    network.load_state_dict(best)
    return network.eval()


@torch.no_grad()
def embeddings_of(network: PairNetwork, singles: Singles, index: Array, *, batch: int = 256) -> Array:
    """The folded embeddings of inputs: float32 (n, dims)."""
    network.eval()
    parts = [network(torch.from_numpy(singles.rows(index[i : i + batch])))[0] for i in range(0, len(index), batch)]
    return np.asarray(torch.cat(parts).numpy())


def _loss(
    network: PairNetwork, proxies: Proxies, inputs: Tensor, outliers: Tensor, keys: Array, needed: Array | None
) -> Tensor:
    """Cross-entropy over all pairs of a batch, over those of its inputs with outliers, of the proxies and the score."""
    embedding, score = network.logits(inputs)
    loss = _pair_loss(network.pair_logits(embedding, embedding), torch.from_numpy(keys), hard=True)
    loss = loss + proxies.loss(embedding, keys)
    # As they will be met: batch norm must not get used to them.
    network.eval()
    far, _ = network.logits(outliers)
    network.train()
    loss = loss + _OUTLIER_WEIGHT * F.softplus(network.pair_logits(embedding, far)).mean()
    if score is not None and needed is not None:
        loss = loss + F.binary_cross_entropy_with_logits(score, torch.from_numpy(needed.astype(np.float32)))
    return loss


@torch.no_grad()
def _validate(network: PairNetwork, singles: Singles, index: Array, keys: Array, needed: Array | None) -> float:
    network.eval()
    wanted = None if needed is None else needed[index]
    embedding, score = network.logits(torch.from_numpy(singles.rows(index)))
    loss = _pair_loss(network.pair_logits(embedding, embedding), torch.from_numpy(keys[index]), hard=False)
    if score is not None and wanted is not None:
        loss = loss + F.binary_cross_entropy_with_logits(score, torch.from_numpy(wanted.astype(np.float32)))
    return float(loss)


def _pair_loss(logits: Tensor, keys: Tensor, *, hard: bool) -> Tensor:
    """Pairs with the same result weigh as much as those without; of these, half the weight is on the nearest."""
    first, second = torch.triu_indices(len(keys), len(keys), offset=1)
    same = keys[first] == keys[second]
    found = logits[first, second]
    equal, other = F.softplus(-found[same]), F.softplus(found[~same])
    loss = logits.sum() * 0.0
    if len(equal):
        loss = loss + equal.mean()
    if len(other):
        loss = loss + other.mean()
        if hard:
            nearest = torch.topk(other, max(1, round(len(other) * _HARD_SHARE)), sorted=False).values
            loss = loss + (nearest.mean() - other.mean()) / 2
    return loss

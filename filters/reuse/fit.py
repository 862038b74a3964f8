"""Trains the embedding: pairs of inputs with the same result near, others far (torch; InFi's sections 2.4 and 2.5)."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...outputs import Array
from ...reporting import Progress
from ..modalities import Learnable
from ..training.replay import Singles

DIMS = 32
HIDDEN = 32
_DROPOUT = 0.2
_SEEN = 12_000
_EPOCHS = (6, 25)
_VALIDATION = 0.15
_VALIDATED = 500
_PATIENCE = 8
_HARD_SHARE = 0.25
_ANCHORS = 24
_CANDIDATES = 16
_PROXIES = 256
_LEAST_INPUTS = 2
_OUTLIERS = 12
_OUTLIER_WEIGHT = 0.5
_OUTLIER_SCALES = (0.3, 30.0)


class PairNetwork(nn.Module):
    """An encoder, an embedding with the weights of its distance, and a score if there is a SKIP rule.

    Args:
        encoder: the modality's: (n, ...) to features (n, features).
        features: how many there are.
        dims: the embedding's length.
        scored: whether it has a SKIP head on the same features.
    """

    def __init__(self, encoder: nn.Module, features: int, *, dims: int, scored: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(features, dims))
        self.raw_weights = nn.Parameter(torch.zeros(dims))
        self.bias = nn.Parameter(torch.tensor(2.0))
        self.head = (
            nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
            if scored
            else None
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The folded embedding (n, dims) and, if it is scored, the probability that an input is needed (n, 1)."""
        embedding, logits = self.logits(inputs)
        return (embedding,) if logits is None else (embedding, torch.sigmoid(logits).unsqueeze(1))

    def logits(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """The folded embedding (n, dims), and the logit of the score (n,) or None."""
        features = self.encoder(inputs)
        embedding = self.embedding(features) * F.softplus(self.raw_weights)
        return embedding, None if self.head is None else self.head(features).squeeze(1)

    def pair_logits(self, first: Tensor, second: Tensor) -> Tensor:
        """The logits of "the same result" for every pair of embeddings (n, dims) and (m, dims): (n, m)."""
        return self.bias - (first.unsqueeze(1) - second.unsqueeze(0)).abs().sum(dim=2)

    @torch.no_grad()
    def start_from(self, distance: float) -> None:
        """Scales the weights so that inputs at this distance are as likely to have the same result as not."""
        wanted = torch.full_like(self.raw_weights, self.bias.item() / max(distance, 1e-6)) * F.softplus(torch.zeros(()))
        # The inverse of softplus; for great numbers it is the number itself.
        self.raw_weights.copy_(torch.where(wanted > 20.0, wanted, torch.log(torch.expm1(wanted.clamp(min=1e-4)))))


class Proxies(nn.Module):
    """Proxies of the commonest results: learned places in the embedding, each near the inputs with its result.

    Args:
        embeddings: of the inputs by the network as it is, float32 (n, dims): a place starts at its inputs' mean.
        keys: int (n,): the same number for the same result.
    """

    def __init__(self, embeddings: Array, keys: Array) -> None:
        super().__init__()
        numbers, counts = np.unique(keys, return_counts=True)
        chosen = np.sort(np.argsort(-counts, kind="stable")[:_PROXIES])
        self._numbers = numbers[chosen][counts[chosen] >= _LEAST_INPUTS]
        means = [embeddings[keys == number].mean(axis=0) for number in self._numbers]
        places = np.asarray(means, np.float32).reshape(-1, embeddings.shape[1])
        self.places = nn.Parameter(torch.from_numpy(places))

    def loss(self, embedding: Tensor, keys: Array) -> Tensor:
        """The cross-entropy of the nearest place being that of the input's result; 0 if no result here has a place."""
        targets = np.searchsorted(self._numbers, keys)
        known = np.isin(keys, self._numbers)
        if len(self._numbers) < 2 or not known.any():
            return embedding.sum() * 0.0
        some = torch.from_numpy(np.flatnonzero(known))
        distances = (embedding[some].unsqueeze(1) - self.places.unsqueeze(0)).abs().sum(dim=2)
        return F.cross_entropy(-distances, torch.from_numpy(targets[known]))


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
    """Trains a network on the first `stop` inputs, the last of which are kept for validation.

    Args:
        singles: the inputs.
        keys: int (inputs,): the same number for the same result.
        modality: augments inputs, and has the encoder.
        stop: how many inputs there are to train and validate with.
        seed: of all random draws.
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


def validated_from(stop: int) -> int:
    """The first input, among `stop`, of the later stretch that shows when the network was best."""
    return stop - max(2, round(stop * _VALIDATION))


@torch.no_grad()
def embeddings_of(network: PairNetwork, singles: Singles, index: Array, *, batch: int = 256) -> Array:
    """The folded embeddings of inputs: float32 (n, dims)."""
    network.eval()
    parts = [network(torch.from_numpy(singles.rows(index[i : i + batch])))[0] for i in range(0, len(index), batch)]
    return np.asarray(torch.cat(parts).numpy())


def _loss(
    network: PairNetwork, proxies: Proxies, inputs: Tensor, outliers: Tensor, keys: Array, needed: Array | None
) -> Tensor:
    """The cross-entropies of all pairs of a batch, of its inputs with outliers, of the proxies and of the score."""
    embedding, score = network.logits(inputs)
    loss = _pair_loss(network.pair_logits(embedding, embedding), torch.from_numpy(keys), hard=True)
    loss = loss + proxies.loss(embedding, keys)
    # As at work: batch norm must not adapt to them.
    network.eval()
    far, _ = network.logits(outliers)
    network.train()
    loss = loss + _OUTLIER_WEIGHT * F.softplus(network.pair_logits(embedding, far)).mean()
    if score is not None and needed is not None:
        loss = loss + F.binary_cross_entropy_with_logits(score, torch.from_numpy(needed.astype(np.float32)))
    return loss


def _pair_loss(logits: Tensor, keys: Tensor, *, hard: bool) -> Tensor:
    """Pairs with the same result weigh as much as the others, of whose weight half is on the nearest if `hard`."""
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


@torch.no_grad()
def _validate(network: PairNetwork, singles: Singles, index: Array, keys: Array, needed: Array | None) -> float:
    network.eval()
    wanted = None if needed is None else needed[index]
    embedding, score = network.logits(torch.from_numpy(singles.rows(index)))
    loss = _pair_loss(network.pair_logits(embedding, embedding), torch.from_numpy(keys[index]), hard=False)
    if score is not None and wanted is not None:
        loss = loss + F.binary_cross_entropy_with_logits(score, torch.from_numpy(wanted.astype(np.float32)))
    return float(loss)


def draw_batches(embeddings: Array, keys: Array, random: np.random.Generator) -> list[Array]:
    """All inputs in batches; each with another input of the same result and a near one of another result.

    An input is in a batch once, so that it is not paired with itself.

    Args:
        embeddings: of all inputs by the network as it is, float32 (n, dims).
        keys: int (n,): the same number for the same result.
        random: for the order, the partners and the candidates for near ones.

    Returns:
        Inputs, int64 (at most 72,), in rising order.
    """
    order = random.permutation(len(keys))
    partners, hard = draw_partners(keys, random), draw_hard(embeddings, keys, random)
    found = []
    for anchors in np.array_split(order, -(-len(order) // _ANCHORS)):
        rows = np.unique(np.concatenate([anchors, partners[anchors], hard[anchors]]))
        found.append(rows[rows >= 0])
    return found


def draw_partners(keys: Array, random: np.random.Generator) -> Array:
    """Per input another one with the same result, each as likely: int64 (n,); -1 where there is none."""
    order = np.argsort(keys, kind="stable")
    _, starts, group, sizes = np.unique(keys[order], return_index=True, return_inverse=True, return_counts=True)
    start, size = starts[group], sizes[group]
    place = np.arange(len(keys)) - start
    other = (place + 1 + (random.random(len(keys)) * (size - 1)).astype(np.int64)) % size
    found = np.empty(len(keys), np.int64)
    found[order] = np.where(size > 1, order[start + other], -1)
    return found


def draw_hard(embeddings: Array, keys: Array, random: np.random.Generator) -> Array:
    """Per input the nearest of some candidates with another result: int64 (n,); -1 where none has."""
    candidates = random.integers(0, len(keys), (len(keys), _CANDIDATES))
    distances = np.stack([np.abs(embeddings - embeddings[drawn]).sum(axis=1) for drawn in candidates.T], axis=1)
    distances[keys[candidates] == keys[:, None]] = np.inf
    nearest = distances.argmin(axis=1)
    rows = np.arange(len(keys))
    return np.where(np.isfinite(distances[rows, nearest]), candidates[rows, nearest], -1)


def draw_outliers(batch: Array, count: int, random: np.random.Generator) -> Array:
    """Inputs unlike any recorded one: half noise, half recorded inputs with their values shuffled; of words all noise.

    Noise is made of floats from a third to thirty times as large as the recorded ones, or of whole numbers (words,
    pixels) in the range of the batch.

    Args:
        batch: prepared inputs, (n, ...).
        count: how many to make.
        random: for the draws.

    Returns:
        (count, ...), of the batch's dtype.
    """
    words = batch.dtype.kind == "i"
    noisy = count if words else count // 2
    shape = (noisy, *batch.shape[1:])
    if batch.dtype.kind == "f":
        least, most = _OUTLIER_SCALES
        scale = least * (most / least) ** random.random((noisy,) + (1,) * (batch.ndim - 1))
        noise = random.normal(0.0, 1.0, shape) * scale * max(float(batch.std()), 1e-6) + float(batch.mean())
        made = noise.astype(batch.dtype)
    else:
        made = random.integers(int(batch.min()), int(batch.max()) + 1, shape).astype(batch.dtype)
    if words:
        return made
    chosen = batch[random.integers(0, len(batch), count - noisy)]
    mixed = random.permuted(chosen.reshape(len(chosen), -1), axis=1).reshape(chosen.shape)
    return np.concatenate([made, mixed])

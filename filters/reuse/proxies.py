"""One place per result in the embedding, to which its inputs are drawn while the network learns (torch).

Pairs alone learn slowly, as each tells of two inputs only; which of all places is the nearest tells of all results at
once, and by the same distance.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...outputs import Array

_MOST = 256
_LEAST_INPUTS = 2


class Proxies(nn.Module):
    """The places of the commonest results.

    Args:
        embeddings: of the inputs as the network is now, float32 (n, dims): a place starts at its inputs' mean.
        keys: int (n,): the same number for the same result.
    """

    def __init__(self, embeddings: Array, keys: Array) -> None:
        super().__init__()
        numbers, counts = np.unique(keys, return_counts=True)
        chosen = np.sort(np.argsort(-counts, kind="stable")[:_MOST])
        self._numbers = numbers[chosen][counts[chosen] >= _LEAST_INPUTS]
        means = [embeddings[keys == number].mean(axis=0) for number in self._numbers]
        places = np.asarray(means, np.float32).reshape(-1, embeddings.shape[1])
        self.places = nn.Parameter(torch.from_numpy(places))

    def loss(self, embedding: Tensor, keys: Array) -> Tensor:
        """Cross-entropy of the nearest place being that of an input's result; 0 where no input's result has one."""
        targets = np.searchsorted(self._numbers, keys)
        known = np.isin(keys, self._numbers)
        if len(self._numbers) < 2 or not known.any():
            return embedding.sum() * 0.0
        some = torch.from_numpy(np.flatnonzero(known))
        distances = (embedding[some].unsqueeze(1) - self.places.unsqueeze(0)).abs().sum(dim=2)
        return F.cross_entropy(-distances, torch.from_numpy(targets[known]))

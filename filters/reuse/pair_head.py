"""An encoder whose embedding tells by plain L1 distance whether two inputs have the same result (torch, training only).

The head on a pair is z = sigmoid(b - sum of w_j * |e1_j - e2_j|), as InFi's (section 2.2) but with every w_j at least
0. So no input is nearer to another than to itself, and w can be folded into the embedding: z falls with the plain
distance.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN = 32
_DROPOUT = 0.2


class PairNetwork(nn.Module):
    """An encoder, an embedding, the weights of its distance and, where there is a SKIP rule, a score.

    Args:
        encoder: the modality's: (n, ...) to features (n, features).
        features: how many there are.
        dims: the embedding's length.
        scored: whether a SKIP head stands on the same features.
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
        """Scales the weights so that inputs which are so far apart now are on the border of sameness."""
        wanted = torch.full_like(self.raw_weights, self.bias.item() / max(distance, 1e-6)) * F.softplus(torch.zeros(()))
        # The inverse of softplus; for great numbers it is the number itself.
        self.raw_weights.copy_(torch.where(wanted > 20.0, wanted, torch.log(torch.expm1(wanted.clamp(min=1e-4)))))

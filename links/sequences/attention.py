"""Additive attention (Bahdanau): which positions of a memory a decoder looks at."""

import torch
from torch import nn

_ABSENT = 1e4


class Attention(nn.Module):
    """Scores every position of a memory against a query; positions that are not there get nothing.

    Each row of a batch attends to its own memory only.

    Args:
        memory: how long the vector of a position is.
        query: how long the query is.
        width: of the layer that compares them.
    """

    def __init__(self, memory: int, query: int, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory, width, bias=False)
        self.query = nn.Linear(query, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(
        self, memory: torch.Tensor, keys: torch.Tensor, there: torch.Tensor, query: torch.Tensor
    ) -> torch.Tensor:
        """The mean of the memory for each query (n, steps, size), weighted by attention.

        Args:
            memory: (n, positions, size).
            keys: `self.key(memory)`, computed once.
            there: 1 where a position is there (n, positions).
            query: (n, steps, query size).
        """
        scores = self.score(torch.tanh(keys[:, None] + self.query(query)[:, :, None]))[..., 0]
        weights = torch.softmax(scores + (there - 1.0)[:, None] * _ABSENT, dim=2)
        return weights @ memory

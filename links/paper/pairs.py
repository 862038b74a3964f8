"""The paper's links from one model to one whose output is a vector (MLink, TPAMI 2023, section on model links)."""

import torch
from torch import nn

DROPOUT = 0.5


class VecToVec(nn.Module):
    """Dense(2n), dropout 0.5, ReLU, Dense(n): 2n^2 + 2mn + 3n parameters.

    The output activation lies in the loss and in `Encoding.decode`.

    Args:
        source: m, how long the source's vector is.
        target: n, how long the target's vector is.
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.first = nn.Linear(source, 2 * target)
        self.dropout = nn.Dropout(DROPOUT)
        self.last = nn.Linear(2 * target, target)
        as_keras(self)

    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        """The target's vector (n, target) from the source's (n, source)."""
        predicted: torch.Tensor = self.last(torch.relu(self.dropout(self.first(vector))))
        return predicted


class SeqToVec(nn.Module):
    """Embedding(V, 2n), LSTM(2n), Dense(n): 2nV + 34n^2 + 9n parameters.

    Unlike the reference code's it reads a sequence up to its end: padding does not matter.

    Args:
        size: V, how many ids the source has.
        target: n, how long the target's vector is.
    """

    def __init__(self, size: int, target: int) -> None:
        super().__init__()
        self.words = nn.Embedding(size, 2 * target)
        self.recurrent = nn.LSTM(2 * target, 2 * target, batch_first=True)
        self.last = nn.Linear(2 * target, target)
        as_keras(self)
        # Keras has one bias where torch has two.
        self.recurrent.bias_hh_l0.requires_grad_(False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """The target's vector (n, target) from the source's ids (n, longest)."""
        states, _ = self.recurrent(self.words(ids))
        predicted: torch.Tensor = self.last(at_end(states, ids))
        return predicted


def at_end(states: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Of states (n, steps, size) those of the last token; 0 where a sequence is empty."""
    lengths = (ids > 0).sum(dim=1, keepdim=True)
    last = (torch.arange(1, ids.shape[1] + 1) == lengths).to(states.dtype)
    return (states * last[:, :, None]).sum(dim=1)


def as_keras(module: nn.Module) -> None:
    """Weights as Keras starts them: uniform (Glorot), biases 0, embeddings within 0.05."""
    for name, parameter in module.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
        elif "words" in name:
            nn.init.uniform_(parameter, -0.05, 0.05)
        else:
            nn.init.xavier_uniform_(parameter)
